//! How many commands a second a store makes durable, in groups of 1, 16, 64 and 256; how its disk grows; how long a
//! start takes after a kill. A command writes an event of 300 bytes, rewrites a row of 900 and an index row, and
//! deletes one.
//!
//! `cargo bench -p tandem-store -- [--sessions 1000000] [--seconds 2] [--engine sled]`

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measures")]

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tandem_actors::{
    domain::ids::SessionId,
    keys::{self, Key},
    ports::{Change, Commit, Store},
};
use tandem_store::{Engine, Location, Options};

struct Load {
    sessions: u64,
    next: u64,
    event: Bytes,
    row: Bytes,
}

impl Load {
    fn session(&self) -> SessionId {
        format!("c{:0>24}", self.next % self.sessions).parse().expect("an id")
    }

    fn command(&mut self) -> Commit {
        self.next += 1;
        let (session, seq) = (self.session(), self.next / self.sessions + 1);
        let stale = Key::from_bytes([b"k".as_slice(), &self.next.saturating_sub(1000).to_be_bytes()].concat());
        let index = Key::from_bytes([b"k".as_slice(), &self.next.to_be_bytes()].concat());
        let changes = vec![
            Change::Put(keys::event(&session, seq), self.event.clone()),
            Change::Put(keys::snapshot(&session), self.row.clone()),
            Change::Put(index, Bytes::from_static(b"an answer")),
            Change::Delete(stale),
        ];
        Commit { fence: None, changes }
    }

    fn group(&mut self, size: u64) -> Vec<Commit> {
        (0..size).map(|_| self.command()).collect()
    }
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn number(name: &str, default: u64) -> u64 {
    argument(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn open(engine: Engine, path: &Path) -> Arc<dyn Store> {
    tandem_store::open(&Location { engine, path: path.to_owned() }, &Options::default()).expect("the store opens")
}

fn bytes_in(path: &Path) -> u64 {
    let entries = path.read_dir().into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Fills a store, and ends as if killed.
fn fill(engine: Engine, path: &Path, sessions: u64) -> ! {
    let store = open(engine, path);
    let mut load = Load { sessions, next: 0, event: vec![7; 300].into(), row: vec![9; 900].into() };
    while load.next < sessions {
        let group = load.group(512);
        while store.commit(&group).is_err() {}
    }
    end_without_closing();
}

/// As a kill would: the store is not closed.
#[expect(clippy::exit, reason = "the start after a kill is what is measured")]
fn end_without_closing() -> ! {
    std::process::exit(0);
}

fn main() {
    let mut engines =
        Engine::ALL.into_iter().filter(|engine| argument("--engine").is_none_or(|name| name == engine.name()));
    let sessions = number("--sessions", 100_000);
    if let Some(path) = argument("--fill") {
        fill(engines.next_back().expect("an engine"), Path::new(&path), sessions);
    }
    for engine in engines {
        let directory = tempfile::tempdir().expect("a directory");
        measure_rates(engine, &directory.path().join("rates"));
        measure_start(engine, &directory.path().join("start"), sessions);
    }
}

fn measure_rates(engine: Engine, path: &Path) {
    let store = open(engine, path);
    let mut load = Load { sessions: 1000, next: 0, event: vec![7; 300].into(), row: vec![9; 900].into() };
    for size in [1, 16, 64, 256] {
        let (started, before) = (Instant::now(), load.next);
        let mut refused = 0;
        while started.elapsed() < Duration::from_secs(number("--seconds", 2)) {
            let group = load.group(size);
            while store.commit(&group).is_err() {
                refused += 1;
            }
        }
        let rate = (load.next - before) as f64 / started.elapsed().as_secs_f64();
        println!("{engine}: groups of {size:3}: {rate:8.0} durable commands/s, {refused} groups refused");
    }
    let started = Instant::now();
    store.close();
    println!("{engine}: closed in {:?}; {} bytes on the disk a command", started.elapsed(), bytes_in(path) / load.next);
}

fn measure_start(engine: Engine, path: &Path, sessions: u64) {
    let program = std::env::current_exe().expect("this program");
    let filled = Command::new(program)
        .args(["--engine", engine.name(), "--sessions", &sessions.to_string(), "--fill"])
        .arg(path)
        .status();
    assert!(filled.expect("it runs").success());
    for start in ["after a kill", "after an orderly stop"] {
        let started = Instant::now();
        let store = open(engine, path);
        let opened = started.elapsed();
        println!("{engine}: {sessions} sessions, {start}: open in {opened:?}, {} MiB", bytes_in(path) >> 20);
        store.close();
    }
}
