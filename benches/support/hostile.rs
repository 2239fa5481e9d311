//! Clients that hold connections and give nothing for them, as processes of their own: one process may not open as many
//! files as the node must bear.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use super::{frames::realtime_token, load::block_on, socket, world::Session};

/// What a connection does.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Listens,
    SendsNothing,
    SlowHead,
    BodyNeverComes,
    FileNotRead,
    // These come again as fast as they can.
    LargeFrames,
    CompressionBomb,
    ConnectsOnly,
}

/// Each kind, its name, and how many connections of it come when no other kind does.
pub const KINDS: [(Kind, &str, usize); 8] = [
    (Kind::Listens, "sockets that only listen", 20_000),
    (Kind::SendsNothing, "nothing sent", 20_000),
    (Kind::SlowHead, "heads that come slowly", 20_000),
    (Kind::BodyNeverComes, "bodies that never come", 20_000),
    (Kind::FileNotRead, "static files not read", 20_000),
    (Kind::LargeFrames, "frames too large", 1_000),
    (Kind::CompressionBomb, "compression bombs", 200),
    (Kind::ConnectsOnly, "connects without end", 200),
];

impl Kind {
    fn needs_realtime_token(self) -> bool {
        matches!(self, Self::Listens | Self::LargeFrames | Self::CompressionBomb)
    }

    fn is_patient(self) -> bool {
        !matches!(self, Self::LargeFrames | Self::CompressionBomb | Self::ConnectsOnly)
    }
}

/// The first argument of a process that is hostile.
const ROLE: &str = "hostile";
/// Who opens the connections; each of them has some.
const PEOPLE: usize = 1_000;

pub struct Hostile(Child);

impl Hostile {
    pub fn start(kind: usize, count: usize, address: SocketAddr, people: &[Session]) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut child = Command::new(program)
            .args([ROLE, &kind.to_string(), &count.to_string(), &address.to_string()])
            .stdin(Stdio::piped())
            // It may still be asking for tokens when the node stops.
            .stderr(Stdio::null())
            .spawn()
            .expect("the hostile process starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        for person in people.iter().take(PEOPLE) {
            writeln!(stdin, "{} {}", person.id, person.partner).expect("the process reads");
        }
        Self(child)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Acts as a hostile process, without end, if the arguments ask for one.
pub fn act() {
    let args: Vec<String> = std::env::args().skip(1).take(4).collect();
    let [role, kind, count, address] = &args[..] else { return };
    if role != ROLE {
        return;
    }
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let (kind, count, address) = (KINDS[number(kind)].0, number(count), address.parse().expect("an address"));
    let people = io::stdin().lines().map_while(Result::ok).filter_map(|line| {
        let (session, token) = line.split_once(' ')?;
        Some(Person { session: session.to_owned(), token: token.to_owned(), realtime: None })
    });
    let mut people: Vec<Person> = people.collect();
    if kind.needs_realtime_token() {
        for person in &mut people {
            person.realtime = Some(realtime_token(address, &person.token));
        }
    }
    block_on(async {
        let people: Vec<Rc<Person>> = people.into_iter().map(Rc::new).collect();
        let connections = (0..count).map(|n| {
            let person = people[n % people.len()].clone();
            tokio::task::spawn_local(async move {
                // All at once would be a storm of SYNs that the kernel drops, not the node's affair.
                sleep(Duration::from_micros(250) * n as u32).await;
                loop {
                    let _ = once(kind, address, &person).await;
                    if kind.is_patient() {
                        sleep(Duration::from_secs(1)).await;
                    }
                }
            })
        });
        futures_util::future::join_all(connections.collect::<Vec<_>>()).await;
    });
}

struct Person {
    session: String,
    token: String,
    realtime: Option<String>,
}

/// One connection, until the node ends it.
async fn once(kind: Kind, address: SocketAddr, person: &Person) -> io::Result<()> {
    match kind {
        Kind::Listens => listen(address, person).await,
        Kind::LargeFrames => large_frames(address, person).await,
        Kind::CompressionBomb => {
            let token = data_encoding::BASE64.encode(person.realtime.as_deref().unwrap_or_default().as_bytes());
            let bomb = bomb();
            let head = format!(
                "POST /channels/x/messages HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            );
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(bomb).await?;
            until_closed(stream).await
        }
        Kind::ConnectsOnly => {
            TcpStream::connect(address).await?;
            Ok(())
        }
        Kind::SendsNothing => until_closed(TcpStream::connect(address).await?).await,
        Kind::SlowHead => {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: bench\r\nX: ").await?;
            loop {
                sleep(Duration::from_secs(1)).await;
                stream.write_all(b"x").await?;
            }
        }
        Kind::BodyNeverComes => {
            let head = format!(
                "POST /api/v1/sessions/{}/empathy/draft HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{",
                person.session, person.token
            );
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(head.as_bytes()).await?;
            until_closed(stream).await
        }
        Kind::FileNotRead => {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4_096)?;
            let mut stream = socket.connect(address).await?;
            stream.write_all(&b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: bench\r\n\r\n".repeat(8)).await?;
            loop {
                // Nothing is read. Writing tells when the node has closed.
                sleep(Duration::from_secs(1)).await;
                stream.write_all(b"\r\n").await?;
            }
        }
    }
}

async fn until_closed(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1_024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

async fn open(address: SocketAddr, person: &Person) -> io::Result<(socket::Sender, socket::Receiver)> {
    let token = person.realtime.as_deref().unwrap_or_default();
    socket::open(address, &format!("/?v=5&format=json&access_token={token}")).await
}

async fn listen(address: SocketAddr, person: &Person) -> io::Result<()> {
    let (sender, mut receiver) = open(address, person).await?;
    receiver.until("connectionId").await?;
    let attach = format!(r#"{{"action":10,"channel":"meetwithoutfear:session:{}"}}"#, person.session);
    sender.send(&socket::frame(&attach)).await?;
    loop {
        receiver.next().await?;
    }
}

/// A frame that says it is of 1 GiB, and as much of it as the node takes.
async fn large_frames(address: SocketAddr, person: &Person) -> io::Result<()> {
    let (sender, mut receiver) = open(address, person).await?;
    receiver.until("connectionId").await?;
    sender.send(&[&[0x81, 0x80 | 127][..], &(1_u64 << 30).to_be_bytes(), &[0; 4]].concat()).await?;
    let reading = tokio::task::spawn_local(async move { while receiver.next().await.is_ok() {} });
    let part = vec![b'x'; 1 << 16];
    while !reading.is_finished() {
        sender.send(&part).await?;
    }
    Ok(())
}

/// 64 MiB of zeros.
fn bomb() -> &'static [u8] {
    static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BOMB.get_or_init(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            encoder.write_all(&vec![0; 1 << 20]).expect("memory can be written");
        }
        encoder.finish().expect("memory can be written")
    })
}
