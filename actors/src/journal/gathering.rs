//! Decides when a group is large enough to be written. The cost of a flush does not depend on the number of its
//! commits, and neither does the cost of the wake-up after it. Clients that have just got an answer soon send the next
//! command. So a group that waits for most of them delays nobody, and saves flushes.
//!
//! The writer waits for four fifths of the last group's commits and of those that waited when it became durable. A
//! single client never waits. If commits come at random, a group has at most the commits of four flushes.

use std::time::Duration;

/// The longest wait. Clients that have not sent a command by then are not expected any more.
pub(super) const PATIENCE: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
pub(super) struct GroupGathering {
    /// The commits of the last group, and those that waited when it became durable.
    present: usize,
}

impl GroupGathering {
    pub(super) fn written(&mut self, group: usize, waiting: usize) {
        self.present = group + waiting;
    }

    /// The number of commits that the writer waits for.
    pub(super) fn target(&self) -> usize {
        (self.present * 4 / 5).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_waits_for_most_recent_clients_and_a_single_client_never_waits() {
        let mut gathering = GroupGathering::default();
        assert_eq!(gathering.target(), 1);
        for (group, waiting, target) in [(1, 0, 1), (1, 1, 1), (51, 13, 51), (3, 0, 2)] {
            gathering.written(group, waiting);
            assert_eq!(gathering.target(), target);
        }
    }

    #[test]
    fn groups_do_not_grow_for_ever_if_commits_come_at_random() {
        let mut gathering = GroupGathering::default();
        let during_a_flush = 10;
        let mut group = 1;
        for _ in 0..100 {
            gathering.written(group, during_a_flush);
            group = gathering.target().max(during_a_flush);
        }
        assert!(group <= 4 * during_a_flush, "{group}");
    }
}
