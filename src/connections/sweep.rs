//! Twice a second, ends the connections that keep the node waiting too long. One pass over all connections costs less
//! than a timer for each.

use std::{sync::Weak, time::Duration};

use tandem_intake::{Phase, now};

use super::registry::{Known, Registry, age};

const INTERVAL: Duration = Duration::from_millis(500);
/// How long a slow reader is watched before it is ended.
const WATCH: Duration = Duration::from_secs(10);
/// The HTTP server's own timers fire before, because they answer before they close.
const MARGIN: Duration = Duration::from_secs(2);

impl Registry {
    /// Starts the sweep. It runs as long as the registry exists.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn watch(self: &std::sync::Arc<Self>) -> std::io::Result<()> {
        let registry = std::sync::Arc::downgrade(self);
        std::thread::Builder::new().name("connections".into()).spawn(move || watch(&registry))?;
        Ok(())
    }

    fn sweep(&self) {
        let stopping = self.is_stopping();
        let mut open = self.open.lock();
        for known in open.connections.values_mut() {
            if let Some(reason) = self.overdue(known, stopping) {
                known.handle.end();
                metrics::counter!("tandem_connections_ended_total", "reason" => reason).increment(1);
            }
        }
        metrics::gauge!("tandem_connections").set(open.connections.len() as f64);
    }

    fn overdue(&self, known: &mut Known, stopping: bool) -> Option<&'static str> {
        let handle = &known.handle;
        if handle.is_ended() {
            return None;
        }
        if handle.is_blocked() {
            let (taken, since) = *known.watched.get_or_insert((handle.written(), now()));
            let watched = age(since);
            if watched < WATCH {
                return None;
            }
            let enough = self.limits.least_rate.saturating_mul(watched.as_secs());
            if handle.written() - taken < enough {
                return Some("slow_reader");
            }
        }
        known.watched = None;
        let waited = age(handle.since());
        match handle.phase() {
            Phase::Head if waited > self.limits.head + MARGIN => Some("slow_head"),
            Phase::Idle if stopping || waited > self.limits.idle + MARGIN => Some("idle"),
            _ => None,
        }
    }
}

fn watch(registry: &Weak<Registry>) {
    while let Some(registry) = registry.upgrade() {
        registry.sweep();
        drop(registry);
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::{super::registry::tests::limits, *};

    #[test]
    fn waiting_connections_are_ended_and_busy_ones_are_not() {
        let mut limits = limits(10, 10);
        limits.head = Duration::ZERO;
        let registry = Registry::new(limits);
        let admit = |registry: &Arc<Registry>| registry.admit(SocketAddr::from(([192, 0, 2, 1], 1))).unwrap().guard(());
        let (silent, busy, idle) = (admit(&registry), admit(&registry), admit(&registry));
        let _under_way = busy.handle().begin();
        drop(idle.handle().begin());
        std::thread::sleep(MARGIN + Duration::from_millis(5));
        registry.sweep();
        assert!(silent.handle().is_ended());
        assert!(!busy.handle().is_ended() && !idle.handle().is_ended());
        registry.stop();
        registry.sweep();
        assert!(!busy.handle().is_ended() && idle.handle().is_ended());
    }
}
