//! Rooms whose members pass messages on to each other, in three dialects: Ably's protocol as Tandem serves it, a bare
//! `ws` server and socket.io, each with the least that the dialect needs.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::timeout;

use super::socket::{Receiver, Sender, find, frame, open};

const WITHIN: Duration = Duration::from_secs(20);
/// The prefix of each message, by which a delivery is recognized without parsing.
const MARK: &str = "@@";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Ably,
    Ws,
    SocketIo,
}

pub const KEY_NAME: &str = "bench.key";
pub const KEY_SECRET: &str = "a-secret-for-benches-only";

impl Dialect {
    pub async fn connect(self, address: SocketAddr) -> io::Result<(Sender, Receiver)> {
        timeout(WITHIN, self.shake_hands(address)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn shake_hands(self, address: SocketAddr) -> io::Result<(Sender, Receiver)> {
        match self {
            Self::Ably => {
                let query = "format=json&v=6&echo=false&heartbeats=false";
                let (sender, mut receiver) = open(address, &format!("/?key={KEY_NAME}:{KEY_SECRET}&{query}")).await?;
                receiver.until("connectionDetails").await?;
                Ok((sender, receiver))
            }
            Self::Ws => open(address, "/").await,
            Self::SocketIo => {
                let (sender, mut receiver) = open(address, "/socket.io/?EIO=4&transport=websocket").await?;
                receiver.until("pingInterval").await?;
                sender.send(&frame("40")).await?;
                receiver.until("40{").await?;
                Ok((sender, receiver))
            }
        }
    }

    pub async fn join(self, address: SocketAddr, room: &str) -> io::Result<(Sender, Receiver)> {
        let (sender, mut receiver) = self.connect(address).await?;
        let (ask, answer) = match self {
            Self::Ably => (format!(r#"{{"action":10,"channel":"{room}"}}"#), r#""action":11"#),
            Self::Ws => (format!(r#"{{"join":"{room}"}}"#), "joined"),
            Self::SocketIo => (format!(r#"42["join","{room}"]"#), "joined"),
        };
        sender.send(&frame(&ask)).await?;
        let answered = timeout(WITHIN, receiver.until(answer)).await;
        answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok((sender, receiver))
    }

    /// A frame that publishes a message. `serial` counts the messages of the connection; [`said`] reads `number` back.
    pub fn say(self, room: &str, serial: u64, number: u64) -> Vec<u8> {
        let said = format!(r#"{{"name":"said","data":"{MARK}{number}"}}"#);
        frame(&match self {
            Self::Ably => format!(r#"{{"action":15,"channel":"{room}","msgSerial":{serial},"messages":[{said}]}}"#),
            Self::Ws => said,
            Self::SocketIo => format!(r#"42["say",{said}]"#),
        })
    }
}

/// The number in a delivery. `None` for every other frame.
pub fn said(payload: &[u8]) -> Option<u64> {
    let digits = &payload[find(payload, MARK.as_bytes())? + MARK.len()..];
    let number = digits.iter().take_while(|byte| byte.is_ascii_digit());
    Some(number.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// A server of `benches/node`.
pub struct NodeServer {
    child: Child,
    pub address: SocketAddr,
}

impl NodeServer {
    /// `None` if Node is not installed.
    pub fn start(script: &str, arguments: &[String]) -> Option<Self> {
        use std::io::BufRead;
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/node");
        if !directory.join("node_modules/fastify").exists() {
            let installed = Command::new("npm").arg("ci").current_dir(&directory).stdout(Stdio::null()).status();
            installed.ok().filter(|status| status.success())?;
        }
        let mut child = Command::new("node")
            .arg(script)
            .args(arguments)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        let address = line.trim().strip_prefix("listening on http://")?.parse().ok()?;
        Some(Self { child, address })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for NodeServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
