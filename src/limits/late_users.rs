//! Whether many users have come lately. Users with quick requests are seldom there at the same moment.

use std::time::{Duration, Instant};

/// How long ago is lately: as long as this, and up to twice.
const LATELY: Duration = Duration::from_millis(100);

pub(super) struct LateUsers {
    /// More than these are many.
    few: usize,
    began: Option<Instant>,
    /// Some of those that have come since then, each once: enough to know that they are many.
    some: Vec<u64>,
    /// Whether they were many before.
    were_many: bool,
}

impl LateUsers {
    pub(super) fn new(few: usize) -> Self {
        Self { few, began: None, some: Vec::new(), were_many: false }
    }

    pub(super) fn note(&mut self, user: u64, now: Instant) {
        let age = now.duration_since(*self.began.get_or_insert(now));
        if age >= LATELY {
            self.were_many = age < LATELY * 2 && self.some.len() > self.few;
            self.some.clear();
            self.began = Some(now);
        }
        if self.some.len() <= self.few && !self.some.contains(&user) {
            self.some.push(user);
        }
    }

    pub(super) fn are_many(&self) -> bool {
        self.were_many || self.some.len() > self.few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_many_for_a_while() {
        let (mut late, begin) = (LateUsers::new(2), Instant::now());
        let mut are_many_after = |users: &[u64], millis| {
            users.iter().for_each(|user| late.note(*user, begin + Duration::from_millis(millis)));
            late.are_many()
        };
        assert!(!are_many_after(&[1, 2, 1, 2], 0));
        assert!(are_many_after(&[3], 50));
        assert!(are_many_after(&[1], 150), "a moment ago");
        assert!(!are_many_after(&[1], 250), "one");
        assert!(are_many_after(&[2, 3], 260));
        assert!(!are_many_after(&[1], 600), "long ago");
    }
}
