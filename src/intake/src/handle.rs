//! What a connection is doing, for those who decide how long it may go on.

use std::{
    net::IpAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use actix_web::HttpRequest;
use futures_util::task::AtomicWaker;

/// Milliseconds since the process began to ask.
pub fn now() -> u64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Whom the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// For the head of a request, or for a TLS handshake.
    Head = 0,
    /// For the next request.
    Idle = 1,
    /// For the body of a request.
    Body = 2,
    /// For this node: a request is being answered, or it is a WebSocket.
    Busy = 3,
}

impl Phase {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Head,
            1 => Self::Idle,
            2 => Self::Body,
            _ => Self::Busy,
        }
    }
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    phase: AtomicU8,
    /// When the phase began.
    since: AtomicU64,
    /// Requests that are being answered; more than one if the client does not wait for answers.
    under_way: AtomicU32,
    /// It has had a request answered.
    served: AtomicBool,
    /// Bytes that its client took.
    written: AtomicU64,
    /// The client does not take what is to be written.
    blocked: AtomicBool,
    /// Nothing is read at the moment.
    paused: AtomicBool,
    ended: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// One connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Connection>);

impl Handle {
    pub fn new(address: IpAddr) -> Self {
        Self(Arc::new(Connection {
            address,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(now()),
            under_way: AtomicU32::new(0),
            served: AtomicBool::new(false),
            written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }))
    }

    /// The connection that a request came over. None where requests come without one, as in tests.
    pub fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data::<Self>()
    }

    /// Where it comes from: the other end of the socket.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    pub fn phase(&self) -> Phase {
        Phase::of(self.0.phase.load(Ordering::Relaxed))
    }

    pub fn since(&self) -> u64 {
        self.0.since.load(Ordering::Relaxed)
    }

    pub fn was_served(&self) -> bool {
        self.0.served.load(Ordering::Relaxed)
    }

    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    pub fn is_blocked(&self) -> bool {
        self.0.blocked.load(Ordering::Relaxed)
    }

    pub fn is_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    pub fn is_paused(&self) -> bool {
        self.0.paused.load(Ordering::Acquire)
    }

    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
        self.0.since.store(now(), Ordering::Relaxed);
    }

    pub fn note_written(&self, bytes: usize) {
        self.0.written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0.blocked.store(false, Ordering::Relaxed);
    }

    pub fn note_blocked(&self, waker: &Waker) {
        self.0.writer.register(waker);
        self.0.blocked.store(true, Ordering::Relaxed);
    }

    pub fn wait_to_read(&self, waker: &Waker) {
        self.0.reader.register(waker);
    }

    /// Ends the connection: for its reader the client is gone, for its writer the socket is broken.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.reader.wake();
        self.0.writer.wake();
    }

    /// Reads nothing until [`Handle::go_on`]: what the client sends waits with the client.
    pub fn pause(&self) {
        self.0.paused.store(true, Ordering::Release);
    }

    pub fn go_on(&self) {
        if self.0.paused.swap(false, Ordering::AcqRel) {
            self.0.reader.wake();
        }
    }

    /// A request has arrived; it is under way until what is returned is dropped.
    pub fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Busy);
        UnderWay(self.clone())
    }

    /// The request's body is waited for until what is returned is dropped.
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

/// A request that is not answered yet.
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
    fn a_connection_waits_for_its_client_except_while_it_works_for_it() {
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
