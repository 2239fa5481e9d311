//! The servers that are measured side by side: a trivial handler, Node with Redis, and Tandem.

use std::{
    net::SocketAddr,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    args::Args,
    baseline::{Itself, TRIVIAL_SERVER},
    driver::{Driver, Run},
    load::request,
    node::{Node, SECRET, data_directory},
    process,
    rooms::NodeServer,
    table::{Table, count, micros, millis},
    world::{self, DRAFT, token},
};

/// A server, and the requests that it gets.
pub struct Peer<'a> {
    pub name: &'static str,
    address: SocketAddr,
    pids: Vec<u32>,
    requests: Vec<Vec<u8>>,
    /// Set for Tandem, whose metrics count the flushes.
    node: Option<&'a Node>,
}

/// One run of one server, or the medians of several.
#[derive(Clone, Copy)]
pub struct Figures {
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// CPU time of the server for each request.
    pub cpu: Duration,
    pub flushes: Option<f64>,
}

impl<'a> Peer<'a> {
    pub fn trivial(server: &Itself) -> Self {
        let body = format!(r#"{{"content":"{DRAFT}"}}"#);
        let say = request("POST", "/say", Some(&token("creator-0")), Some(&body));
        Self { name: "trivial", address: server.address, pids: vec![server.pid()], requests: vec![say], node: None }
    }

    pub fn node_and_redis(servers: &NodeAndRedis, sessions: usize) -> Self {
        let peer = Self::saving("node + redis", servers.node.address, servers.node.pid(), sessions);
        Self { pids: vec![servers.node.pid(), servers.redis.0.id()], ..peer }
    }

    /// A server of `benches/node` that saves drafts.
    pub fn saving(name: &'static str, address: SocketAddr, pid: u32, sessions: usize) -> Self {
        let session = |n| world::Session { id: format!("bench-{n}"), ..world::Session::of_people(n) };
        let requests = (0..sessions).map(|n| world::save_draft(&session(n))).collect();
        Self { name, address, pids: vec![pid], requests, node: None }
    }

    pub fn tandem(name: &'static str, node: &'a Node, sessions: &[world::Session]) -> Self {
        let requests = sessions.iter().map(world::save_draft).collect();
        Self { name, address: node.address, pids: vec![node.pid()], requests, node: Some(node) }
    }

    /// A node that passes everything on to the owner of its database.
    pub fn passing(name: &'static str, owner: &'a Node, other: &Node, sessions: &[world::Session]) -> Self {
        let peer = Self::tandem(name, owner, sessions);
        Self { address: other.address, pids: vec![owner.pid(), other.pid()], ..peer }
    }

    fn cpu(&self) -> Duration {
        self.pids.iter().map(|pid| process::cpu(*pid)).sum()
    }

    fn measure(&self, driver: Driver, connections: usize, args: &Args) -> Figures {
        let run = |seconds| driver.run(self.address, connections, &self.requests, seconds);
        run(args.warm_up());
        let (cpu, flushes) = (self.cpu(), self.node.map(Node::flushes));
        let Run { answered, rate, p50, p99 } = run(args.measured());
        let each = answered.max(1) as f64;
        let cpu = (self.cpu() - cpu).div_f64(each);
        let flushes = self.node.map(Node::flushes).zip(flushes).map(|(after, before)| (after - before) / each);
        Figures { rate, p50, p99, cpu, flushes }
    }
}

/// Measures all peers in turns, because the speed of the machine varies, and returns the medians of all rounds.
pub fn in_turns(peers: &[Peer<'_>], driver: Driver, connections: usize, args: &Args) -> Vec<Figures> {
    let mut rounds: Vec<Vec<Figures>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.rounds() {
        for (peer, rounds) in peers.iter().zip(&mut rounds) {
            rounds.push(peer.measure(driver, connections, args));
        }
    }
    rounds.iter().map(|rounds| Figures::median(rounds)).collect()
}

impl Figures {
    /// A table of servers, with columns for the ratios to some of them.
    pub fn table(ratios: &[&str]) -> Table {
        let heads = ["connections", "server", "requests/s"];
        Table::new(&[&heads, ratios, &["p50", "p99", "server CPU", "flushes/command"]].concat())
    }

    /// A row of this table.
    pub fn cells<const N: usize>(
        &self,
        connections: usize,
        peer: &Peer<'_>,
        others: [Option<&Self>; N],
    ) -> Vec<String> {
        let times = |other: Option<&Self>| other.map_or("–".into(), |other| format!("{:.2}", self.rate / other.rate));
        let mut cells = vec![connections.to_string(), peer.name.into(), count(self.rate)];
        cells.extend(others.map(times));
        cells.extend([millis(self.p50), millis(self.p99), micros(self.cpu)]);
        cells.push(self.flushes.map_or("–".into(), |flushes| format!("{flushes:.3}")));
        cells
    }

    fn median(rounds: &[Self]) -> Self {
        fn of<T: Copy>(
            rounds: &[Figures],
            value: impl Fn(&Figures) -> T,
            order: impl Fn(&T, &T) -> std::cmp::Ordering,
        ) -> T {
            let mut values: Vec<T> = rounds.iter().map(value).collect();
            values.sort_by(order);
            values[values.len() / 2]
        }
        Self {
            rate: of(rounds, |one| one.rate, f64::total_cmp),
            p50: of(rounds, |one| one.p50, Ord::cmp),
            p99: of(rounds, |one| one.p99, Ord::cmp),
            cpu: of(rounds, |one| one.cpu, Ord::cmp),
            flushes: of(rounds, |one| one.flushes, |one, other| one.partial_cmp(other).expect("a number")),
        }
    }
}

/// fastify in front of Redis, which syncs its file after each command before it answers.
pub struct NodeAndRedis {
    node: NodeServer,
    redis: Ended,
    _directory: tempfile::TempDir,
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl NodeAndRedis {
    /// Prints what is missing if it cannot start.
    pub fn start(sessions: usize) -> Option<Self> {
        let missing = |what: &str| println!("\nnode + redis is skipped: {what}");
        let (directory, data) = data_directory("redis");
        std::fs::create_dir(&data).expect("a directory for Redis");
        let socket = data.join("socket");
        let redis = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(&data)
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            .stdout(Stdio::null())
            .spawn();
        let Ok(redis) = redis.map(Ended) else {
            missing("redis-server is not installed (Debian: apt install redis-server)");
            return None;
        };
        while UnixStream::connect(&socket).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let arguments = [&socket.to_string_lossy(), SECRET, &sessions.to_string()].map(str::to_owned);
        let node = NodeServer::start("redis.mjs", &arguments);
        if node.is_none() {
            missing("node and npm are not installed, or `npm ci` in benches/node fails");
        }
        Some(Self { node: node?, redis, _directory: directory })
    }
}

pub fn trivial() -> Itself {
    Itself::start(TRIVIAL_SERVER)
}
