//! Bare TCP: for what no HTTP client does.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::harness::{Server, in_time};

/// A WebSocket of the embedded realtime endpoint, with the key of these tests.
pub const UPGRADE: &str = "GET /?v=5&key=tandem.main:a%20secret%20of%20tests HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n\
                           connection: upgrade\r\nsec-websocket-version: 13\r\n\
                           sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(server: &Server) -> Self {
        Self(TcpStream::connect(server.host()).await.expect("the server accepts"))
    }

    /// Connects and sends.
    pub async fn sent(server: &Server, bytes: impl AsRef<[u8]>) -> Self {
        let mut raw = Self::connect(server).await;
        raw.send(bytes).await;
        raw
    }

    /// Asks for a large file several times, and reads nothing of it.
    pub async fn reading_nothing(server: &Server) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let address = server.host().parse().expect("an address");
        let mut raw = Self(socket.connect(address).await.expect("the server accepts"));
        raw.send("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n").await;
        raw
    }

    /// The first line of the answer. What follows it is lost.
    pub async fn first_line(&mut self) -> String {
        let mut bytes = vec![0; 1_024];
        let read = in_time("the first line", self.0.read(&mut bytes)).await.unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).lines().next().unwrap_or_default().to_owned()
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has closed meanwhile has said why.
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _ = in_time("the end of the connection", self.0.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The status of the one answer, and how long it took until the server had closed.
    pub async fn status(&mut self) -> (u16, Duration) {
        let begun = Instant::now();
        let answer = self.rest().await;
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|text| text.parse().ok());
        (status.unwrap_or_else(|| panic!("an answer, not {answer:?}")), begun.elapsed())
    }

    /// Whether the server keeps the connection open for a moment.
    pub async fn is_open(&mut self) -> bool {
        let mut byte = [0; 1];
        tokio::time::timeout(Duration::from_millis(50), self.0.read(&mut byte)).await.is_err()
    }
}

/// The head of a request with a body, which is the caller's to send.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: tandem\r\n{headers}content-length: {length}\r\n\r\n")
}
