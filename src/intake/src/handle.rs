//! The state of a connection: what it waits for, and whether it must pause or end.

use std::{
    net::IpAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Instant,
};

use actix_web::HttpRequest;
use futures_util::task::AtomicWaker;

/// Milliseconds since the first call.
pub fn now() -> u64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The head of a request, or a TLS handshake.
    Head = 0,
    /// The next request.
    Idle = 1,
    /// The body of a request.
    Body = 2,
    /// This node: it answers a request.
    Busy = 3,
    /// Nothing: it is a WebSocket, or hears server-sent events.
    Socket = 4,
}

impl Phase {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Head,
            1 => Self::Idle,
            2 => Self::Body,
            3 => Self::Busy,
            _ => Self::Socket,
        }
    }
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    phase: AtomicU8,
    /// When the phase began.
    since: AtomicU64,
    /// Requests in progress. More than one if the client does not wait for responses.
    under_way: AtomicU32,
    /// Whether it has had a response.
    served: AtomicBool,
    /// Bytes that its client has received.
    written: AtomicU64,
    /// The client does not read its response.
    blocked: AtomicBool,
    /// When it stopped to read.
    blocked_since: AtomicU64,
    /// Bytes that wait for it, as long as somebody has counted them.
    unread: AtomicUsize,
    /// Nothing is read from it now.
    paused: AtomicBool,
    ended: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// One connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Connection>);

impl Handle {
    /// A connection that was just accepted.
    pub fn new(address: IpAddr) -> Self {
        Self(Arc::new(Connection {
            address,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(now()),
            under_way: AtomicU32::new(0),
            served: AtomicBool::new(false),
            written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            blocked_since: AtomicU64::new(0),
            unread: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }))
    }

    /// The connection of a request. None in tests without connections.
    pub fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data::<Self>()
    }

    /// The address of the other end.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// What it waits for now.
    pub fn phase(&self) -> Phase {
        Phase::of(self.0.phase.load(Ordering::Relaxed))
    }

    /// When the phase began, on the clock of [`now`].
    pub fn since(&self) -> u64 {
        self.0.since.load(Ordering::Relaxed)
    }

    /// Whether it has had a response.
    pub fn was_served(&self) -> bool {
        self.0.served.load(Ordering::Relaxed)
    }

    /// Bytes that the client has received.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Whether the client does not read its response.
    pub fn is_blocked(&self) -> bool {
        self.0.blocked.load(Ordering::Relaxed)
    }

    /// Since when the client does not read its response, on the clock of [`now`], if it [is blocked](Self::is_blocked).
    pub fn blocked_since(&self) -> u64 {
        self.0.blocked_since.load(Ordering::Relaxed)
    }

    /// The bytes that waited for the client. The caller counts them no more.
    pub fn take_unread(&self) -> usize {
        self.0.unread.swap(0, Ordering::Relaxed)
    }

    /// Whether [`Handle::end`] was called.
    pub fn is_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// Whether [`Handle::pause`] was called, without [`Handle::resume`] after it.
    pub fn is_paused(&self) -> bool {
        self.0.paused.load(Ordering::Acquire)
    }

    /// Begins a phase.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
        self.0.since.store(now(), Ordering::Relaxed);
    }

    /// The client has received more bytes.
    pub fn note_written(&self, bytes: usize) {
        self.0.written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0.blocked.store(false, Ordering::Relaxed);
    }

    /// A write of so many bytes waits for the client. [`Handle::end`] wakes it. Returns the bytes that waited before,
    /// as [`Handle::take_unread`] does.
    pub fn note_blocked(&self, waker: &Waker, bytes: usize) -> usize {
        self.0.writer.register(waker);
        if !self.0.blocked.swap(true, Ordering::Relaxed) {
            self.0.blocked_since.store(now(), Ordering::Relaxed);
        }
        self.0.unread.swap(bytes, Ordering::Relaxed)
    }

    /// A read waits. [`Handle::resume`] and [`Handle::end`] wake it.
    pub fn wait_to_read(&self, waker: &Waker) {
        self.0.reader.register(waker);
    }

    /// Ends the connection: reads return the end, and writes fail.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.reader.wake();
        self.0.writer.wake();
    }

    /// Stops reading until [`Handle::resume`]. What the client sends waits with the client.
    pub fn pause(&self) {
        self.0.paused.store(true, Ordering::Release);
    }

    /// Reads again after [`Handle::pause`].
    pub fn resume(&self) {
        if self.0.paused.swap(false, Ordering::AcqRel) {
            self.0.reader.wake();
        }
    }

    /// Notes a request, which is in progress until the returned value is dropped.
    pub fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Busy);
        UnderWay(self.clone())
    }

    /// The connection waits for the request's body until the returned value is dropped.
    pub fn waits_for_body(&self) -> impl Drop + use<> {
        struct Waiting(Handle);
        impl Drop for Waiting {
            fn drop(&mut self) {
                self.0.enter(Phase::Busy);
            }
        }
        self.enter(Phase::Body);
        Waiting(self.clone())
    }
}

/// A request in progress.
#[derive(Debug)]
pub struct UnderWay(Handle);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let connection = &self.0.0;
        connection.served.store(true, Ordering::Relaxed);
        if connection.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.enter(Phase::Idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_connection_waits_for_its_client_unless_a_request_is_under_way() {
        let handle = Handle::new(Ipv4Addr::LOCALHOST.into());
        assert_eq!((handle.phase(), handle.was_served()), (Phase::Head, false));
        let first = handle.begin();
        let waiting = handle.waits_for_body();
        assert_eq!(handle.phase(), Phase::Body);
        drop(waiting);
        assert_eq!(handle.phase(), Phase::Busy);
        let second = handle.begin();
        drop(first);
        assert_eq!(handle.phase(), Phase::Busy, "the second request is under way");
        drop(second);
        assert_eq!((handle.phase(), handle.was_served()), (Phase::Idle, true));
    }
}
