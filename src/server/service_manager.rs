//! Tells the service manager, which is systemd, whether the node is ready, alive, reloading or stopping. Without
//! `NOTIFY_SOCKET` in the environment, there is nobody to tell.

use sd_notify::NotifyState;

pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be notified of the node's state");
    }
}

/// A reload begins. [`NotifyState::Ready`] says that it is over.
pub(super) fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be notified of the reload"),
    }
}

/// Says often enough that the node is alive, also while it stops. Returns if nobody watches.
pub(super) async fn report_alive() {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else { return };
    let mut turns = tokio::time::interval(within / 3);
    loop {
        turns.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}
