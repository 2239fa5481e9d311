//! A socket that reports its activity to the registry, and that the registry can end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tandem_intake::{Handle, Phase, Share};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::registry::{AdmittedConnection, RegistryEntry};

/// The largest head of a request.
const MAX_HEAD: usize = 64 * 1024;
/// Smaller heads are not counted, which are nearly all heads.
const SMALL_HEAD: usize = 4 * 1024;

pub struct GuardedSocket<S> {
    stream: S,
    handle: Handle,
    /// Bytes of the head that is being read.
    head: usize,
    heads: Share,
    place: RegistryEntry,
}

impl<S> GuardedSocket<S> {
    pub(super) fn new(stream: S, handle: Handle, place: RegistryEntry, heads: Share) -> Self {
        Self { stream, handle, head: 0, heads, place }
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Counts what was read. Returns false if the head is too large.
    fn note_read(&mut self, bytes: usize) -> bool {
        match self.handle.phase() {
            Phase::Body | Phase::Busy | Phase::Socket => {
                if self.head > SMALL_HEAD {
                    self.heads.clear();
                }
                self.head = 0;
                return true;
            }
            Phase::Idle => {
                self.handle.enter(Phase::Head);
                self.heads.clear();
                self.head = 0;
            }
            Phase::Head => {}
        }
        self.head += bytes;
        self.head <= SMALL_HEAD || (self.head <= MAX_HEAD && self.heads.grow(bytes))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // After the end, nothing more is read. A request under way is still answered.
        if this.handle.is_ended() {
            return Poll::Ready(Ok(()));
        }
        if this.handle.is_paused() {
            this.handle.wait_to_read(cx.waker());
            if this.handle.is_paused() && !this.handle.is_ended() {
                return Poll::Pending;
            }
        }
        let before = into.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, into) {
            Poll::Ready(Ok(())) => {
                let read = into.filled().len() - before;
                if read > 0 && !this.note_read(read) {
                    into.set_filled(before);
                    this.handle.end();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                this.handle.wait_to_read(cx.waker());
                // The connection may have ended before the waker was registered.
                if this.handle.is_ended() { Poll::Ready(Ok(())) } else { Poll::Pending }
            }
            error @ Poll::Ready(_) => error,
        }
    }
}

impl<S: AsyncWrite + Unpin> GuardedSocket<S> {
    /// Counts what was written, or that `bytes` bytes wait for the client.
    fn watch_write(&self, outcome: Poll<io::Result<usize>>, bytes: usize, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Ready(Ok(written)) => self.place.note_written(&self.handle, *written),
            Poll::Pending => {
                // What waits for an ended connection is not counted any more.
                if !self.handle.is_ended() {
                    self.place.note_blocked(&self.handle, cx.waker(), bytes);
                }
                // It may have ended before the waker was registered.
                if self.handle.is_ended() {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watch_write(outcome, bytes.len(), cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.watch_write(outcome, bytes.iter().map(|part| part.len()).sum(), cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AdmittedConnection {
    pub fn guard<S>(self, stream: S) -> GuardedSocket<S> {
        let heads = self.place.heads().share();
        GuardedSocket::new(stream, self.handle, self.place, heads)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tandem_intake::now;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{super::registry::tests::limits, *};
    use crate::connections::{ConnectionLimits, Registry};

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 1_234))
    }

    #[actix_web::test]
    async fn a_connection_that_is_ended_reads_no_more_and_still_writes() {
        let registry = Registry::new(limits(10, 10));
        let (mut client, server) = duplex(1_000);
        let mut server = registry.admit(peer()).unwrap().guard(server);
        let handle = server.handle().clone();
        let reading = actix_web::rt::spawn(async move {
            let mut bytes = Vec::new();
            server.read_to_end(&mut bytes).await.unwrap();
            server.write_all(b"answer").await.unwrap();
            bytes
        });
        client.write_all(b"question").await.unwrap();
        tokio::task::yield_now().await;
        handle.end();
        assert_eq!(reading.await.unwrap(), b"question");
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        assert!(registry.is_empty());
    }

    #[actix_web::test]
    async fn a_connection_that_is_ended_does_not_wait_for_its_reader() {
        let registry = Registry::new(limits(10, 10));
        let (_client, server) = duplex(10);
        let mut server = registry.admit(peer()).unwrap().guard(server);
        let handle = server.handle().clone();
        let writing = actix_web::rt::spawn(async move { server.write_all(&[0; 100]).await });
        tokio::task::yield_now().await;
        assert!(handle.is_blocked());
        handle.end();
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[actix_web::test]
    async fn clients_that_do_not_read_are_ended_when_too_much_waits_the_longest_waiting_first() {
        let registry = Registry::new(ConnectionLimits { unread: 1_000, ..limits(10, 10) });
        let block = async |bytes: usize| {
            let (client, server) = duplex(10);
            let mut server = registry.admit(peer()).unwrap().guard(server);
            let handle = server.handle().clone();
            let writing = actix_web::rt::spawn(async move { server.write_all(&vec![0; 10 + bytes]).await });
            // The next one is blocked later, on the clock that counts.
            while !handle.is_blocked() || now() <= handle.blocked_since() {
                tokio::task::yield_now().await;
            }
            (client, handle, writing)
        };
        let (_first, first, writing) = block(600).await;
        let (mut second_client, second, second_writing) = block(300).await;
        assert_eq!((registry.unread(), first.is_ended()), (900, false));
        let (third_client, third, third_writing) = block(150).await;
        assert_eq!((first.is_ended(), second.is_ended(), third.is_ended()), (true, false, false));
        assert_eq!((writing.await.unwrap().unwrap_err().kind(), registry.unread()), (io::ErrorKind::TimedOut, 450));
        second_client.read_exact(&mut vec![0; 310]).await.unwrap();
        second_writing.await.unwrap().unwrap();
        assert_eq!(registry.unread(), 150, "what was read waits no more");
        drop(third_client);
        third_writing.await.unwrap().unwrap_err();
        assert_eq!(registry.unread(), 0, "nor what nobody will read");
    }

    #[actix_web::test]
    async fn during_a_pause_nothing_is_read_from_the_client() {
        let registry = Registry::new(limits(10, 10));
        let (mut client, server) = duplex(100);
        let mut server = registry.admit(peer()).unwrap().guard(server);
        let handle = server.handle().clone();
        handle.pause();
        client.write_all(b"later").await.unwrap();
        let reading = actix_web::rt::spawn(async move {
            let mut bytes = [0; 5];
            server.read_exact(&mut bytes).await.map(|_| bytes)
        });
        tokio::task::yield_now().await;
        assert!(!reading.is_finished());
        handle.resume();
        assert_eq!(&reading.await.unwrap().unwrap(), b"later");
    }

    #[actix_web::test]
    async fn reading_stops_at_a_head_that_is_too_long() {
        let registry = Registry::new(limits(10, 10));
        let (mut client, server) = duplex(1 << 20);
        let mut server = registry.admit(peer()).unwrap().guard(server);
        client.write_all(&vec![b'x'; MAX_HEAD + 1]).await.unwrap();
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).await.unwrap();
        assert!(bytes.len() <= MAX_HEAD && server.handle().is_ended());
    }
}
