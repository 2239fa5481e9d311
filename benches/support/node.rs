//! `tandem serve` of this build, as a process of its own.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{load, process};

pub const SECRET: &str = "a secret for benches only, long enough for HS256";

pub struct Node {
    child: Child,
    pub address: SocketAddr,
    /// The time from the start of the process until it listens.
    pub started_in: Duration,
}

/// Settings as environment variables, without the prefix: `("SESSIONS__IDLE_AFTER", "1h")`.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

impl Node {
    pub fn start(data: &Path, engine: &str, settings: Settings<'_>) -> Self {
        let log = File::options().create(true).append(true).open(data.with_extension("log")).expect("a log file");
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("TANDEM__AUTH__HS256_SECRET", SECRET)
            .env("TANDEM__STORE__ENGINE", engine)
            .envs(settings.iter().map(|(name, value)| (format!("TANDEM__{name}"), value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        stdout.read_line(&mut first).expect("the server says where it listens");
        let started_in = begun.elapsed();
        std::thread::spawn(move || stdout.lines().for_each(drop));
        let address = first.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("the server said {first:?}; see {}.log", data.display()));
        Self { child, address, started_in }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn resident(&self) -> u64 {
        process::resident(self.pid())
    }

    pub fn cpu(&self) -> Duration {
        process::cpu(self.pid())
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> load::Answer {
        let requests = vec![load::request("GET", path, token, None)];
        load::all(self.address, 1, requests).pop().expect("one request has one answer")
    }

    /// A sample of `/metrics`; labels are part of the name.
    pub fn metric(&self, name: &str) -> f64 {
        let answer = self.get("/metrics", None);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let sample = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        sample.unwrap_or(f64::NAN)
    }

    /// The number of the journal's flushes since the start of the process.
    pub fn flushes(&self) -> f64 {
        self.metric("tandem_journal_group_commits_count")
    }

    /// Sends SIGTERM, waits until the process has ended, and returns how long that took.
    pub fn stop(mut self) -> Duration {
        let begun = Instant::now();
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        self.child.wait().expect("the server ends");
        begun.elapsed()
    }

    pub fn kill(mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the server can be killed");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a directory on the disk of the build, because the usual temporary directory may be in memory.
pub fn data_directory(name: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let directory = directory.expect("a directory for the data");
    let path = directory.path().join(name);
    (directory, path)
}
