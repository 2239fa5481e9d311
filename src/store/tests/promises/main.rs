//! Stores: the same contract on every engine, after a kill, after a power cut.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as promised")]
#![allow(clippy::print_stdout, reason = "a test says how much it has tried")]

mod backup;
mod contract;
mod crash;
mod damage;
mod directory;
mod failure;
mod flips;
mod journal;
mod postgres;
mod postgres_backup;
mod power;
mod rekey;
mod repair;
mod rewrite;
mod takeover;
mod workload;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tandem_actors::{
    domain::ids::SessionId,
    keys::Key,
    ports::{Change, Commit, Direction, Fence, OwnerEpoch, Store},
};
use tandem_store::{self as store, Engine, JournalOptions, Location, Options, StoreOpenError};

fn location(engine: Engine, path: &Path) -> Location {
    Location { engine, path: path.to_owned() }
}

fn open(engine: Engine, path: &Path) -> Arc<dyn Store> {
    try_open(&location(engine, path)).expect("the store opens")
}

/// Segments and checkpoints so small that there are many.
fn small() -> Options {
    let journal = JournalOptions {
        segment_bytes: 128 << 10,
        max_bytes: 64 << 20,
        recent_bytes: 4 << 20,
        checkpoint_bytes: 48 << 10,
        checkpoint_after: Duration::from_millis(20),
        closing: Duration::from_secs(60),
        ..JournalOptions::default()
    };
    Options { journal, ..Options::default() }
}

/// As [`small`]; the engine's rows are always being rewritten.
fn rewriting() -> Options {
    let journal = JournalOptions { rewrite_always: true, ..small().journal };
    Options { journal, min_free: 0, ..small() }
}

/// A file with a key of the operator.
fn key_file(directory: &Path, digits: &str) -> PathBuf {
    let file = directory.join(format!("key-{digits}"));
    std::fs::write(&file, digits.repeat(64 / digits.len())).expect("a file");
    file
}

/// Whether any file below has this text.
fn holds(directory: &Path, text: &[u8]) -> bool {
    directory.read_dir().expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        match std::fs::read(&path) {
            Ok(bytes) => bytes.windows(text.len()).any(|part| part == text),
            Err(_) => path.is_dir() && holds(&path, text),
        }
    })
}

/// Whether the engine's rows were being rewritten, or had been.
fn was_rewritten(store: &Path, engine: Engine) -> bool {
    store.join(format!("{engine}.2")).exists()
}

fn open_small(engine: Engine, path: &Path) -> Arc<dyn Store> {
    try_open_with(&location(engine, path), &small()).expect("the store opens")
}

/// Opens a store that nobody uses.
fn try_open(location: &Location) -> Result<Arc<dyn Store>, StoreOpenError> {
    try_open_with(location, &Options::default())
}

fn try_open_with(location: &Location, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
    until_unlocked(|| store::open(location, options))
}

/// Repeats this while the store is locked. A test beside this one may be starting a process: between fork and exec that
/// one holds whatever was locked here at the fork.
fn until_unlocked<T>(mut attempt: impl FnMut() -> Result<T, StoreOpenError>) -> Result<T, StoreOpenError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match attempt() {
            Err(StoreOpenError::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            outcome => return outcome,
        }
    }
}

fn key(bytes: impl AsRef<[u8]>) -> Key {
    Key::from_bytes(bytes.as_ref())
}

fn put(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Change {
    Change::Put(key(name), Bytes::copy_from_slice(value.as_ref()))
}

fn delete(name: impl AsRef<[u8]>) -> Change {
    Change::Delete(key(name))
}

fn free(changes: Vec<Change>) -> Commit {
    Commit { fence: None, changes }
}

fn fenced(session: &SessionId, epoch: OwnerEpoch, expected: u64, next: u64, changes: Vec<Change>) -> Commit {
    Commit { fence: Some(Fence { session: session.clone(), epoch, expected, next }), changes }
}

fn session(name: &str) -> SessionId {
    format!("c{name:0>24}").parse().expect("a session id")
}

/// Keys of a scan, as text.
fn names(store: &dyn Store, prefix: &[u8], after: Option<&[u8]>, direction: Direction, limit: usize) -> Vec<String> {
    let rows = store.scan(&key(prefix), after.map(key).as_ref(), direction, limit).expect("a scan");
    rows.iter().map(|(key, _)| key.as_bytes().escape_ascii().to_string()).collect()
}
