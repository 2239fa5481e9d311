//! Where rows are kept: in a directory of this machine or in a database. What can be done with a store depends on it.

use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use serde::Deserialize;
use tandem_actors::ports::Store;

use super::{
    Backups, CopyError, CopyReport, DumpError, Engine, InvalidLocation, Location, Options, Progress, RepairReport,
    StoreOpenError, VerifyReport, copy as copying, dump as dumping,
    open::{self, read_rows},
    postgres::{self, Address, DirectRows, InvalidAddress, PostgresError},
    rekey,
    repair::{self, RepairError},
    rows::{Rows, Strictness},
    verify,
};

/// What `store.engine` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// [`Engine::Sled`]; the default.
    Sled,
    /// [`Engine::Redb`].
    Redb,
    /// A PostgreSQL database.
    Postgres,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A journal with an engine behind it.
    Directory(Location),
    /// A PostgreSQL database.
    Postgres {
        /// Where it is.
        address: Address,
        /// The directory in which this machine notes which database it was.
        here: PathBuf,
    },
}

/// A text that is no place of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// Neither a directory nor an address.
    #[error("{0}, or an address as postgres://USER@HOST:5432/DATABASE")]
    Location(#[from] InvalidLocation),
    /// An address that cannot be used.
    #[error("the address of a database {0}")]
    Address(#[from] InvalidAddress),
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        // An address of any kind may hold a password, which the error of an address does not show.
        if text.starts_with("postgres") || text.contains("://") {
            return Ok(Self::Postgres { address: text.parse()?, here: PathBuf::new() });
        }
        Ok(Self::Directory(text.parse()?))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(location) => location.fmt(f),
            Self::Postgres { address, .. } => address.fmt(f),
        }
    }
}

impl Place {
    /// The place that the settings name. `path` is the directory on this machine. (Settings without the address of a
    /// database are refused earlier.)
    pub fn of(kind: StoreKind, url: Option<&Address>, path: PathBuf) -> Self {
        match (kind, url) {
            (StoreKind::Postgres, Some(address)) => Self::Postgres { address: address.clone(), here: path },
            (StoreKind::Redb, _) => Self::Directory(Location { engine: Engine::Redb, path }),
            (StoreKind::Sled | StoreKind::Postgres, _) => Self::Directory(Location { engine: Engine::Sled, path }),
        }
    }

    /// The directory on this machine.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(location) => &location.path,
            Self::Postgres { here, .. } => here,
        }
    }

    /// The directory without its engine, or the address.
    pub fn without_engine(&self) -> String {
        match self {
            Self::Directory(location) => location.path.display().to_string(),
            Self::Postgres { address, .. } => address.to_string(),
        }
    }

    /// Opens the store, and makes it if nothing is there.
    ///
    /// # Errors
    /// In one line.
    pub fn open(&self, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
        match self {
            Self::Directory(location) => open::open(location, options),
            Self::Postgres { address, here } => postgres::open(address, here, options),
        }
    }

    /// As [`Place::open`], with what takes backups of the store while it is used. A database has its own.
    ///
    /// # Errors
    /// In one line.
    pub fn open_with_backups(&self, options: &Options) -> Result<(Arc<dyn Store>, Option<Backups>), StoreOpenError> {
        match self {
            Self::Directory(location) => {
                open::open_with_backups(location, options).map(|(store, backups)| (store, Some(backups)))
            }
            Self::Postgres { address, here } => postgres::open(address, here, options).map(|store| (store, None)),
        }
    }

    /// What [`Place::open`] would say, as far as that can be told without opening; false if nothing is there yet.
    /// Changes nothing.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn inspect(&self, options: &Options) -> Result<bool, StoreOpenError> {
        match self {
            Self::Directory(location) => open::inspect(location, options),
            Self::Postgres { address, .. } => postgres::inspect(address, options),
        }
    }

    /// Reads everything that is stored, and names what is damaged. `progress` gets the number of rows so far.
    ///
    /// # Errors
    /// If there is no store, or it cannot be read.
    pub fn verify(&self, options: &Options, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport, StoreOpenError> {
        match self {
            Self::Directory(location) => verify::verify_reporting(location, options, progress),
            Self::Postgres { address, .. } => verify::verify_rows(
                &DirectRows::read(address, options, Strictness::Lenient)?,
                &address.to_string(),
                progress,
            ),
        }
    }

    /// Puts what is not damaged in the place of a damaged store.
    ///
    /// # Errors
    /// If it cannot be repaired. A database is not repaired here.
    pub fn repair(&self, options: &Options) -> Result<RepairReport, RepairError> {
        match self {
            Self::Directory(location) => repair::repair(location, options),
            Self::Postgres { address, .. } => Err(RepairError::from(StoreOpenError::from(PostgresError::NotForIt {
                address: address.clone(),
                doing: "`tandem store repair`",
                instead: "bring it back from PostgreSQL's own backup; `tandem store verify` names the rows that are damaged",
            }))),
        }
    }

    /// Gives an encrypted store another key of the operator, from this file.
    ///
    /// # Errors
    /// If it is not encrypted, or with another key than `options` names. A database is not encrypted here.
    pub fn rekey(&self, options: &Options, new: &Path) -> Result<(), StoreOpenError> {
        match self {
            Self::Directory(location) => rekey::rekey(location, options, new),
            Self::Postgres { address, .. } => Err(StoreOpenError::from(PostgresError::NotForIt {
                address: address.clone(),
                doing: "`tandem store rekey`",
                instead: "encrypt the disk of the database",
            })),
        }
    }

    /// Its rows, to be read.
    fn rows(&self, options: &Options, strictness: Strictness) -> Result<Box<dyn Rows>, StoreOpenError> {
        match self {
            Self::Directory(location) => read_rows(location, options, strictness),
            Self::Postgres { address, .. } => Ok(Box::new(DirectRows::read(address, options, strictness)?)),
        }
    }
}

/// Writes all rows of the store, with what people wrote if `words` is set. Returns how many there were; `progress` gets
/// how many there are so far.
///
/// # Errors
/// If there is no store, or it cannot be read.
pub fn dump(
    place: &Place,
    options: &Options,
    words: bool,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, DumpError> {
    if let Place::Directory(location) = place {
        dumping::check_there(location)?;
    }
    let rows = place.rows(options, Strictness::Lenient)?;
    dumping::dump_rows(rows.as_ref(), place, words, out, progress)
}

/// Copies the store at `from` to `to`, where no store may be.
///
/// # Errors
/// If either cannot be used, or the copy is not the same.
pub fn copy(
    from: &Place,
    to: &Place,
    options: &Options,
    mut progress: impl FnMut(Progress),
) -> Result<CopyReport, CopyError> {
    if let Place::Directory(location) = from {
        copying::check_source(location)?;
    }
    let source = from.rows(options, Strictness::Strict)?;
    let job = copying::Job { source: source.as_ref(), from, to };
    match to {
        Place::Directory(location) => copying::into_directory(&job, location, options, &mut progress),
        Place::Postgres { address, .. } => {
            let target = DirectRows::fill(address, options).map_err(StoreOpenError::from)?;
            let copied = job.run(&target, &mut progress).and_then(|report| {
                target.complete().map_err(|error| CopyError::Write(to.clone(), error)).map(|()| report)
            });
            copied.inspect_err(|_| target.give_up())
        }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self::Directory(location)
    }
}
