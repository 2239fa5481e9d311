//! Waits for moments of the injected clock. A test that moves the clock notifies all waits, which then read it again.

use std::{sync::Arc, time::Duration};

use tandem_actors::{
    domain::time::Timestamp,
    ports::{Clock, Uptime},
};
use tokio::sync::watch;

pub struct Alarm {
    clock: Arc<dyn Clock>,
    moved: watch::Sender<()>,
}

/// The wall clock may be set during a wait, so the clock is read again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Alarm {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, moved: watch::Sender::new(()) }
    }

    /// The settled time. A due time from a wall clock that was ahead for a moment would be too late.
    pub fn now(&self) -> Timestamp {
        self.clock.settled()
    }

    /// For short waits: jumps of the wall clock do not change it.
    pub fn uptime(&self) -> Uptime {
        self.clock.uptime()
    }

    pub fn clock_moved(&self) {
        self.moved.send_replace(());
    }

    /// Waits for a moment; without one, forever.
    pub async fn until_some(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.until(at).await,
            None => std::future::pending().await,
        }
    }

    pub async fn until(&self, at: Timestamp) {
        let mut moved = self.moved.subscribe();
        loop {
            let now = self.now();
            if now >= at {
                return;
            }
            let sleep = tokio::time::sleep(at.since(now).min(LOOK_AGAIN));
            tokio::select! {
                biased;
                () = sleep => {}
                // It cannot fail, because `self` keeps the sending half.
                _ = moved.changed() => {}
            }
        }
    }
}
