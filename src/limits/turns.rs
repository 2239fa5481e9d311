//! Whose request runs next. Users take turns in the order in which they came. While more requests arrive than can be
//! served, the newest come first: somebody has to be refused, and what has waited would also be served late.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// After a request found the queue full, the newest come first for this long.
const FULL_FOR: Duration = Duration::from_millis(200);

/// Why a user gets a turn.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    /// A request has just come.
    Newcomer,
    /// The user has had one, and has more requests.
    Another,
}

/// Users with a waiting request that may run, each once.
#[derive(Default)]
pub(super) struct Turns {
    /// The one at the front came first.
    users: VecDeque<u64>,
    was_full: Option<Instant>,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// A request found the queue full.
    pub(super) fn note_full(&mut self, now: Instant) {
        self.was_full = Some(now);
    }

    fn newest_first(&self, now: Instant) -> bool {
        self.was_full.is_some_and(|then| now.duration_since(then) < FULL_FOR)
    }

    /// Gives a user a turn. One who has had one comes after all others.
    pub(super) fn push(&mut self, user: u64, turn: Turn, now: Instant) {
        match turn {
            Turn::Another if self.newest_first(now) => self.users.push_front(user),
            Turn::Another | Turn::Newcomer => self.users.push_back(user),
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Option<u64> {
        if self.newest_first(now) { self.users.pop_back() } else { self.users.pop_front() }
    }

    /// The one who would be served last while the newest come first.
    pub(super) fn pop_oldest(&mut self) -> Option<u64> {
        self.users.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_for_a_while() {
        let (mut turns, begin) = (Turns::default(), Instant::now());
        let full = begin + Duration::from_millis(10);
        for user in [1, 2, 3] {
            turns.push(user, Turn::Newcomer, begin);
        }
        assert_eq!(turns.next(begin), Some(1));
        turns.push(1, Turn::Another, begin);
        turns.note_full(full);
        assert_eq!(turns.next(full), Some(1));
        turns.push(1, Turn::Another, full);
        assert_eq!(turns.next(full), Some(3), "one who has had a turn comes last");
        assert_eq!(turns.next(full + FULL_FOR), Some(1), "the first again");
        assert_eq!((turns.pop_oldest(), turns.is_empty()), (Some(2), true));
    }
}
