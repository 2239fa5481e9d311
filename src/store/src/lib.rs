//! The store is a journal with one of two embedded engines behind it, or a PostgreSQL database.
//!
//! - A group of commits is one record of the journal. `commit` returns when the record has survived an fdatasync.
//! - Readers see only durable rows.
//! - After the first failure nothing is acknowledged any more. A failed sync is never repeated, because the kernel may
//!   have dropped the pages.
//! - [`open()`] creates or opens the directory. Its error is one line.

mod acknowledged;
mod address;
mod aead;
mod backup;
mod cipher;
mod copy;
#[cfg(debug_assertions)]
pub mod debug;
mod digests;
mod directory;
mod disk;
mod dump;
mod engine;
mod envelope;
mod error;
mod fence;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzz_tests;
mod identity;
mod journaled;
mod keyring;
mod names;
mod new_store;
mod open;
mod open_engine;
mod own_rows;
mod password;
mod place;
mod postgres;
mod recent;
mod redb;
mod rekey;
mod repair;
mod room;
mod row_check;
mod rows;
mod seal;
#[cfg(feature = "simulation")]
pub mod simulated;
mod sled;
mod spare;
mod verify;
mod watch;

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;

pub use self::{
    address::{Address, InvalidAddress},
    backup::{
        BackupError, BackupListing, BackupProgress, BackupReport, Backups, ImportError, Manifest, RestorePlan,
        RestorePoint, RestoreProgress, RestoreReport, SecretFile, list, plan,
    },
    copy::{CopyError, CopyReport, Phase, Progress, copy},
    disk::{Disk, RealDisk},
    dump::{DumpError, dump},
    envelope::Envelope,
    error::{PostgresError, StoreOpenError},
    files::{create_directory, replace_file},
    journaled::Rekeying,
    keyring::{MasterKey, MasterKeyError},
    new_store::fill,
    open::{is_there, open, open_with_backups},
    password::Password,
    place::Place,
    postgres::{LeaseClock, Member, NodeSeen, Owner, Sight, Standby, fleet_nodes},
    repair::{RepairError, RepairReport, repair},
    room::{RoomLeft, Space},
    verify::{VerifyReport, verify, verify_reporting},
    watch::{DatabaseWatch, DiskWatch, StallWatch},
};

/// The `store` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Where the rows are. A directory of one engine cannot be opened with the other: see `tandem store copy`.
    pub engine: StoreKind,
    /// The store's directory. Empty: `store` in the data directory.
    pub path: PathBuf,
    /// The database, with `engine = "postgres"`.
    pub url: Option<Address>,
    /// The password of the user in `url`.
    pub password: Option<Password>,
    /// A PEM file with the certificate of the authority that the database's server belongs to. Empty: Mozilla's list.
    pub ca: PathBuf,
    /// The engine's cache, in MiB.
    pub cache_mib: u64,
    /// Bytes of the disk that are kept free, but not more than a twentieth of it.
    pub min_free: u64,
    /// A file with 64 hexadecimal digits: the key with which all values are encrypted. Empty: no encryption.
    pub encryption_key_file: PathBuf,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            engine: StoreKind::Sled,
            path: PathBuf::new(),
            url: None,
            password: None,
            ca: PathBuf::new(),
            cache_mib: 256,
            min_free: 256 << 20,
            encryption_key_file: PathBuf::new(),
        }
    }
}

/// The engine behind the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// A log-structured tree; the default.
    Sled,
    /// A copy-on-write B-tree in one file.
    Redb,
}

impl Engine {
    /// All engines.
    pub const ALL: [Engine; 2] = [Engine::Sled, Engine::Redb];

    /// The engine's name in settings, locations and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Sled => "sled",
            Engine::Redb => "redb",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The values of `store.engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// [`Engine::Sled`]; the default.
    Sled,
    /// [`Engine::Redb`].
    Redb,
    /// A PostgreSQL database.
    Postgres,
}

impl StoreKind {
    /// The engine of a store in a directory.
    pub const fn engine(self) -> Option<Engine> {
        match self {
            Self::Sled => Some(Engine::Sled),
            Self::Redb => Some(Engine::Redb),
            Self::Postgres => None,
        }
    }

    /// What the operator can do about damaged rows.
    pub const fn after_damage(self) -> &'static str {
        match self {
            Self::Sled | Self::Redb => {
                "stop the node, see what `tandem store verify` names, and restore an older backup or run `tandem store repair`"
            }
            Self::Postgres => {
                "see what `tandem store verify` names, and restore an older backup into another database, or PostgreSQL's own"
            }
        }
    }
}

impl From<Engine> for StoreKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Sled => Self::Sled,
            Engine::Redb => Self::Redb,
        }
    }
}

/// Where a store is: `sled:PATH` or `redb:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The engine that made the directory.
    pub engine: Engine,
    /// The store's directory.
    pub path: PathBuf,
}

/// A text that is not a location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' must be sled:DIRECTORY or redb:DIRECTORY")]
pub struct InvalidLocation(String);

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let parsed = text.split_once(':').filter(|(_, path)| !path.is_empty()).and_then(|(name, path)| {
            let engine = Engine::ALL.into_iter().find(|engine| engine.name() == name)?;
            Some(Self { engine, path: path.into() })
        });
        parsed.ok_or_else(|| InvalidLocation(text.to_owned()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.engine, self.path.display())
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// As [`StoreSettings::cache_mib`].
    pub cache_mib: u64,
    /// As [`StoreSettings::min_free`].
    pub min_free: u64,
    /// As [`StoreSettings::encryption_key_file`].
    pub encryption_key_file: Option<PathBuf>,
    /// Creates a store even if an interrupted copy is there.
    pub start_afresh: bool,
    /// The journal in front of the engine.
    pub journal: JournalOptions,
    /// Checks every page of the engine's file, which takes long. Only redb can do this.
    pub check_engine: bool,
    /// Syncs files.
    pub disk: Arc<dyn Disk>,
    /// The disk of the journal, if it is not the real disk.
    pub journal_disk: Option<Arc<dyn tandem_wal::Disk>>,
    /// The clock for the time of each group in the journal.
    pub now: fn() -> Timestamp,
    /// As [`StoreSettings::password`].
    pub password: Option<Password>,
    /// As [`StoreSettings::ca`].
    pub authority: Option<PathBuf>,
    /// Makes a store in a database that has none.
    pub may_make: bool,
    /// This node's place in the fleet, if it is in one.
    pub member: Option<Arc<Member>>,
}

/// The sizes of the journal, and when checkpoints are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Bytes of all segments.
    pub max_bytes: u64,
    /// Bytes of memory for rows that the engine does not have yet.
    pub recent_bytes: u64,
    /// A checkpoint is due when this many bytes of rows wait,
    pub checkpoint_bytes: u64,
    /// or when the oldest of them has waited this long.
    pub checkpoint_after: Duration,
    /// How long a store may write to the engine while it closes. The next start reads the rest from the journal.
    pub closing: Duration,
    /// The database is rewritten when it takes more bytes than this on the disk, and much more than its rows.
    pub rewrite_from: u64,
    /// Begins a rewrite after each rewrite, for tests.
    #[doc(hidden)]
    pub rewrite_always: bool,
    /// Writes in the wrong order, for a test that must detect it.
    #[doc(hidden)]
    pub checkpoint_before_rows: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            max_bytes: 1 << 30,
            recent_bytes: 64 << 20,
            checkpoint_bytes: 16 << 20,
            checkpoint_after: Duration::from_secs(30),
            closing: Duration::from_millis(800),
            rewrite_from: 64 << 20,
            rewrite_always: false,
            checkpoint_before_rows: false,
        }
    }
}

impl JournalOptions {
    fn segments(&self) -> tandem_wal::LogSizes {
        tandem_wal::LogSizes { segment: self.segment_bytes, most: self.max_bytes, ready: 1 }
    }
}

impl Options {
    fn wal_disk(&self) -> Arc<dyn tandem_wal::Disk> {
        self.journal_disk.clone().unwrap_or_else(|| Arc::new(disk::JournalDisk(self.disk.clone())))
    }
}

impl Default for Options {
    fn default() -> Self {
        let StoreSettings { cache_mib, min_free, .. } = StoreSettings::default();
        Self {
            cache_mib,
            min_free,
            encryption_key_file: None,
            start_afresh: false,
            journal: JournalOptions::default(),
            check_engine: false,
            disk: Arc::new(RealDisk),
            journal_disk: None,
            now: system_time,
            password: None,
            authority: None,
            may_make: true,
            member: None,
        }
    }
}

fn system_time() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
