//! A memory budget that many users share. A user takes a share before it keeps bytes, and dropping the share gives
//! them back. So the memory of the node is bounded for any number of clients.

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
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicUsize::new(0) })
    }

    /// An empty share, which can grow.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    /// Bytes, and more than the limit if [`Budget::take`] was used.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether more is taken than the limit.
    pub fn is_exhausted(&self) -> bool {
        self.taken() > self.limit
    }

    /// Takes bytes in any case. [`Budget::give`] gives them back.
    pub fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what [`Budget::take`] took.
    pub fn give(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Taken bytes. Dropping them frees them.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more bytes. If there are not enough, takes nothing and returns false.
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
    fn shares_stay_within_the_budget_and_return_their_bytes_when_dropped() {
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
