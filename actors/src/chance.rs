//! Random numbers that need no secrecy: jitter, and the choice of a thread. A simulation seeds them.

use rand::Rng;

#[cfg(feature = "simulation")]
mod seeded {
    use std::cell::RefCell;

    use rand::{SeedableRng, rngs::StdRng};

    thread_local! {
        static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// From now on all random numbers of this thread follow from `seed`.
    pub fn seed(seed: u64) {
        SEEDED.set(Some(StdRng::seed_from_u64(seed)));
    }

    pub(super) fn draw<T>(draw: impl Fn(&mut dyn rand::RngCore) -> T) -> T {
        SEEDED.with_borrow_mut(|seeded| match seeded {
            Some(random) => draw(random),
            None => draw(&mut rand::rng()),
        })
    }
}

#[cfg(feature = "simulation")]
pub use seeded::seed;

#[cfg(not(feature = "simulation"))]
fn draw<T>(draw: impl Fn(&mut dyn rand::RngCore) -> T) -> T {
    draw(&mut rand::rng())
}
#[cfg(feature = "simulation")]
use seeded::draw;

/// From 0 to 1.
pub fn fraction() -> f64 {
    draw(|random| random.random_range(0.0..=1.0))
}

/// Less than `end`, which is not zero.
pub(crate) fn below(end: usize) -> usize {
    draw(|random| random.random_range(0..end))
}
