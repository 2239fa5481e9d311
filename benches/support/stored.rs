//! Stores with many sessions. One session is made by the real actors; all others are its rows with other ids. A new
//! store is filled with them as a restore does it, in the order of the keys. A session has ten events, a snapshot, and
//! its index rows.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tandem::{config::Settings, store};
use tandem_actors::{
    keys::{self, Key},
    ports::{Direction, Store},
};

use super::{
    args::Args,
    hot::{CREATOR, Heart, PARTNER},
    node::{Node, data_directory},
    table::count,
    world::{self, token},
};

pub const EVENTS: usize = 10;
/// The version of the prepared rows. Raise it when the rows of a session change.
const VERSION: u32 = 2;
/// The prefixes of a session's rows, in order.
const KINDS: &[u8] = b"deilmnosv";

/// A data directory with a given number of sessions.
pub struct Stored {
    pub data: PathBuf,
    pub sessions: usize,
    /// The size of all keys and values in bytes.
    pub live: u64,
    _temporary: Option<tempfile::TempDir>,
}

/// The id of the user who has many of the sessions.
pub const COLLECTOR: &str = "creator-collect";

impl Stored {
    /// Takes the store of an earlier run, or makes one. Only a directory from the arguments is kept after the run.
    pub fn prepare(args: &Args, sessions: usize) -> Self {
        let (temporary, data) = match &args.stored {
            Some(directory) => (None, directory.join(format!("{}-{sessions}", args.engine))),
            None => {
                let (temporary, data) = data_directory("stored");
                (Some(temporary), data)
            }
        };
        let template = Template::record();
        let live = sessions as u64 * template.bytes();
        let stored = Self { data, sessions, live, _temporary: temporary };
        let complete = stored.data.join("complete");
        let expected = format!("{sessions} sessions, rows of version {VERSION}\n");
        if fs::read_to_string(&complete).is_ok_and(|found| found == expected) {
            return stored;
        }
        let _ = fs::remove_dir_all(&stored.data);
        fs::create_dir_all(&stored.data).expect("a directory for the store");
        // A first start of the server writes the rows that every store has.
        Node::start(&stored.data, &args.engine, &[]).stop();
        let begun = Instant::now();
        stored.load(&template, &args.engine);
        let took = begun.elapsed().as_secs_f64();
        println!("  prepared {} sessions in {took:.1} s", count(sessions as f64));
        fs::write(complete, expected).expect("the store is marked as complete");
        stored
    }

    /// Makes the store again, with the rows that it has and those of all sessions.
    fn load(&self, template: &Template, engine: &str) {
        let path = self.data.join("store");
        let location: store::Location = format!("{engine}:{}", path.display()).parse().expect("a location");
        let options = store::Options { cache_mib: 1024, ..Default::default() };
        let first = store::open(&location, &options).expect("the store opens");
        let own = first.scan(&Key::from_bytes([]), None, Direction::Forward, usize::MAX).expect("its rows");
        first.close();
        drop(first);
        fs::remove_dir_all(&path).expect("the store is removed");
        let mut own = own.into_iter().peekable();
        let mut sessions = KINDS.iter().flat_map(|kind| self.rows_of_kind(template, *kind)).peekable();
        let next = || match (own.peek(), sessions.peek()) {
            (Some((one, _)), Some((other, _))) if one > other => sessions.next(),
            (Some(_), _) => own.next(),
            (None, _) => sessions.next(),
        };
        store::fill(&location, &options, std::iter::from_fn(next)).expect("the store is filled");
    }

    /// The rows of all sessions whose keys begin with this byte, in order.
    fn rows_of_kind(&self, template: &Template, kind: u8) -> impl Iterator<Item = (Key, Bytes)> {
        let rows: Vec<_> = template.rows.iter().filter(|[key, _]| key.0.first() == Some(&kind)).collect();
        let keys_of = |n| {
            let ids = self.ids(n);
            rows.iter().enumerate().map(move |(row, [key, _])| (key.with(&ids), n, row)).collect::<Vec<_>>()
        };
        let mut keys: Vec<_> = (0..self.sessions).flat_map(keys_of).collect();
        keys.sort_unstable();
        keys.into_iter().map(move |(key, n, row)| (Key::from_bytes(key), rows[row][1].with(&self.ids(n)).into()))
    }

    /// The ids in the rows of a session: its own, the invitation's, and the users'.
    fn ids(&self, n: usize) -> [String; 4] {
        [id(2 * n), id(2 * n + 1), self.creator(n), format!("partner-{n:07}")]
    }

    /// The sessions of one user: half of all, at most 10,000.
    pub fn collected(&self) -> usize {
        (self.sessions / 2).min(10_000)
    }

    fn creator(&self, n: usize) -> String {
        if n < self.collected() { COLLECTOR.into() } else { format!("creator-{n:07}") }
    }

    pub fn session(&self, n: usize) -> world::Session {
        let partner = token(&format!("partner-{n:07}"));
        world::Session { id: id(2 * n), creator: token(&self.creator(n)), partner }
    }

    /// Up to `most` sessions that have a creator of their own, spread over the whole store.
    pub fn some(&self, most: usize) -> Vec<world::Session> {
        let others = self.sessions - self.collected();
        let every = (others / most).max(1);
        (0..others.min(most)).map(|n| self.session(self.collected() + n * every)).collect()
    }

    /// The size of the engine's files in bytes.
    pub fn on_disk(&self, engine: &str) -> u64 {
        // A rewritten database has another name every second time.
        [engine, &format!("{engine}.2")].map(|name| size_of(&self.data.join("store").join(name))).into_iter().sum()
    }
}

fn size_of(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return fs::metadata(path).map_or(0, |file| file.len()) };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

/// An id for `n`, in an order that is independent of `n`, like random ids.
fn id(n: usize) -> String {
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635;
    format!("c{:016x}{n:08}", mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

/// The rows of one session, with the positions of the ids in them.
struct Template {
    rows: Vec<[Piece; 2]>,
}

/// Bytes with the positions of the ids in them: the offset, and which id.
struct Piece(Vec<u8>, Vec<(usize, usize)>);

impl Template {
    fn record() -> Self {
        let store: Arc<dyn Store> = Arc::new(tandem_testing::MemoryStore::default());
        let recorded = store.clone();
        let ids = actix::System::new().block_on(async move {
            let mut settings = Settings::default();
            settings.sessions.idle_after = Duration::from_millis(50);
            let heart = Heart::start_with(store.clone(), &settings).await;
            let events = || store.scan(&keys::events(&heart.session), None, Direction::Forward, usize::MAX);
            while events().expect("rows").len() < EVENTS {
                heart.save_draft().await;
            }
            heart.asleep().await;
            [heart.session.as_str().to_owned(), heart.invitation.clone(), CREATOR.to_owned(), PARTNER.to_owned()]
        });
        let scan = |kind: &u8| recorded.scan(&Key::from_bytes([*kind]), None, Direction::Forward, usize::MAX);
        let rows = KINDS.iter().flat_map(|kind| scan(kind).expect("rows"));
        let rows = rows.map(|(key, value)| [Piece::of(key.as_bytes(), &ids), Piece::of(&value, &ids)]);
        Self { rows: rows.collect() }
    }

    fn bytes(&self) -> u64 {
        self.rows.iter().flatten().map(|piece| piece.0.len() as u64).sum()
    }
}

impl Piece {
    fn of(bytes: &[u8], ids: &[String; 4]) -> Self {
        let mut places = Vec::new();
        for (which, id) in ids.iter().enumerate() {
            let found = bytes.windows(id.len()).enumerate().filter(|(_, window)| *window == id.as_bytes());
            places.extend(found.map(|(at, _)| (at, which)));
        }
        Self(bytes.to_vec(), places)
    }

    /// Replaces the ids with others of the same length.
    fn with(&self, ids: &[String; 4]) -> Vec<u8> {
        let mut bytes = self.0.clone();
        for (at, which) in &self.1 {
            bytes[*at..at + ids[*which].len()].copy_from_slice(ids[*which].as_bytes());
        }
        bytes
    }
}
