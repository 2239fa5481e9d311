//! What the machine itself can do, measured in the same run: every figure of ours is also a ratio to one of these.

use std::{
    fs::File,
    io::Write,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer, web};
use serde::{Deserialize, Serialize};

use super::load::Measured;

/// Measures how often the disk can append 300 bytes and sync them with `fdatasync`.
pub fn append_and_sync(measured: Duration) -> Measured {
    let (_directory, path) = super::node::data_directory("append");
    let mut file = File::create(path).expect("a file on the data's disk");
    let record = [b'r'; 300];
    let begun = Instant::now();
    let mut latencies = Vec::new();
    while begun.elapsed() < measured {
        let one = Instant::now();
        file.write_all(&record).and_then(|()| file.sync_data()).expect("the disk takes it");
        latencies.push(one.elapsed());
    }
    Measured::of(latencies, 0, begun.elapsed())
}

#[derive(Deserialize)]
struct Said {
    content: String,
}

#[derive(Serialize)]
struct Repeated {
    success: bool,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    length: usize,
    content: String,
}

async fn repeat(said: web::Json<Said>) -> web::Json<Repeated> {
    let content = said.into_inner().content;
    web::Json(Repeated { success: true, data: Data { length: content.len(), content } })
}

pub const TRIVIAL_SERVER: &str = "--trivial-server";

/// Serves the trivial handler if the bench was started with [`TRIVIAL_SERVER`]: it has a process of its own, like the
/// server.
#[expect(clippy::exit, reason = "this process is the server, and nothing else of the bench may run in it")]
pub fn serve_trivial_if_asked() {
    if std::env::args().any(|arg| arg == TRIVIAL_SERVER) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        println!("{}", listener.local_addr().expect("a bound socket has an address"));
        let server = HttpServer::new(|| App::new().route("/say", web::post().to(repeat)));
        let run = async { server.listen(listener)?.run().await };
        actix_web::rt::System::new().block_on(run).expect("the trivial server runs");
        std::process::exit(0);
    }
}

/// The bench's own binary, started a second time as the server to compare with.
pub struct Itself {
    child: std::process::Child,
    pub address: SocketAddr,
}

impl Itself {
    /// `as_what` is the argument that makes the binary a server. Its first line of output is the address.
    pub fn start(as_what: &str) -> Self {
        use std::io::BufRead;
        let binary = std::env::current_exe().expect("the bench's own binary");
        let mut child = std::process::Command::new(binary)
            .arg(as_what)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        std::io::BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Itself {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
