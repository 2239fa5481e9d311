//! The disk, as a trait. The log does all its I/O through it. So a test can lose unsynced data, tear writes, shorten
//! writes, or fill the disk.

use std::{
    fmt::Debug,
    fs, io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file system.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a directory and its missing parents.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Creates an empty file. Replaces another file of this name.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file to read and write.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Renames a file. Replaces another file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// An open file. Reads and writes may be shorter than asked.
pub trait File: Debug + Send + Sync + 'static {
    /// In bytes.
    fn length(&self) -> io::Result<u64>;

    /// Returns how many bytes were read; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Returns how many bytes were written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes content and length durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Fails if the path at which the file was opened no longer leads to it.
    fn check_in_place(&self) -> io::Result<()>;
}

pub(crate) fn read_all(file: &dyn File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

pub(crate) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    path: PathBuf,
    identity: (u64, u64),
}

impl RealFile {
    fn of(file: fs::File, path: &Path) -> io::Result<Arc<dyn File>> {
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Arc::new(Self { file, path: path.to_owned(), identity }))
    }
}

impl Disk for RealDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        directory.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        RealFile::of(file, path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        RealFile::of(fs::OpenOptions::new().read(true).write(true).open(path)?, path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }
}

impl File for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn check_in_place(&self) -> io::Result<()> {
        let metadata = fs::metadata(&self.path)?;
        let there = (metadata.dev(), metadata.ino());
        if there == self.identity { Ok(()) } else { Err(io::Error::other("another file has taken its place")) }
    }
}
