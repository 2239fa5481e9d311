//! The place of a store: a directory on this machine, or a database. It decides which commands the store supports.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use tandem_actors::ports::Store;

use super::{
    Backups, Engine, ImportError, InvalidLocation, Location, Options, RepairReport, RestoreProgress, StoreKind,
    StoreOpenError, VerifyReport,
    address::{Address, InvalidAddress},
    backup,
    directory::Directory,
    error::PostgresError,
    open::{self, read_rows},
    postgres::{self, DirectRows},
    rekey,
    repair::{self, RepairError},
    rows::{Rows, Strictness},
    verify,
};

/// The place of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A journal with an engine behind it.
    Directory(Location),
    /// A PostgreSQL database.
    Postgres {
        /// The address of the database.
        address: Address,
        /// The directory in which this machine remembers the id of the database.
        here: PathBuf,
    },
}

/// Why a text does not name a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// Neither a directory nor an address.
    #[error("{0}, or an address as postgres://USER@HOST:5432/DATABASE")]
    Location(#[from] InvalidLocation),
    /// An invalid address.
    #[error("the address of a database {0}")]
    Address(#[from] InvalidAddress),
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        // A text with an address may contain a password. The error of an address does not show it.
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

    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// In one line.
    pub fn open(&self, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
        match self {
            Self::Directory(location) => open::open(location, options),
            Self::Postgres { address, here } => postgres::open(address, here, options),
        }
    }

    /// As [`Place::open`], with the means to take backups of the open store.
    ///
    /// # Errors
    /// In one line.
    pub fn open_with_backups(&self, options: &Options) -> Result<(Arc<dyn Store>, Backups), StoreOpenError> {
        match self {
            Self::Directory(location) => open::open_with_backups(location, options),
            Self::Postgres { address, here } => {
                let store = postgres::open(address, here, options)?;
                Ok((store, Backups::of_database(address, options)))
            }
        }
    }

    /// As [`Place::inspect`]. Also refuses a database that a node on this machine uses, from the same data directory.
    ///
    /// # Errors
    /// As [`Place::inspect`]. [`StoreOpenError::Locked`] if it is in use.
    pub fn inspect_unused(&self, options: &Options) -> Result<bool, StoreOpenError> {
        if let Self::Postgres { here, .. } = self {
            Directory::check_free(here, &[])?;
        }
        self.inspect(options)
    }

    /// Makes a store from an export. There must be none yet. The whole file is read and checked before anything is
    /// written.
    ///
    /// # Errors
    /// The first invalid line, or the reason why the store cannot be made.
    pub fn import(
        &self,
        file: &Path,
        options: &Options,
        progress: &mut dyn FnMut(RestoreProgress),
    ) -> Result<u64, ImportError> {
        match self {
            Self::Directory(location) => backup::import(file, location, options, progress),
            Self::Postgres { address, .. } => backup::import_into_database(file, address, options, progress),
        }
    }

    /// Makes the checks of [`Place::open`] that need no open store. False if there is no store yet. It changes nothing.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn inspect(&self, options: &Options) -> Result<bool, StoreOpenError> {
        match self {
            Self::Directory(location) => open::inspect(location, options),
            Self::Postgres { address, .. } => postgres::inspect(address, options),
        }
    }

    /// Reads all rows, and names the damaged ones. `progress` gets the number of rows so far.
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

    /// Replaces a damaged store by a store of its undamaged rows.
    ///
    /// # Errors
    /// If it cannot be repaired. A database is not repaired here.
    pub fn repair(&self, options: &Options) -> Result<RepairReport, RepairError> {
        match self {
            Self::Directory(location) => repair::repair(location, options),
            Self::Postgres { address, .. } => Err(RepairError::from(StoreOpenError::from(PostgresError::NotForIt {
                address: address.clone(),
                doing: "`tandem store repair`",
                instead: "bring it back from PostgreSQL's own backup, or restore one of `tandem backup` into another database; \
                          `tandem store verify` names the rows that are damaged",
            }))),
        }
    }

    /// Gives an encrypted store another operator's key, from this file.
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
    pub(crate) fn rows(&self, options: &Options, strictness: Strictness) -> Result<Box<dyn Rows>, StoreOpenError> {
        match self {
            Self::Directory(location) => read_rows(location, options, strictness),
            Self::Postgres { address, .. } => Ok(Box::new(DirectRows::read(address, options, strictness)?)),
        }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self::Directory(location)
    }
}
