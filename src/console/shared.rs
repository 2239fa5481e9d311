//! Values that are expensive to read and that several open pages show. One of the pages reads a value for all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web;
use tandem_actors::ports::StoreError;
use tokio::sync::Mutex;

/// A value that takes long to read is read less often: it stays valid for this many times the duration of the read.
pub(super) const IDLE: u32 = 10;

pub struct SharedReading<T>(Mutex<Option<Known<T>>>);

struct Known<T> {
    value: Arc<T>,
    until: Instant,
}

impl<T> Default for SharedReading<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + 'static> SharedReading<T> {
    /// The value, if it is younger than `age`. Otherwise it is read now, on another thread, and other callers wait for
    /// it.
    pub async fn get(
        &self,
        age: Duration,
        read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Arc<T>, StoreError> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return Ok(known.value.clone());
        }
        let begun = Instant::now();
        let value = Arc::new(web::block(read).await.map_err(StoreError::caused_by)??);
        let until = Instant::now() + age.max(begun.elapsed() * IDLE);
        *known = Some(Known { value: value.clone(), until });
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[actix_web::test]
    async fn many_readers_at_once_read_once_and_an_error_is_not_kept() {
        let (shared, reads) = (SharedReading::default(), Arc::new(AtomicU32::new(0)));
        assert!(shared.get(MINUTE, || Err(StoreError::new("failed"))).await.is_err());
        let read = || {
            let reads = reads.clone();
            shared.get(MINUTE, move || Ok(reads.fetch_add(1, Ordering::SeqCst) + 1))
        };
        for value in futures_util::future::join_all((0..8).map(|_| read())).await {
            assert_eq!(*value.unwrap(), 1);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[actix_web::test]
    async fn a_value_that_took_long_to_read_stays_valid_for_longer() {
        let shared = SharedReading::default();
        let slowly = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(1)
        };
        assert_eq!(*shared.get(Duration::ZERO, slowly).await.unwrap(), 1);
        assert_eq!(*shared.get(Duration::ZERO, || Ok(2)).await.unwrap(), 1);
    }

    #[actix_web::test]
    async fn a_worker_does_other_work_while_somebody_reads() {
        let (shared, (go, gone)) = (SharedReading::default(), std::sync::mpsc::channel());
        let read = shared.get(MINUTE, move || gone.recv_timeout(MINUTE).map_err(StoreError::caused_by));
        let other = async { go.send(7).unwrap() };
        assert_eq!(*tokio::join!(read, other).0.unwrap(), 7);
    }
}
