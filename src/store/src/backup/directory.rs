//! A directory of backups. A file is written under a temporary name, synced and renamed. So a file under its own name
//! is complete.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{BackupError, manifest::Manifest};
use crate::{
    RealDisk,
    files::{create_file, place_file},
};

const MANIFESTS: &str = "backups";
const CHUNKS: &str = "chunks";
const JOURNAL: &str = "journal";
const SECRETS: &str = "secrets";
const LOCK: &str = "lock";

#[derive(Clone, Debug)]
pub(super) struct BackupDirectory {
    root: PathBuf,
}

/// A directory that this process alone writes to.
pub(super) struct LockedDirectory {
    pub directory: BackupDirectory,
    /// Directories that have got new files since the last sync.
    touched: BTreeSet<PathBuf>,
    pub new_bytes: u64,
    _lock: File,
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

impl BackupDirectory {
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn chunk(&self, sha256: &str) -> PathBuf {
        self.root.join(CHUNKS).join(sha256.get(..2).unwrap_or_default()).join(sha256)
    }

    pub fn groups(&self, file: &str) -> PathBuf {
        self.root.join(JOURNAL).join(file)
    }

    pub fn secret(&self, sha256: &str) -> PathBuf {
        self.root.join(SECRETS).join(sha256)
    }

    pub fn manifest(&self, id: &str) -> PathBuf {
        self.root.join(MANIFESTS).join(format!("{id}.json"))
    }

    /// All backups, the oldest first. They are ordered by name, which is the time. Backups of one journal are ordered
    /// by position, because the clock may jump. An unreadable backup is an error in the list.
    pub fn manifests(&self) -> Result<Vec<Result<Manifest, BackupError>>, BackupError> {
        let directory = self.root.join(MANIFESTS);
        let mut paths: Vec<PathBuf> = files_in(&directory)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let mut manifests: Vec<_> = paths.iter().map(|path| Manifest::read(path)).collect();
        let mut of_log = BTreeMap::<String, Vec<Manifest>>::new();
        for manifest in manifests.iter().flatten() {
            of_log.entry(manifest.log.clone()).or_default().push(manifest.clone());
        }
        for of_one in of_log.values_mut() {
            of_one.sort_by_key(|manifest| Reverse((manifest.position, manifest.id.clone())));
        }
        // Backups of one journal change places only with each other.
        for place in manifests.iter_mut().flatten() {
            if let Some(next) = of_log.get_mut(&place.log).and_then(Vec::pop) {
                *place = next;
            }
        }
        Ok(manifests)
    }

    /// Makes the directory, and locks it.
    pub fn lock(&self) -> Result<LockedDirectory, BackupError> {
        let make = |path: &Path| crate::create_directory(path).map_err(BackupError::at("make", path));
        make(&self.root)?;
        [MANIFESTS, CHUNKS, JOURNAL, SECRETS].iter().try_for_each(|name| make(&self.root.join(name)))?;
        let path = self.root.join(LOCK);
        let lock = create_file(&path).map_err(BackupError::at("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy { path: self.root.clone() }),
            Err(TryLockError::Error(source)) => return Err(BackupError::at("lock", &path)(source)),
        }
        let written = LockedDirectory { directory: self.clone(), touched: BTreeSet::new(), new_bytes: 0, _lock: lock };
        written.remove_where(|path| path.extension().is_some_and(|extension| extension == "unfinished"))?;
        Ok(written)
    }

    fn all_files(&self) -> Result<Vec<PathBuf>, BackupError> {
        let mut files = Vec::new();
        for name in [MANIFESTS, JOURNAL, SECRETS] {
            files.extend(files_in(&self.root.join(name))?);
        }
        for directory in files_in(&self.root.join(CHUNKS))? {
            files.extend(files_in(&directory)?);
        }
        Ok(files)
    }
}

fn files_in(directory: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackupError::at("look into", directory))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>();
    paths.map_err(BackupError::at("look into", directory))
}

impl LockedDirectory {
    /// Writes a file, unless the directory has it already.
    pub fn put(&mut self, path: &Path, content: &[u8]) -> Result<(), BackupError> {
        if fs::read(path).is_ok_and(|found| found == content) {
            // The backup that wrote it may have been interrupted before it synced the directory.
            self.touched.extend(path.parent().map(Path::to_owned));
            return Ok(());
        }
        self.write(path, |file| file.write_all(content))
    }

    /// Writes a file durably. It replaces a file of the same name.
    pub fn write(&mut self, path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), BackupError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        crate::create_directory(directory).map_err(BackupError::at("make", directory))?;
        self.new_bytes += place_file(&RealDisk, path, fill).map_err(BackupError::at("write", path))?;
        self.touched.insert(directory.to_owned());
        Ok(())
    }

    /// Syncs the directories with new files.
    pub fn settle(&mut self) -> Result<(), BackupError> {
        for directory in std::mem::take(&mut self.touched) {
            let synced = File::open(&directory).and_then(|file| file.sync_all());
            synced.map_err(BackupError::at("sync", &directory))?;
        }
        Ok(())
    }

    /// Keeps the last `keep` backups (0: all), and removes older ones with the files that only they need. Returns the
    /// ids of the removed backups.
    ///
    /// If a backup cannot be read, nothing is removed, because it may need any file.
    pub fn keep(&mut self, keep: usize) -> Result<Vec<String>, BackupError> {
        if keep == 0 {
            return Ok(Vec::new());
        }
        let manifests = match self.directory.manifests()?.into_iter().collect::<Result<Vec<Manifest>, _>>() {
            Ok(manifests) => manifests,
            Err(error) => {
                tracing::warn!(%error, "no older backup is removed, since this one cannot be read: move it elsewhere");
                return Ok(Vec::new());
            }
        };
        let (old, kept) = manifests.split_at(manifests.len().saturating_sub(keep));
        let removed: Vec<String> = old.iter().map(|manifest| manifest.id.clone()).collect();
        if removed.is_empty() {
            return Ok(removed);
        }
        // The manifests first: a manifest must not outlive the files that it names.
        let gone: Vec<PathBuf> = removed.iter().map(|id| self.directory.manifest(id)).collect();
        self.remove_where(|path| gone.iter().any(|manifest| manifest == path))?;
        let mut needed: BTreeSet<PathBuf> = kept.iter().flat_map(|manifest| manifest.files(&self.directory)).collect();
        needed.extend(files_in(&self.directory.root.join(MANIFESTS))?);
        self.remove_where(|path| !needed.contains(path))?;
        Ok(removed)
    }

    fn remove_where(&self, is_gone: impl Fn(&Path) -> bool) -> Result<(), BackupError> {
        for path in self.directory.all_files()?.into_iter().filter(|path| is_gone(path)) {
            fs::remove_file(&path).map_err(BackupError::at("remove", &path))?;
        }
        let manifests = self.directory.root.join(MANIFESTS);
        File::open(&manifests).and_then(|file| file.sync_all()).map_err(BackupError::at("sync", &manifests))
    }
}
