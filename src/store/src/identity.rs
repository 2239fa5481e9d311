//! Checks whether the open database file is still the file at its path. If somebody has deleted the file or replaced
//! its directory, no later start finds the open file. Then nothing may be acknowledged any more.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tandem_actors::ports::StoreError;

#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of the open file, which is at `path` now.
    pub fn of(file: &File, path: &Path) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    /// Compares the open file with the file at the path.
    pub fn check(&self) -> Result<(), StoreError> {
        let path = self.path.display();
        match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(StoreError::new(format_args!("another file has taken the place of {path}"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::new(format_args!("{path} was removed while it was in use")))
            }
            Err(error) => Err(StoreError::new(format_args!("{path} cannot be found any more: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_where_it_was_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("db");
        let file = File::create(&path).expect("a file");
        let identity = Identity::of(&file, &path).expect("metadata");
        identity.check().expect("it is there");
        fs::rename(&path, directory.path().join("elsewhere")).expect("moved");
        assert!(identity.check().expect_err("gone").text().contains("removed"));
        fs::write(&path, "another").expect("a file");
        assert!(identity.check().expect_err("another").text().contains("another file"));
    }
}
