//! A store's directory. One process uses it at a time. It has one engine's database, which is either complete or
//! absent.
//!
//! ```text
//! lock          held while the store is open; names the holder
//! engine        the name of the complete database, such as "sled" or "redb.2"; written last
//! sled/ redb/   the database; sled.2/ redb.2/ after every second time that it was rewritten
//! digests       the expected checksum of each row of the engine
//! acknowledged  the number of the last group that was acknowledged
//! archived      the number of the last group of the last backup
//! copying       a copy into this directory is not complete
//! spare         reserved space for a start on a full disk
//! *.unfinished  an incomplete database; the next start removes it
//! ```
//!
//! A database is created in `*.unfinished`, synced and renamed, and then the file `engine` marks it. If a marked
//! database is missing or empty, no new one is made: after the loss of a disk, the node would be empty and look
//! healthy.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::{
    Engine,
    disk::{Disk, sync_tree},
    error::StoreOpenError,
    files::place_file,
};

const LOCK: &str = "lock";
const MARKER: &str = "engine";
const COPYING: &str = "copying";

/// The two names of an engine's database. Each rewrite uses the other name.
fn names(engine: Engine) -> [&'static str; 2] {
    match engine {
        Engine::Sled => ["sled", "sled.2"],
        Engine::Redb => ["redb", "redb.2"],
    }
}

fn engine_of(name: &str) -> Option<Engine> {
    Engine::ALL.into_iter().find(|engine| names(*engine).contains(&name))
}

/// A locked store directory; unlocked when dropped.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    /// The name in the mark: the database that is used. `None` without a mark.
    marked: Mutex<Option<&'static str>>,
    _lock: File,
}

/// Why the directory did not switch to another database.
#[derive(Debug)]
pub(super) enum SwitchError {
    /// Nothing has changed.
    NotDone(StoreOpenError),
    /// After a power cut the mark may name either database. So neither may be written to.
    Unclear(StoreOpenError),
}

impl Directory {
    /// Makes the directory if it is not there, locks it, and reads its mark.
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
        // A mark or a database that a killed process has left must not vanish after it was used.
        File::open(root).and_then(|directory| directory.sync_all()).map_err(at("sync it"))?;
        let marked = read_mark(root)?;
        Ok(Self { root: root.to_owned(), marked: Mutex::new(marked), _lock: lock })
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
        let there = || Engine::ALL.into_iter().find(|engine| root.join(engine.name()).exists());
        marked.map_or_else(there, |name| engine_of(name.trim()))
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

    /// Whether a store was ever made at this path. It makes nothing.
    pub fn holds_store(root: &Path) -> bool {
        root.join(MARKER).exists() || Engine::ALL.iter().any(|engine| root.join(engine.name()).exists())
    }

    /// Where this engine's database is, or will be.
    pub fn database(&self, engine: Engine) -> PathBuf {
        let of_engine = self.marked.lock().filter(|name| names(engine).contains(name));
        self.root.join(of_engine.unwrap_or(names(engine)[0]))
    }

    /// Where this engine's database is in the directory at `root`, or will be.
    pub fn database_at(root: &Path, engine: Engine) -> PathBuf {
        let marked = fs::read_to_string(root.join(MARKER)).unwrap_or_default();
        let [first, second] = names(engine);
        root.join(if marked.trim() == second { second } else { first })
    }

    /// Makes an empty directory for another database of this engine. `None` if the present database is unknown.
    pub fn begin_another(&self, engine: Engine) -> Result<Option<PathBuf>, StoreOpenError> {
        let Some(another) = self.another(engine) else { return Ok(None) };
        let another = self.root.join(another);
        self.clear(&another)?;
        fs::create_dir(&another).map_err(self.inaccessible("make a directory for the database"))?;
        Ok(Some(another))
    }

    /// Switches to the other database, which is complete.
    pub fn switch(&self, engine: Engine, disk: &dyn Disk) -> Result<(), SwitchError> {
        let Some(another) = self.another(engine) else { return Ok(()) };
        sync_tree(disk, &self.root.join(another))
            .and_then(|()| disk.sync_path(&self.root))
            .map_err(|source| SwitchError::NotDone(self.inaccessible("complete the database")(source)))?;
        self.mark(another, disk)
    }

    /// Removes a database that is incomplete or no longer used.
    pub fn remove_another(&self, engine: Engine, disk: &dyn Disk) -> Result<(), StoreOpenError> {
        let Some(another) = self.another(engine).map(|name| self.root.join(name)).filter(|path| path.exists()) else {
            return Ok(());
        };
        // The mark may not be durable yet. After a power cut, an older mark must not name the removed database.
        disk.sync_path(&self.root).map_err(self.inaccessible("sync the directory"))?;
        self.clear(&another)
    }

    fn another(&self, engine: Engine) -> Option<&'static str> {
        let (names, marked) = (names(engine), *self.marked.lock());
        let marked = marked.filter(|name| names.contains(name))?;
        names.into_iter().find(|name| *name != marked)
    }

    /// The engine whose database is in this directory. Marks a complete database that has no mark.
    pub fn engine(&self, disk: &dyn Disk) -> Result<Option<Engine>, StoreOpenError> {
        if let Some(name) = *self.marked.lock() {
            return Ok(engine_of(name));
        }
        // The process ended between the rename, which completes a database, and the mark.
        let complete = Engine::ALL.into_iter().find(|engine| self.database(*engine).exists());
        complete.map(|engine| self.mark_first(engine, disk).map(|()| engine)).transpose()
    }

    /// Makes a database. `fill` gets a directory, makes the database in it and closes it.
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
        self.mark_first(engine, disk)?;
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

    fn mark_first(&self, engine: Engine, disk: &dyn Disk) -> Result<(), StoreOpenError> {
        self.mark(names(engine)[0], disk).map_err(|(SwitchError::NotDone(error) | SwitchError::Unclear(error))| error)
    }

    fn mark(&self, name: &'static str, disk: &dyn Disk) -> Result<(), SwitchError> {
        let failed = || self.inaccessible("mark the database as complete");
        place_file(disk, &self.root.join(MARKER), |file| writeln!(file, "{name}"))
            .map_err(|source| SwitchError::NotDone(failed()(source)))?;
        *self.marked.lock() = Some(name);
        disk.sync_path(&self.root).map_err(|source| SwitchError::Unclear(failed()(source)))
    }

    pub fn inaccessible(&self, doing: &'static str) -> impl Fn(io::Error) -> StoreOpenError {
        move |source| StoreOpenError::of(&self.root, doing, source)
    }
}

/// The name in the mark of the directory, if there is a mark.
fn read_mark(root: &Path) -> Result<Option<&'static str>, StoreOpenError> {
    let mark = match fs::read_to_string(root.join(MARKER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|source| StoreOpenError::of(root, "read its file named engine", source))?,
    };
    let known = Engine::ALL.into_iter().flat_map(names).find(|name| *name == mark.trim());
    known.map(Some).ok_or_else(|| {
        let source = io::Error::other("it must hold one word: sled, sled.2, redb or redb.2");
        StoreOpenError::of(root, "understand its file named engine", source)
    })
}

fn locked(root: &Path, lock: &mut File) -> StoreOpenError {
    let mut holder = String::new();
    let read = lock.take(20).read_to_string(&mut holder).is_ok();
    let holder = Some(holder.trim().to_owned()).filter(|pid| read && pid.parse::<u32>().is_ok());
    StoreOpenError::Locked { path: root.to_owned(), holder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    fn make_both(root: &Path, mark: &str) {
        ["redb", "redb.2"].iter().for_each(|name| fs::create_dir(root.join(name)).expect("a directory"));
        fs::write(root.join(MARKER), mark).expect("a file");
    }

    fn with_both(root: &Path, mark: &str) -> Directory {
        make_both(root, mark);
        Directory::lock(root).expect("locked")
    }

    #[test]
    fn the_mark_names_the_database_that_is_used() {
        for (mark, kept, gone) in [("redb\n", "redb", "redb.2"), ("redb.2\n", "redb.2", "redb")] {
            let place = tempfile::tempdir().expect("a directory");
            let root = place.path();
            let directory = with_both(root, mark);
            assert_eq!(directory.engine(&RealDisk).expect("a mark"), Some(Engine::Redb));
            // From here on it does not matter whether the file can be read.
            fs::remove_file(root.join(MARKER)).expect("removed");
            assert_eq!(directory.database(Engine::Redb), root.join(kept));
            directory.remove_another(Engine::Sled, &RealDisk).expect("nothing to do");
            directory.remove_another(Engine::Redb, &RealDisk).expect("removed");
            assert!(root.join(kept).exists() && !root.join(gone).exists());
        }
    }

    #[test]
    fn an_unknown_mark_removes_nothing() {
        let place = tempfile::tempdir().expect("a directory");
        make_both(place.path(), "redb.3\n");
        let error = Directory::lock(place.path()).expect_err("not understood").to_string();
        assert!(error.contains("redb.2"), "{error}");
        assert!(["redb", "redb.2"].iter().all(|name| place.path().join(name).exists()));
    }

    #[test]
    fn each_rewrite_uses_the_other_name() {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path();
        let directory = with_both(root, "redb\n");
        for (new, old) in [("redb.2", "redb"), ("redb", "redb.2")] {
            assert_eq!(directory.begin_another(Engine::Redb).expect("made"), Some(root.join(new)));
            directory.switch(Engine::Redb, &RealDisk).expect("switched");
            assert_eq!(directory.database(Engine::Redb), root.join(new));
            assert_eq!(Directory::database_at(root, Engine::Redb), root.join(new));
            directory.remove_another(Engine::Redb, &RealDisk).expect("removed");
            assert!(root.join(new).exists() && !root.join(old).exists());
        }
    }
}
