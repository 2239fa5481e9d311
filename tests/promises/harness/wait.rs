//! Waiting for conditions, never for time.

use std::{future::Future, time::Duration};

/// Far beyond what anything here takes on a busy machine with two cores.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again until there is an answer.
#[track_caller]
pub fn eventually<T, F: Future<Output = Option<T>>>(
    what: impl Into<String>,
    mut ask: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let (what, place) = (what.into(), std::panic::Location::caller());
    async move {
        let asking = async {
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(DEADLINE, asking).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not within {DEADLINE:?} (asked at {place})"),
        }
    }
}

/// What has to come by itself.
#[track_caller]
pub fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, coming).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not within {DEADLINE:?} (waited at {place})"),
        }
    }
}
