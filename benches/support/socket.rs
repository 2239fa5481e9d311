//! A WebSocket client of a few microseconds: text frames, an all-zero mask (which the RFC allows and nobody has to
//! apply), and payloads that are searched, not parsed.

use std::{io, net::SocketAddr, ops::Range, rc::Rc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// The sending half; cheap to share within the driver's thread.
#[derive(Clone)]
pub struct Sender(Rc<OwnedWriteHalf>);

impl Sender {
    /// Sends a frame that [`frame`] made.
    pub async fn send(&self, frame: &[u8]) -> io::Result<()> {
        let mut rest = frame;
        while !rest.is_empty() {
            match self.0.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

pub struct Receiver {
    stream: OwnedReadHalf,
    sender: Sender,
    buffer: Vec<u8>,
    /// The bytes at the start of the buffer that have been read.
    read: usize,
}

const CONTINUATION_OR_TEXT: Range<u8> = 0..3;
const CLOSE: u8 = 8;
const PING: u8 = 9;

impl Receiver {
    /// The payload of the next text frame.
    pub async fn next(&mut self) -> io::Result<&[u8]> {
        loop {
            while let Some((opcode, payload)) = frame_at(&self.buffer[self.read..]) {
                let payload = payload.start + self.read..payload.end + self.read;
                self.read = payload.end;
                match opcode {
                    CLOSE => return Err(io::ErrorKind::ConnectionAborted.into()),
                    PING => {
                        let pong = [&[0x8a, 0x80 | payload.len() as u8, 0, 0, 0, 0], &self.buffer[payload]].concat();
                        self.sender.send(&pong).await?;
                    }
                    opcode if CONTINUATION_OR_TEXT.contains(&opcode) => return Ok(&self.buffer[payload]),
                    _ => {}
                }
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads frames until one contains `text`.
    pub async fn until(&mut self, text: &str) -> io::Result<()> {
        while !contains(self.next().await?, text.as_bytes()) {}
        Ok(())
    }
}

pub async fn open(address: SocketAddr, path: &str) -> io::Result<(Sender, Receiver)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let upgrade = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut buffer = Vec::new();
    let end = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&buffer).into_owned()));
    }
    let (stream, writer) = stream.into_split();
    let sender = Sender(Rc::new(writer));
    Ok((sender.clone(), Receiver { stream, sender, buffer, read: end }))
}

/// A text frame as a client sends it.
pub fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()).expect("a short frame") {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&long.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// The opcode and the range of the payload, once a frame of the server is complete.
fn frame_at(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
    let opcode = bytes.first()? & 0x0f;
    let (start, length) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= start + length).then_some((opcode, start..start + length))
}

pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    find(bytes, text).is_some()
}

pub fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let (first, rest) = text.split_first()?;
    let mut from = 0;
    loop {
        from += bytes[from..].iter().position(|byte| byte == first)? + 1;
        if bytes[from..].starts_with(rest) {
            return Some(from - 1);
        }
    }
}
