//! Bare TCP: for what no HTTP client does.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Server, in_time};

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
