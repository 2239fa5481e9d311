//! A store's directory: one process at a time, one engine, and a database that is either complete or not there.
//!
//! ```text
//! lock          held while the store is open; names the holder
//! engine        "sled" or "redb": a complete database of this engine is here; written once, last
//! sled/ redb/   the database
//! digests       what each row of the engine has to be
//! acknowledged  the number of the last group that was acknowledged
//! archived      the number of the last group of the last backup
//! copying       a copy into this directory is not complete
//! spare         room for a start on a full disk
//! *.unfinished  a database being made; without meaning, removed at the next start
//! ```
//!
//! A database is created in `*.unfinished`, synced and renamed, and then marked. A marked database that is missing or
//! empty is never created again: a lost disk would become an empty node that looks healthy.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{
    Engine,
    disk::{Disk, sync_tree},
    error::StoreOpenError,
};

const LOCK: &str = "lock";
const MARKER: &str = "engine";
const COPYING: &str = "copying";

/// A locked store directory; unlocked when dropped.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    pub fn lock(root: &Path) -> Result<Self, StoreOpenError> {
        let at = |doing| move |source| StoreOpenError::of(root, doing, source);
        super::files::create_directory(root).map_err(at("make the directory"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(root.join(LOCK))
            .map_err(at("open its lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(root, &mut lock)),
            Err(TryLockError::Error(source)) => return Err(at("lock it")(source)),
        }
        // The process id is only a hint for error messages. A full disk must not prevent reading.
        let written = lock.set_len(0).and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, "the lock file does not name this process");
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Checks that no process has the directory or a database in it open. Changes nothing.
    ///
    /// # Errors
    /// [`StoreOpenError::Locked`], or the error that prevents the check.
    pub fn check_free(root: &Path, databases: &[PathBuf]) -> Result<(), StoreOpenError> {
        let at = |doing| move |source| StoreOpenError::of(root, doing, source);
        for path in databases.iter().chain([&root.join(LOCK)]) {
            let mut file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(at("open its lock file"))?,
            };
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut lock = File::open(root.join(LOCK));
                    return Err(locked(root, lock.as_mut().unwrap_or(&mut file)));
                }
                Err(TryLockError::Error(source)) => return Err(at("lock it")(source)),
            }
        }
        Ok(())
    }

    /// The engine of the complete database at this path, if there is one. Creates nothing.
    pub fn engine_at(root: &Path) -> Option<Engine> {
        let marked = fs::read_to_string(root.join(MARKER)).ok();
        let named = |name: String| Engine::ALL.into_iter().find(|engine| engine.name() == name.trim());
        marked.map_or_else(|| Engine::ALL.into_iter().find(|engine| root.join(engine.name()).exists()), named)
    }

    /// Whether a copy into this directory was interrupted.
    pub fn is_half_copied(root: &Path) -> bool {
        root.join(COPYING).exists() && !Self::holds_store(root)
    }

    /// Marks the directory: a copy into it begins.
    pub fn copy_begins(&self, disk: &dyn Disk) -> Result<(), StoreOpenError> {
        let note = self.root.join(COPYING);
        fs::write(&note, "a copy into this directory is not complete\n")
            .and_then(|()| disk.sync_path(&note))
            .and_then(|()| disk.sync_path(&self.root))
            .map_err(self.inaccessible("note that a copy begins"))
    }

    /// Removes the mark: the copy is complete or abandoned.
    pub fn copy_ended(&self) {
        if let Err(error) = fs::remove_file(self.root.join(COPYING))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the marker of a copy under way cannot be removed; it has no effect, since the store is complete");
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a store was ever made at this path. Makes nothing.
    pub fn holds_store(root: &Path) -> bool {
        root.join(MARKER).exists() || Engine::ALL.iter().any(|engine| root.join(engine.name()).exists())
    }

    /// Where this engine's database is, or will be.
    pub fn database(&self, engine: Engine) -> PathBuf {
        self.root.join(engine.name())
    }

    /// The engine whose database is in this directory.
    pub fn engine(&self, disk: &dyn Disk) -> Result<Option<Engine>, StoreOpenError> {
        match fs::read_to_string(self.root.join(MARKER)) {
            Ok(name) => {
                let known = Engine::ALL.into_iter().find(|engine| engine.name() == name.trim());
                known.map(Some).ok_or_else(|| {
                    let source = io::Error::other("it must hold one word, sled or redb");
                    self.inaccessible("understand its file named engine")(source)
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The process ended between the rename, which completes a database, and the mark.
                let complete = Engine::ALL.into_iter().find(|engine| self.database(*engine).exists());
                complete.map(|engine| self.mark(engine, disk).map(|()| engine)).transpose()
            }
            Err(source) => Err(self.inaccessible("read its file named engine")(source)),
        }
    }

    /// Makes a database: `fill` makes and closes it in a directory given to it.
    pub fn create<T, E: From<StoreOpenError>>(
        &self,
        engine: Engine,
        disk: &dyn Disk,
        fill: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let unfinished = self.root.join(format!("{}.unfinished", engine.name()));
        self.clear(&unfinished)?;
        fs::create_dir(&unfinished).map_err(self.inaccessible("make a directory for the database"))?;
        let filled = fill(&unfinished).inspect_err(|_| {
            // The first error is the one to report. The next start removes leftovers.
            let _removed = fs::remove_dir_all(&unfinished);
        })?;
        sync_tree(disk, &unfinished)
            .and_then(|()| fs::rename(&unfinished, self.database(engine)))
            .and_then(|()| disk.sync_path(&self.root))
            .map_err(self.inaccessible("complete the database"))?;
        self.mark(engine, disk)?;
        Ok(filled)
    }

    fn clear(&self, unfinished: &Path) -> Result<(), StoreOpenError> {
        match fs::remove_dir_all(unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.inaccessible("remove an unfinished database")(error))
            }
            _ => Ok(()),
        }
    }

    fn mark(&self, engine: Engine, disk: &dyn Disk) -> Result<(), StoreOpenError> {
        let unfinished = self.root.join("engine.unfinished");
        fs::write(&unfinished, format!("{engine}\n"))
            .and_then(|()| disk.sync_path(&unfinished))
            .and_then(|()| fs::rename(&unfinished, self.root.join(MARKER)))
            .and_then(|()| disk.sync_path(&self.root))
            .map_err(self.inaccessible("mark the database as complete"))
    }

    pub fn inaccessible(&self, doing: &'static str) -> impl Fn(io::Error) -> StoreOpenError {
        move |source| StoreOpenError::of(&self.root, doing, source)
    }
}

fn locked(root: &Path, lock: &mut File) -> StoreOpenError {
    let mut holder = String::new();
    let read = lock.take(20).read_to_string(&mut holder).is_ok();
    let holder = Some(holder.trim().to_owned()).filter(|pid| read && pid.parse::<u32>().is_ok());
    StoreOpenError::Locked { path: root.to_owned(), holder }
}
