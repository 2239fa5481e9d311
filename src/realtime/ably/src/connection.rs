//! The state of a connection, which outlives its sockets. What ends with a socket is in its actor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use crate::{
    auth::{ClientId, Grant},
    channel::RepeatDetection,
    outbox::Outbox,
    protocol::{Action, ErrorInfo, Outbound},
    replies::{FrameCheck, FrameReplies, Reply, ReplyTicket},
};

/// If nothing arrives over a new socket within this time, the previous key may be used once more.
const UNCONFIRMED: Duration = Duration::from_secs(3);

struct Inner {
    secret: Box<str>,
    previous_secret: Option<Box<str>>,
    /// A frame arrived over the current socket, so the client knows the current key.
    confirmed: bool,
    since: Instant,
    grant: Arc<Grant>,
    client_id: ClientId,
    transport: Option<Arc<Outbox>>,
    generation: u64,
    entered: Vec<Arc<str>>,
    replies: FrameReplies,
    /// The lowest number that no frame id uses yet.
    next_frame: u64,
}

pub struct ConnectionState {
    pub id: Arc<str>,
    pub repeat_detection: RepeatDetection,
    /// The client can continue something: it was attached, or has published.
    used: AtomicBool,
    /// No client can resume it any more.
    ended: AtomicBool,
    inner: Mutex<Inner>,
}

/// Identifies the socket that has the connection. A newer socket ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketLease(u64);

impl ConnectionState {
    pub fn new(
        id: Arc<str>,
        secret: &str,
        grant: Arc<Grant>,
        client_id: ClientId,
        repeat_detection: RepeatDetection,
    ) -> Self {
        let inner = Inner {
            secret: secret.into(),
            previous_secret: None,
            confirmed: false,
            since: Instant::now(),
            grant,
            client_id,
            transport: None,
            generation: 0,
            entered: Vec::new(),
            replies: FrameReplies::default(),
            next_frame: 0,
        };
        Self {
            id,
            repeat_detection,
            used: AtomicBool::new(repeat_detection == RepeatDetection::ByLog),
            ended: AtomicBool::new(false),
            inner: Mutex::new(inner),
        }
    }

    // ---- use ----

    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Marks the connection as used. Returns the current secret the first time.
    pub fn note_used(&self) -> Option<Box<str>> {
        if self.was_used() {
            return None;
        }
        let inner = self.inner.lock();
        (!self.used.swap(true, Ordering::Relaxed)).then(|| inner.secret.clone())
    }

    // ---- sockets ----

    /// Whether a client with this secret may resume the connection now.
    pub fn accepts(&self, secret: &str) -> bool {
        if self.ended.load(Ordering::Acquire) {
            return false;
        }
        let inner = self.inner.lock();
        let equal = |known: &str| bool::from(known.as_bytes().ct_eq(secret.as_bytes()));
        if equal(&inner.secret) {
            return true;
        }
        let unheard = !inner.confirmed && (inner.transport.is_none() || inner.since.elapsed() > UNCONFIRMED);
        unheard && inner.previous_secret.as_deref().is_some_and(equal)
    }

    /// Ends the connection for good.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Gives the connection to a socket and ends the previous socket.
    pub fn lease_to(&self, outbox: Arc<Outbox>, secret: &str, grant: Arc<Grant>, client_id: ClientId) -> SocketLease {
        let mut inner = self.inner.lock();
        let earlier = inner.transport.replace(outbox);
        if *inner.secret != *secret {
            inner.previous_secret = Some(std::mem::replace(&mut inner.secret, secret.into()));
        }
        inner.confirmed = false;
        inner.since = Instant::now();
        inner.grant = grant;
        inner.client_id = client_id;
        inner.generation += 1;
        inner.replies.change_socket();
        let lease = SocketLease(inner.generation);
        drop(inner);
        if let Some(earlier) = earlier {
            let error = ErrorInfo::disconnected("the connection was resumed on another transport");
            earlier.end(Some(&Outbound { error: Some(&error), ..Outbound::new(Action::Disconnected) }));
        }
        lease
    }

    /// Ends a lease. False if a newer socket has the connection.
    pub fn end_lease(&self, lease: SocketLease) -> bool {
        let mut inner = self.inner.lock();
        let own = inner.generation == lease.0;
        if own {
            inner.transport = None;
        }
        own
    }

    /// Whether no socket has had the connection since the end of this lease.
    pub fn had_no_socket_since(&self, lease: SocketLease) -> bool {
        let inner = self.inner.lock();
        inner.generation == lease.0 && inner.transport.is_none()
    }

    /// A frame arrived over the socket.
    pub fn confirm(&self) {
        self.inner.lock().confirmed = true;
    }

    pub fn transport(&self) -> Option<Arc<Outbox>> {
        self.inner.lock().transport.clone()
    }

    /// The time since a socket got the connection.
    pub fn socket_age(&self) -> Duration {
        self.inner.lock().since.elapsed()
    }

    // ---- credentials ----

    pub fn grant(&self) -> Arc<Grant> {
        self.inner.lock().grant.clone()
    }

    pub fn client_id(&self) -> ClientId {
        self.inner.lock().client_id.clone()
    }

    /// Sets new credentials. Returns the current secret.
    pub fn regrant(&self, grant: Arc<Grant>, client_id: ClientId) -> Box<str> {
        let mut inner = self.inner.lock();
        inner.grant = grant;
        inner.client_id = client_id;
        inner.secret.clone()
    }

    // ---- presence ----

    pub fn note_entered(&self, channel: &Arc<str>) {
        let mut inner = self.inner.lock();
        if !inner.entered.contains(channel) {
            inner.entered.push(channel.clone());
        }
    }

    pub fn forget_entered(&self, channel: &str) {
        self.inner.lock().entered.retain(|known| **known != *channel);
    }

    /// The channels in which it has presence members.
    pub fn entered(&self) -> Vec<Arc<str>> {
        self.inner.lock().entered.clone()
    }

    pub fn take_entered(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.inner.lock().entered)
    }

    // ---- replies, in the order of the frames ----

    /// Checks whether a frame is a repetition. `content` is the frame's content hash.
    pub fn check_frame(&self, msg_serial: u64, content: u64) -> FrameCheck {
        let inner = &mut *self.inner.lock();
        inner.replies.check_frame(msg_serial, content, inner.transport.as_deref())
    }

    /// Sets the reply to a frame. Sends it and the replies after it that waited for it.
    pub fn settle(&self, ticket: ReplyTicket, reply: Reply) {
        let inner = &mut *self.inner.lock();
        inner.replies.settle(ticket, reply, inner.transport.as_deref());
    }

    /// The id of a frame to publish: the connection's id and the frame's serial, or the next free number if that
    /// number is used. SDKs compare these numbers to find the newer of two presence events.
    pub fn frame_id(&self, msg_serial: u64) -> Arc<str> {
        let mut inner = self.inner.lock();
        let number = msg_serial.max(inner.next_frame);
        debug_assert!(number >= inner.next_frame, "ids only grow");
        inner.next_frame = number.saturating_add(1);
        format!("{}:{number}", self.id).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{AuthMethod, Capability},
        protocol::Format,
    };
    use tandem_intake::Budget;

    fn connection() -> (ConnectionState, Arc<Outbox>) {
        let grant = Arc::new(Grant {
            auth_method: AuthMethod::Key,
            key_name: "a.b".into(),
            capability: Capability::everything().into(),
            client_id: ClientId::Any,
            issued: 0,
            expires: None,
            revocation_key: None,
            signed_by_app: false,
        });
        let connection =
            ConnectionState::new("conn".into(), "one", grant.clone(), ClientId::Any, RepeatDetection::ByConnection);
        let outbox = Arc::new(Outbox::new(Format::Json, 1 << 20, Budget::new(1 << 20)));
        connection.lease_to(outbox.clone(), "one", grant, ClientId::Any);
        (connection, outbox)
    }

    #[test]
    fn frames_of_a_connection_have_ids_that_only_grow() {
        let (connection, _) = connection();
        let ids = [5, 0, 1, 2, 10, 10].map(|serial| connection.frame_id(serial));
        assert_eq!(ids.map(|id| id.to_string()), ["conn:5", "conn:6", "conn:7", "conn:8", "conn:10", "conn:11"]);
    }

    #[test]
    fn an_ended_connection_accepts_no_key() {
        let (connection, _) = connection();
        assert!(connection.accepts("one"));
        connection.end();
        assert!(!connection.accepts("one"));
    }

    #[test]
    fn the_previous_key_is_valid_until_the_client_has_used_the_new_one() {
        let (connection, outbox) = connection();
        connection.confirm();
        let lease = connection.lease_to(outbox, "two", connection.grant(), ClientId::Any);
        assert!(connection.accepts("two") && !connection.accepts("one"), "the new socket is alive and fresh");
        connection.end_lease(lease);
        assert!(connection.accepts("one"), "CONNECTED may have been lost with the socket");
        connection.confirm();
        assert!(!connection.accepts("one"));
    }
}
