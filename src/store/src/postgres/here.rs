//! What this machine remembers of its database, in the store's directory:
//!
//! ```text
//! lock          held while the store is open; names the holder
//! cluster       the id of the database
//! acknowledged  the number of the last group that was acknowledged
//! ```
//!
//! A machine without a disk forgets it, and nothing else is lost.

use std::{fs, io, path::Path};

use crate::{StoreOpenError, directory::Directory, files::replace_file};

pub(super) const CLUSTER: &str = "cluster";

/// The directory of a database's store.
pub(super) struct Here(Directory);

impl Here {
    /// Makes it if it is not there.
    pub fn lock(path: &Path) -> Result<Self, StoreOpenError> {
        Directory::lock(path).map(Self)
    }

    pub fn path(&self) -> &Path {
        self.0.root()
    }

    /// The database that this directory belongs to, if that is known.
    pub fn cluster(&self) -> Result<Option<String>, StoreOpenError> {
        match fs::read_to_string(self.path().join(CLUSTER)) {
            Ok(cluster) => Ok(Some(cluster.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreOpenError::of(self.path(), "read its file named cluster", error)),
        }
    }

    /// Notes the database.
    pub fn note(&self, cluster: &str) -> io::Result<()> {
        replace_file(&self.path().join(CLUSTER), format!("{cluster}\n").as_bytes())
    }
}
