//! Bytes that all users of one kind of memory share. Whoever wants to keep something takes a share first, and gives it back by dropping it:
//! what the node holds at once is bounded, however many ask.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A number of bytes, and how many of them are taken.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    taken: AtomicUsize,
}

impl Budget {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicUsize::new(0) })
    }

    /// An empty share, which can grow.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub fn is_exhausted(&self) -> bool {
        self.taken() > self.limit
    }

    /// Counts bytes whether or not there is room for them. They are given back with [`Budget::give`].
    pub fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn give(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that somebody holds. Dropped, they are free again.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more. False if that is more than there is: then nothing was taken.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let before = self.budget.taken.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.budget.limit;
        if fits {
            self.bytes += bytes;
        } else {
            self.budget.give(bytes);
        }
        fits
    }
}

impl Share {
    /// Gives everything back.
    pub fn clear(&mut self) {
        self.budget.give(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_given_than_there_is_and_what_is_dropped_is_free_again() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.grow(60) && !two.grow(50) && two.grow(40));
        assert_eq!(budget.taken(), 100);
        drop(one);
        assert!(two.grow(60) && !two.grow(1));
        drop(two);
        assert_eq!(budget.taken(), 0);
    }
}
