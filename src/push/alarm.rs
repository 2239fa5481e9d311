//! Waiting for a moment of the injected clock. Whoever moves the clock by hand says so, and all who wait look again.

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

/// The wall clock may be set while somebody sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Alarm {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, moved: watch::Sender::new(()) }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// For everything short-lived: no jump of the wall clock moves it.
    pub fn uptime(&self) -> Uptime {
        self.clock.uptime()
    }

    /// What has certainly come: for giving up and forgetting.
    pub fn settled(&self) -> Timestamp {
        self.clock.settled()
    }

    pub fn clock_moved(&self) {
        self.moved.send_replace(());
    }

    pub async fn until(&self, at: Timestamp) {
        let mut moved = self.moved.subscribe();
        loop {
            let now = self.clock.now();
            if now >= at {
                return;
            }
            let sleep = tokio::time::sleep(at.since(now).min(LOOK_AGAIN));
            tokio::select! {
                () = sleep => {}
                // The sender lives as long as this does.
                _ = moved.changed() => {}
            }
        }
    }
}
