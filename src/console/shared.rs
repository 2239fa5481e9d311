//! What is expensive to read, and shown by several open pages: one of them reads it for all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// What took long to read is read less often: it is good for this many times as long.
const IDLE: u32 = 10;

pub struct Shared<T>(Mutex<Option<Known<T>>>);

struct Known<T> {
    value: Arc<T>,
    until: Instant,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Shared<T> {
    /// The value as somebody read it less than `age` ago, or read now. Others wait meanwhile.
    pub fn get<E>(&self, age: Duration, read: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut known = self.0.lock();
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return Ok(known.value.clone());
        }
        let begun = Instant::now();
        let value = Arc::new(read()?);
        let until = Instant::now() + age.max(begun.elapsed() * IDLE);
        *known = Some(Known { value: value.clone(), until });
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_readers_at_once_read_once_and_an_error_is_not_kept() {
        let (shared, reads) = (Shared::default(), Mutex::new(0));
        assert_eq!(shared.get(Duration::from_secs(60), || Err::<i32, _>("failed")).err(), Some("failed"));
        let read = || {
            *reads.lock() += 1;
            Ok::<_, ()>(*reads.lock())
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(*shared.get(Duration::from_secs(60), read).unwrap(), 1));
            }
        });
        assert_eq!(*reads.lock(), 1);
    }

    #[test]
    fn what_took_long_is_good_for_longer() {
        let shared = Shared::default();
        let slowly = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok::<_, ()>(1)
        };
        assert_eq!(*shared.get(Duration::ZERO, slowly).unwrap(), 1);
        assert_eq!(*shared.get(Duration::ZERO, || Ok::<_, ()>(2)).unwrap(), 1);
    }
}
