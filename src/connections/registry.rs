//! All connections, and the decision about a new one.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tandem_intake::{Budget, Handle, Phase, now};

use super::stream::Guarded;
use crate::network::{Network, subscriber};

/// The limits of connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Connections in all.
    pub most: usize,
    /// Connections from one address; of IPv6, from one network of 64 bits.
    pub most_from_one: usize,
    /// Addresses whose connections are not counted by address: proxies, and this machine.
    pub uncounted: Vec<Network>,
    /// How long the head of a request may take.
    pub head: Duration,
    /// How long a connection may stay open between two requests.
    pub idle: Duration,
    /// Bytes per second that a client must read while an answer waits.
    pub least_rate: u64,
    /// Bytes that all request heads together may take.
    pub heads: usize,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    Full,
    TooManyFromOneAddress,
    Stopping,
}

impl ConnectionRefusal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooManyFromOneAddress => "address",
            Self::Stopping => "stopping",
        }
    }
}

impl ConnectionRefusal {
    /// The HTTP response that is sent before the connection closes.
    pub(super) fn answer(self) -> String {
        let (status, code, message) = match self {
            Self::Full => {
                ("503 Service Unavailable", "SERVICE_UNAVAILABLE", "the node serves as many connections as it can")
            }
            Self::Stopping => ("503 Service Unavailable", "SERVICE_UNAVAILABLE", "the node is stopping"),
            Self::TooManyFromOneAddress => {
                ("429 Too Many Requests", "RATE_LIMITED", "too many connections from this address")
            }
        };
        let body = format!(r#"{{"success":false,"error":{{"code":"{code}","message":"{message}"}}}}"#);
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    }
}

#[derive(Default)]
pub(super) struct Open {
    pub connections: HashMap<u64, Known>,
    addresses: HashMap<IpAddr, usize>,
    next: u64,
    stopping: bool,
}

pub(super) struct Known {
    pub handle: Handle,
    /// While the client reads slowly: the bytes that it had read when the watch began, and when that was.
    pub watched: Option<(u64, u64)>,
    counted_as: Option<IpAddr>,
}

/// The connections of a node, for all workers.
pub struct Registry {
    pub(super) limits: ConnectionLimits,
    pub(super) heads: Arc<Budget>,
    pub(super) open: Mutex<Open>,
}

impl Registry {
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        let heads = Budget::new(limits.heads);
        Arc::new(Self { limits, heads, open: Mutex::default() })
    }

    /// Admits a connection. A full node closes those that have kept it waiting the longest.
    ///
    /// # Errors
    /// If the connection is refused.
    pub fn admit(self: &Arc<Self>, peer: SocketAddr) -> Result<Admitted, ConnectionRefusal> {
        let outcome = self.enter(peer.ip().to_canonical());
        if let Err(refusal) = &outcome {
            metrics::counter!("tandem_connections_refused_total", "reason" => refusal.name()).increment(1);
        }
        outcome.map(|(id, handle)| Admitted { handle, place: Place { id, registry: self.clone() } })
    }

    /// Counts a request that a proxy forwards from this address, until the returned guard is dropped.
    ///
    /// # Errors
    /// If there are too many from this address.
    pub fn admit_forwarded(self: &Arc<Self>, address: IpAddr) -> Result<Forwarded, ConnectionRefusal> {
        if self.is_uncounted(address) {
            return Ok(Forwarded { address: None, registry: self.clone() });
        }
        let address = subscriber(address);
        let open = &mut *self.open.lock();
        let from_there = open.addresses.entry(address).or_default();
        if *from_there >= self.limits.most_from_one {
            let refusal = ConnectionRefusal::TooManyFromOneAddress;
            metrics::counter!("tandem_connections_refused_total", "reason" => refusal.name()).increment(1);
            return Err(refusal);
        }
        *from_there += 1;
        Ok(Forwarded { address: Some(address), registry: self.clone() })
    }

    fn enter(&self, address: IpAddr) -> Result<(u64, Handle), ConnectionRefusal> {
        let open = &mut *self.open.lock();
        if open.stopping {
            return Err(ConnectionRefusal::Stopping);
        }
        let counted_as = (!self.is_uncounted(address)).then(|| subscriber(address));
        let from_there = counted_as.and_then(|address| open.addresses.get(&address)).copied().unwrap_or(0);
        if from_there >= self.limits.most_from_one {
            return Err(ConnectionRefusal::TooManyFromOneAddress);
        }
        if open.connections.len() >= self.limits.most && make_room(open, self.limits.most) == 0 {
            return Err(ConnectionRefusal::Full);
        }
        if let Some(address) = counted_as {
            *open.addresses.entry(address).or_default() += 1;
        }
        open.next += 1;
        let handle = Handle::new(address);
        open.connections.insert(open.next, Known { handle: handle.clone(), watched: None, counted_as });
        Ok((open.next, handle))
    }

    fn is_uncounted(&self, address: IpAddr) -> bool {
        self.limits.uncounted.iter().any(|network| network.contains(address))
    }

    pub fn len(&self) -> usize {
        self.open.lock().connections.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses new connections, and ends those that wait for a request. Connections with a request under way end after its answer. Bodies
    /// on their way are awaited until [`Registry::end_bodies`].
    pub fn stop(&self) {
        let mut open = self.open.lock();
        open.stopping = true;
        open.end(|phase| matches!(phase, Phase::Head | Phase::Idle));
    }

    /// Ends the connections that still wait for a body.
    pub fn end_bodies(&self) {
        self.open.lock().end(|phase| phase == Phase::Body);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.open.lock().stopping
    }

    fn leave(&self, id: u64) {
        let open = &mut *self.open.lock();
        if let Some(Known { counted_as: Some(address), .. }) = open.connections.remove(&id) {
            open.discount(address);
        }
    }
}

impl Open {
    fn end(&self, which: impl Fn(Phase) -> bool) {
        self.connections.values().filter(|known| which(known.handle.phase())).for_each(|known| {
            known.handle.end();
        });
    }

    fn discount(&mut self, address: IpAddr) {
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

/// An admitted connection.
pub struct Admitted {
    handle: Handle,
    place: Place,
}

impl Admitted {
    pub fn guard<S>(self, stream: S) -> Guarded<S> {
        let heads = self.place.registry.heads.share();
        Guarded::new(stream, self.handle, self.place, heads)
    }
}

/// Counts a request that a proxy forwards.
pub struct Forwarded {
    address: Option<IpAddr>,
    registry: Arc<Registry>,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.registry.open.lock().discount(address);
        }
    }
}

/// Ends connections that wait for their clients: first those without an answer so far, and among them the longest waiting. It ends
/// several at a time, so that a full node does not search all connections for each new one. Returns how many.
fn make_room(open: &mut Open, most: usize) -> usize {
    let mut waiting: Vec<(bool, u64, u64)> = open
        .connections
        .iter()
        .filter(|(_, known)| known.handle.phase() != Phase::Busy && !known.handle.is_ended())
        .map(|(id, known)| (known.handle.was_served(), known.handle.since(), *id))
        .collect();
    let wanted = waiting.len().min((most / 32).max(1));
    if wanted == 0 {
        return 0;
    }
    waiting.select_nth_unstable(wanted - 1);
    for (.., id) in &waiting[..wanted] {
        if let Some(known) = open.connections.get(id) {
            known.handle.end();
        }
    }
    metrics::counter!("tandem_connections_ended_total", "reason" => "room").increment(wanted as u64);
    wanted
}

/// A connection's entry in the registry, removed when this is dropped.
pub(super) struct Place {
    id: u64,
    registry: Arc<Registry>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.leave(self.id);
    }
}

pub(super) fn age(since: u64) -> Duration {
    Duration::from_millis(now().saturating_sub(since))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn limits(most: usize, most_from_one: usize) -> ConnectionLimits {
        ConnectionLimits {
            most,
            most_from_one,
            uncounted: vec![Network::try_from("10.0.0.0/8".to_owned()).unwrap()],
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            least_rate: 1_000,
            heads: 1 << 20,
        }
    }

    fn from(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1_234)
    }

    #[test]
    fn one_address_has_a_limit_of_connections() {
        let registry = Registry::new(limits(100, 2));
        let admit = |address| registry.admit(from(address)).map(|admitted| admitted.guard(()));
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("192.0.2.1").unwrap();
        assert_eq!(admit("192.0.2.1").err(), Some(ConnectionRefusal::TooManyFromOneAddress));
        assert_eq!(admit("::ffff:192.0.2.1").err(), Some(ConnectionRefusal::TooManyFromOneAddress));
        assert!(admit("192.0.2.2").is_ok());
        drop(first);
        assert!(admit("192.0.2.1").is_ok());
        let _phone = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
        assert_eq!(admit("2001:db8::3").err(), Some(ConnectionRefusal::TooManyFromOneAddress), "one subscriber has a /64");
        assert!((0..10).map(|_| admit("10.1.2.3")).collect::<Result<Vec<_>, _>>().is_ok(), "a proxy is not counted");
        let forwarded = |address: &str| registry.admit_forwarded(address.parse().unwrap());
        let _forwarded = [forwarded("192.0.2.2").unwrap(), forwarded("192.0.2.2").unwrap()];
        assert_eq!(forwarded("192.0.2.2").err(), Some(ConnectionRefusal::TooManyFromOneAddress), "but the clients behind it are");
    }

    #[test]
    fn a_full_node_ends_connections_that_keep_it_waiting() {
        let registry = Registry::new(limits(3, 100));
        let admit = || registry.admit(from("192.0.2.1")).map(|admitted| admitted.guard(()));
        let (busy, served, fresh) = (admit().unwrap(), admit().unwrap(), admit().unwrap());
        let _under_way = busy.handle().begin();
        drop(served.handle().begin());
        let _newcomer = admit().unwrap();
        assert!(fresh.handle().is_ended(), "it never had an answer");
        assert!(!served.handle().is_ended() && !busy.handle().is_ended());
    }

    #[test]
    fn a_node_with_only_busy_connections_refuses_new_ones() {
        let registry = Registry::new(limits(2, 100));
        let admit = || registry.admit(from("192.0.2.1")).map(|admitted| admitted.guard(()));
        let (one, two) = (admit().unwrap(), admit().unwrap());
        let _under_way = [one.handle().begin(), two.handle().begin()];
        assert_eq!(admit().err(), Some(ConnectionRefusal::Full));
    }

    #[test]
    fn a_stopping_node_waits_only_for_requests_under_way() {
        let registry = Registry::new(limits(10, 100));
        let admit = || registry.admit(from("192.0.2.1")).map(|admitted| admitted.guard(()));
        let (busy, idle, body) = (admit().unwrap(), admit().unwrap(), admit().unwrap());
        let _under_way = [busy.handle().begin(), body.handle().begin()];
        let _waiting = body.handle().waits_for_body();
        registry.stop();
        assert!(!busy.handle().is_ended() && idle.handle().is_ended() && !body.handle().is_ended());
        registry.end_bodies();
        assert!(!busy.handle().is_ended() && body.handle().is_ended());
        assert_eq!(admit().err(), Some(ConnectionRefusal::Stopping));
    }
}
