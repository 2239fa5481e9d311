//! All syncs go through a trait. So a test can check their order, cut the power between two of them, or let one fail.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tandem_wal as wal;

/// Makes writes durable.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// fdatasync of a file of the journal or of the database: its content, and its length if that has changed.
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()>;

    /// fsync of a small file, or of a directory (its entries: new names, renames).
    fn sync_path(&self, path: &Path) -> io::Result<()>;
}

/// The disk of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn sync_data(&self, file: &File, _path: &Path) -> io::Result<()> {
        #[cfg(debug_assertions)]
        crate::debug::wait();
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

/// The journal's disk: real files, with the syncs of a [`Disk`].
#[derive(Debug)]
pub(super) struct JournalDisk(pub Arc<dyn Disk>);

#[derive(Debug)]
struct JournalFile {
    file: Arc<dyn wal::File>,
    /// A second handle to the file, for its syncs.
    handle: File,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl JournalDisk {
    fn synced(&self, file: Arc<dyn wal::File>, path: &Path) -> io::Result<Arc<dyn wal::File>> {
        let handle = File::open(path)?;
        Ok(Arc::new(JournalFile { file, handle, path: path.to_owned(), disk: self.0.clone() }))
    }
}

impl wal::Disk for JournalDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        wal::RealDisk.create_directory(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        wal::RealDisk.names(directory)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn wal::File>> {
        self.synced(wal::RealDisk.create(path)?, path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn wal::File>> {
        self.synced(wal::RealDisk.open(path)?, path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        wal::RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        wal::RealDisk.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.sync_path(path)
    }
}

impl wal::File for JournalFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data(&self.handle, &self.path)
    }

    fn check_in_place(&self) -> io::Result<()> {
        self.file.check_in_place()
    }
}
