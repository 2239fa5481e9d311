//! A closed loop over raw keep-alive HTTP/1.1: every connection sends its next request when the last one is answered.
//! One thread, requests made beforehand, answers read and not parsed: the driver takes a few microseconds of CPU per
//! request.

use std::{
    cell::RefCell,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// The status, and the range of the body in the buffer.
    async fn call(&mut self, request: &[u8]) -> io::Result<(u16, std::ops::Range<usize>)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, body)) = head(&self.buffer)?
                && self.buffer.len() >= body.end
            {
                return Ok((status, body));
            }
        }
    }

    pub async fn status(&mut self, request: &[u8]) -> io::Result<u16> {
        self.call(request).await.map(|(status, _)| status)
    }

    pub async fn answer(&mut self, request: &[u8]) -> io::Result<Answer> {
        let (status, body) = self.call(request).await?;
        Ok(Answer { status, body: self.buffer[body].to_vec() })
    }
}

fn head(bytes: &[u8]) -> io::Result<Option<(u16, std::ops::Range<usize>)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid("a head that is not text"))?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).ok_or_else(|| invalid("no status"))?;
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.ok_or_else(|| invalid("no content-length"))?;
    Ok(Some((status, end + 4..end + 4 + length)))
}

/// One request's bytes.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let body = body.unwrap_or_default();
    let content = if method == "GET" {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n{authorization}{content}\r\n{body}").into_bytes()
}

pub struct Measured {
    pub requests: u64,
    /// Answers other than 2xx.
    pub refused: u64,
    pub elapsed: Duration,
    /// All answers, including those of the warm-up.
    pub answered: u64,
    /// The sorted latencies.
    latencies: Vec<Duration>,
}

impl Measured {
    pub fn of(mut latencies: Vec<Duration>, refused: u64, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let requests = latencies.len() as u64;
        Self { requests, refused, elapsed, answered: requests, latencies }
    }

    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    pub fn quantile(&self, q: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * q).round() as usize).copied().unwrap_or_default()
    }
}

/// Drives `connections` for a while; `next(connection, n)` names the n-th request of a connection.
pub fn drive<'a>(
    address: SocketAddr,
    connections: usize,
    warm_up: Duration,
    measured: Duration,
    next: impl Fn(usize, usize) -> &'a [u8],
) -> Measured {
    let latencies = RefCell::new(Vec::with_capacity(1 << 20));
    let refused = RefCell::new(0);
    let answered = std::cell::Cell::new(0);
    block_on(async {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(address).await.expect("the server accepts connections"));
        }
        let begin = Instant::now() + warm_up;
        let end = begin + measured;
        let loops = open.into_iter().enumerate().map(|(index, mut connection)| {
            let (latencies, refused, answered, next) = (&latencies, &refused, &answered, &next);
            async move {
                for n in 0.. {
                    let sent = Instant::now();
                    if sent >= end {
                        break;
                    }
                    let (status, _) = connection.call(next(index, n)).await.expect("the server answers");
                    let now = Instant::now();
                    answered.set(answered.get() + 1);
                    if sent >= begin && now <= end {
                        latencies.borrow_mut().push(now - sent);
                        *refused.borrow_mut() += u64::from(status >= 300);
                    }
                }
            }
        });
        futures_util::future::join_all(loops).await;
    });
    let measured = Measured::of(latencies.into_inner(), refused.into_inner(), measured);
    Measured { answered: answered.get(), ..measured }
}

/// Sends all requests over a few connections; the answers come in the order of the requests.
pub fn all(address: SocketAddr, connections: usize, requests: Vec<Vec<u8>>) -> Vec<Answer> {
    let total = requests.len();
    let waiting = Rc::new(RefCell::new(requests.into_iter().enumerate()));
    let answers = Rc::new(RefCell::new(Vec::with_capacity(total)));
    block_on(async {
        let tasks = (0..connections.min(total)).map(|_| {
            let (waiting, answers) = (waiting.clone(), answers.clone());
            async move {
                let mut connection = Connection::open(address).await.expect("the server accepts connections");
                loop {
                    let Some((index, request)) = waiting.borrow_mut().next() else { break };
                    let answer = connection.answer(&request).await.expect("the server answers");
                    answers.borrow_mut().push((index, answer));
                }
            }
        });
        futures_util::future::join_all(tasks).await;
    });
    let mut answers = Rc::into_inner(answers).expect("the tasks are over").into_inner();
    answers.sort_unstable_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Like [`all`], but every answer must be 2xx: for preparations.
pub fn all_succeed(address: SocketAddr, requests: Vec<Vec<u8>>) -> Vec<serde_json::Value> {
    let answers = all(address, 64, requests);
    let data = answers.into_iter().map(|answer| {
        let mut json = answer.json();
        assert!(answer.status < 300, "a preparation was refused with {}: {json}", answer.status);
        json["data"].take()
    });
    data.collect()
}

/// Sends requests one after the other on one connection, and measures the latency of each.
pub fn one_by_one(address: SocketAddr, requests: &[Vec<u8>]) -> Measured {
    let mut latencies = Vec::with_capacity(requests.len());
    let mut refused = 0;
    let begun = Instant::now();
    block_on(async {
        let mut connection = Connection::open(address).await.expect("the server accepts connections");
        for request in requests {
            let sent = Instant::now();
            let (status, _) = connection.call(request).await.expect("the server answers");
            latencies.push(sent.elapsed());
            refused += u64::from(status >= 300);
        }
    });
    Measured::of(latencies, refused, begun.elapsed())
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the driver");
    LocalSet::new().block_on(&runtime, future)
}
