//! All connections, and the decision about a new one.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::Mutex;
use tandem_intake::{Budget, Handle, Phase, now};

use super::refusal::ConnectionRefusal;
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
    /// Bytes that may wait for clients that do not read.
    pub unread: usize,
}

/// One in so many connections is kept for requests: WebSockets and server-sent events do not take it.
const KEPT_FOR_REQUESTS: usize = 16;
/// If too much waits for clients that do not read, room is made for this part of the limit.
const ROOM: usize = 8;

#[derive(Default)]
pub(super) struct Open {
    pub connections: HashMap<u64, Known>,
    addresses: HashMap<IpAddr, usize>,
    next: u64,
    stopping: bool,
}

pub(super) struct Known {
    pub handle: Handle,
    /// Set while the client reads slowly: the bytes that it had read, and the time, when the watch began.
    pub watched: Option<(u64, u64)>,
    counted_as: Option<IpAddr>,
}

/// The connections of a node, for all workers.
pub struct Registry {
    pub(super) limits: ConnectionLimits,
    pub(super) heads: Arc<Budget>,
    unread: Arc<Budget>,
    sockets: AtomicUsize,
    pub(super) open: Mutex<Open>,
}

impl Registry {
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        let (heads, unread) = (Budget::new(limits.heads), Budget::new(limits.unread));
        Arc::new(Self { limits, heads, unread, sockets: AtomicUsize::new(0), open: Mutex::default() })
    }

    /// Admits a connection. A full node closes those that have kept it waiting the longest.
    ///
    /// # Errors
    /// If the connection is refused.
    pub fn admit(self: &Arc<Self>, peer: SocketAddr) -> Result<AdmittedConnection, ConnectionRefusal> {
        let outcome = self.enter(peer.ip().to_canonical());
        if let Err(refusal) = &outcome {
            metrics::counter!("tandem_connections_refused_total", "reason" => refusal.name()).increment(1);
        }
        outcome.map(|(id, handle)| AdmittedConnection { handle, place: RegistryEntry { id, registry: self.clone() } })
    }

    /// Counts a request that a proxy forwards from this address, until the returned guard is dropped.
    ///
    /// # Errors
    /// If there are too many from this address.
    pub fn admit_forwarded(self: &Arc<Self>, address: IpAddr) -> Result<ForwardedRequest, ConnectionRefusal> {
        if self.is_uncounted(address) {
            return Ok(ForwardedRequest { address: None, registry: self.clone() });
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
        Ok(ForwardedRequest { address: Some(address), registry: self.clone() })
    }

    /// Counts a connection that stays open, until the returned guard is dropped. `None` if there are too many: they
    /// would leave no connection for requests.
    pub fn admit_socket(self: &Arc<Self>) -> Option<SocketPlace> {
        let most = self.limits.most - self.limits.most / KEPT_FOR_REQUESTS;
        if self.sockets.fetch_add(1, Ordering::Relaxed) < most {
            return Some(SocketPlace(self.clone()));
        }
        self.sockets.fetch_sub(1, Ordering::Relaxed);
        metrics::counter!("tandem_connections_refused_total", "reason" => "sockets").increment(1);
        None
    }

    /// Bytes that wait for clients that do not read.
    pub fn unread(&self) -> usize {
        self.unread.taken()
    }

    /// Ends connections whose clients do not read, those first that have not read for longest, until there is room.
    fn make_room_for_unread(&self) {
        let open = self.open.lock();
        let known = open.connections.values().map(|known| &known.handle);
        let mut blocked: Vec<_> = known.filter(|handle| handle.is_blocked() && !handle.is_ended()).collect();
        blocked.sort_unstable_by_key(|handle| handle.blocked_since());
        let most = self.limits.unread - self.limits.unread / ROOM;
        for handle in blocked {
            if self.unread.taken() <= most {
                break;
            }
            handle.end();
            self.unread.give(handle.take_unread());
            metrics::counter!("tandem_connections_ended_total", "reason" => "unread").increment(1);
        }
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

    /// Refuses new connections, and ends those that wait for a request. Connections with a request under way end after
    /// its answer. Bodies on their way are awaited until [`Registry::end_bodies`].
    pub fn stop(&self) {
        let mut open = self.open.lock();
        open.stopping = true;
        open.end(|handle| matches!(handle.phase(), Phase::Head | Phase::Idle));
    }

    /// Ends the connections that still wait for a body, or for a client that does not read.
    pub fn end_bodies(&self) {
        self.open.lock().end(|handle| handle.phase() == Phase::Body || handle.is_blocked());
    }

    /// Ends the connections that wait for their clients, and WebSockets. Returns how many requests are under way.
    pub fn end_all_but_busy(&self) -> usize {
        let open = self.open.lock();
        let is_busy = |handle: &Handle| handle.phase() == Phase::Busy && !handle.is_blocked();
        open.end(|handle| !is_busy(handle));
        open.connections.values().filter(|known| is_busy(&known.handle)).count()
    }

    /// Ends all connections. Requests under way are still answered.
    pub fn end_all(&self) {
        self.open.lock().end(|_| true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.open.lock().stopping
    }

    fn leave(&self, id: u64) {
        let open = &mut *self.open.lock();
        let Some(Known { handle, counted_as, .. }) = open.connections.remove(&id) else { return };
        self.unread.give(handle.take_unread());
        if let Some(address) = counted_as {
            open.discount(address);
        }
    }
}

impl Open {
    fn end(&self, which: impl Fn(&Handle) -> bool) {
        let handles = self.connections.values().map(|known| &known.handle);
        handles.filter(|handle| !handle.is_ended() && which(handle)).for_each(Handle::end);
    }

    fn discount(&mut self, address: IpAddr) {
        if let Some(count) = self.addresses.get_mut(&address) {
            debug_assert!(*count > 0, "an address without connections has no entry");
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

/// An admitted connection.
pub struct AdmittedConnection {
    pub(super) handle: Handle,
    pub(super) place: RegistryEntry,
}

/// Counts a request that a proxy forwards.
pub struct ForwardedRequest {
    address: Option<IpAddr>,
    registry: Arc<Registry>,
}

impl Drop for ForwardedRequest {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.registry.open.lock().discount(address);
        }
    }
}

/// A counted connection that stays open.
pub struct SocketPlace(Arc<Registry>);

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's entry in the registry, removed when this is dropped.
pub(super) struct RegistryEntry {
    id: u64,
    registry: Arc<Registry>,
}

impl RegistryEntry {
    pub(super) fn heads(&self) -> &Arc<Budget> {
        &self.registry.heads
    }

    /// So many bytes wait for the client, which does not read.
    pub(super) fn note_blocked(&self, handle: &Handle, waker: &Waker, bytes: usize) {
        let unread = &self.registry.unread;
        // Taken first: others may give them back as soon as the handle names them.
        unread.take(bytes);
        unread.give(handle.note_blocked(waker, bytes));
        if unread.is_exhausted() {
            self.registry.make_room_for_unread();
        }
    }

    /// The client has received so many bytes, and none wait.
    pub(super) fn note_written(&self, handle: &Handle, bytes: usize) {
        handle.note_written(bytes);
        let waited = handle.take_unread();
        if waited > 0 {
            self.registry.unread.give(waited);
        }
    }
}

impl Drop for RegistryEntry {
    fn drop(&mut self) {
        self.registry.leave(self.id);
    }
}

/// Ends connections that wait for their clients: first those without an answer so far, and among them the longest
/// waiting. It ends several at a time, so that a full node does not search all connections for each new one. Returns
/// how many.
fn make_room(open: &mut Open, most: usize) -> usize {
    let mut waiting: Vec<(bool, u64, u64)> = open
        .connections
        .iter()
        .filter(|(_, known)| !matches!(known.handle.phase(), Phase::Busy | Phase::Socket) && !known.handle.is_ended())
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

pub(super) fn age(since: u64) -> Duration {
    Duration::from_millis(now().saturating_sub(since))
}

#[cfg(test)]
pub(super) mod tests;
