//! Commits that wait for the writer, counted in number and in bytes.

use std::collections::VecDeque;

use super::{Done, QueueLimits};
use crate::ports::{Change, Commit};

#[derive(Default)]
pub(super) struct WaitingCommits {
    commits: VecDeque<(Commit, Done)>,
    bytes: usize,
}

impl WaitingCommits {
    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    pub(super) fn push(&mut self, commit: Commit, done: Done) {
        self.bytes += size(&commit);
        self.commits.push_back((commit, done));
    }

    /// Takes the commits of the next group, at least one.
    pub(super) fn take_group(&mut self, limits: &QueueLimits, commits: &mut Vec<Commit>, waiters: &mut Vec<Done>) {
        let mut bytes = 0;
        while commits.len() < limits.group
            && let Some(next) = self.commits.front().map(|(commit, _)| size(commit))
            && (commits.is_empty() || bytes + next <= limits.group_bytes)
            && let Some((commit, done)) = self.commits.pop_front()
        {
            bytes += next;
            commits.push(commit);
            waiters.push(done);
        }
        self.bytes -= bytes;
    }

    pub(super) fn into_waiters(self) -> impl Iterator<Item = Done> {
        self.commits.into_iter().map(|(_, done)| done)
    }
}

/// Bytes of memory of a commit.
fn size(commit: &Commit) -> usize {
    /// Bytes of a commit, and of each change, beside keys and values.
    const AROUND: usize = 64;
    let changes = commit.changes.iter().map(|change| {
        AROUND
            + match change {
                Change::Put(key, value) => key.as_bytes().len() + value.len(),
                Change::Delete(key) => key.as_bytes().len(),
            }
    });
    AROUND + changes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    fn commit(bytes: usize) -> Commit {
        let key = keys::realtime(&[b"test"]);
        Commit { fence: None, changes: vec![Change::Put(key, vec![0; bytes].into())] }
    }

    #[test]
    fn a_group_is_limited_in_commits_and_bytes_but_has_at_least_one_commit() {
        let limits = QueueLimits { group: 3, group_bytes: 10_000, ..QueueLimits::default() };
        let mut waiting = WaitingCommits::default();
        for bytes in [10, 10, 10, 10, 6_000, 6_000, 50_000, 10] {
            waiting.push(commit(bytes), Box::new(|_| ()));
        }
        let mut sizes = Vec::new();
        while !waiting.is_empty() {
            let (mut commits, mut waiters) = (Vec::new(), Vec::new());
            waiting.take_group(&limits, &mut commits, &mut waiters);
            assert_eq!(commits.len(), waiters.len());
            sizes.push(commits.len());
        }
        assert_eq!((sizes, waiting.bytes()), (vec![3, 2, 1, 1, 1], 0));
    }
}
