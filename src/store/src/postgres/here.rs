//! The directory in which this machine remembers its database:
//!
//! ```text
//! lock          held while the store is open; names the holder
//! cluster       the id of the database
//! acknowledged  the number of the last group that was acknowledged
//! ```
//!
//! A machine that loses this directory loses only these checks.

use std::{fs, io, path::Path};

use crate::{StoreOpenError, directory::Directory, files::replace_file};

pub(super) const CLUSTER: &str = "cluster";

/// The directory of a database's store.
pub(super) struct Here(Directory);

impl Here {
    /// Opens the directory, or makes it.
    pub fn lock(path: &Path) -> Result<Self, StoreOpenError> {
        Directory::lock(path).map(Self)
    }

    pub fn path(&self) -> &Path {
        self.0.root()
    }

    /// The id of the database, if it is known.
    pub fn cluster(&self) -> Result<Option<String>, StoreOpenError> {
        match fs::read_to_string(self.path().join(CLUSTER)) {
            Ok(cluster) => Ok(Some(cluster.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreOpenError::of(self.path(), "read its file named cluster", error)),
        }
    }

    /// Stores the id of the database.
    pub fn note(&self, cluster: &str) -> io::Result<()> {
        replace_file(&self.path().join(CLUSTER), format!("{cluster}\n").as_bytes())
    }
}
