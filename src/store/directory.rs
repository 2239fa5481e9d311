//! A store's directory: one process at a time, one engine, and a database that is either complete or not there.
//!
//! ```text
//! lock          held while the store is open; names the holder
//! engine        "sled" or "redb": a complete database of this engine is here; written once, last
//! sled/ redb/   the database
//! *.unfinished  a database being made; without meaning, removed at the next start
//! ```
//!
//! A database is made in `*.unfinished`, synced and renamed; only then is it marked. A marked database that is missing or empty is
//! never made anew: that would turn a lost disk into an empty, healthy-looking node.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{
    Engine,
    disk::{Disk, sync_tree},
    error::StoreOpenError,
};

const LOCK: &str = "lock";
const MARKER: &str = "engine";

/// A locked store directory; unlocked when dropped.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    pub fn lock(root: &Path) -> Result<Self, StoreOpenError> {
        let at = |doing| move |source| StoreOpenError::Inaccessible { path: root.to_owned(), doing, source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(at("make the directory"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(LOCK))
            .map_err(at("open its lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = lock.read_to_string(&mut holder).is_ok();
                let holder = Some(holder.trim().to_owned()).filter(|pid| read && !pid.is_empty());
                return Err(StoreOpenError::Locked { path: root.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(at("lock it")(source)),
        }
        lock.set_len(0)
            .and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()))
            .map_err(at("write its lock file"))?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Whether a store was ever made at this path. Makes nothing.
    pub fn holds_store(root: &Path) -> bool {
        root.join(MARKER).exists() || Engine::ALL.iter().any(|engine| root.join(engine.name()).exists())
    }

    /// Where this engine's database is, or will be.
    pub fn database(&self, engine: Engine) -> PathBuf {
        self.root.join(engine.name())
    }

    /// Which engine's database is here.
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
                // Stopped between the rename, which completes a database, and the mark.
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
            // The error that made it useless is the one to tell; a rest is removed at the next start.
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
        move |source| StoreOpenError::Inaccessible { path: self.root.clone(), doing, source }
    }
}
