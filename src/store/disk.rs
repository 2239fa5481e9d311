//! The moments at which something becomes durable, behind a trait: the adapters never sync a file by themselves, so that a
//! test can watch the order, cut the power in between, or let a sync fail.

use std::{fmt, fs::File, io, path::Path};

/// Where writes become durable.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// fdatasync of a database file: its content, and its length if that has changed. Called before a group is acknowledged.
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()>;

    /// fsync of a small file, or of a directory (its entries: new names, renames).
    fn sync_path(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn sync_data(&self, file: &File, _path: &Path) -> io::Result<()> {
        #[cfg(debug_assertions)]
        crate::debug::disk::wait();
        file.sync_data()
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// fsync of every file and directory below `path`, and of `path` itself last.
pub(super) fn sync_tree(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for entry in path.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(disk, &entry.path())?;
        } else {
            disk.sync_path(&entry.path())?;
        }
    }
    disk.sync_path(path)
}
