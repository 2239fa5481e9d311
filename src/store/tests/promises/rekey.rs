//! The operator's key changes while the store is open: at each moment one of the two keys opens it, with everything
//! that was acknowledged; and a change that fails has changed nothing.

use std::{
    fmt, fs,
    fs::File,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
};

use tandem_store::{Backups, Disk, RealDisk};

use super::*;

pub fn open_with_backups(at: &Location, options: &Options) -> (Arc<dyn Store>, Backups) {
    until_unlocked(|| store::open_with_backups(at, options)).unwrap()
}

fn with_key(key: &Path) -> Options {
    Options { encryption_key_file: Some(key.to_owned()), min_free: 0, ..Options::default() }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() { copy(&path, &to.join(name)) } else { fs::copy(&path, to.join(name)).map(drop).unwrap() }
    }
}

type Hook = Box<dyn FnMut(&Path) -> io::Result<()> + Send>;

/// Calls a hook before each sync of a small file that the thread of the change makes.
#[derive(Default)]
struct Watched(Mutex<Option<(ThreadId, Hook)>>);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn watch(&self, hook: impl FnMut(&Path) -> io::Result<()> + Send + 'static) {
        *self.0.lock().unwrap() = Some((thread::current().id(), Box::new(hook)));
    }
}

impl Disk for Watched {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        let is_of_keys = path.join("keys").exists() || path.to_string_lossy().contains("/keys");
        let hook = if is_of_keys { self.0.lock().unwrap().take() } else { None };
        if let Some((thread, mut hook)) = hook {
            // What the hook does may sync files itself.
            let outcome = if thread == thread::current().id() { hook(path) } else { Ok(()) };
            *self.0.lock().unwrap() = Some((thread, hook));
            outcome?;
        }
        RealDisk.sync_path(path)
    }
}

/// The files as a kill leaves them, with the number of groups that were acknowledged.
type Images = Arc<Mutex<Vec<(PathBuf, u64)>>>;

#[test]
fn whenever_the_process_ends_one_of_the_two_keys_opens_everything_that_was_acknowledged() {
    for engine in Engine::ALL {
        let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (former, new) = (key_file(keys.path(), "a"), key_file(keys.path(), "b"));
        let disk = Arc::new(Watched::default());
        let at = location(engine, &directory.path().join("store"));
        let (store, backups) = open_with_backups(&at, &Options { disk: disk.clone(), ..with_key(&former) });
        for n in 1..=20 {
            store.commit(&workload::group(n)).unwrap();
        }
        let images = Images::default();
        let write_and_copy = {
            let (store, images, root) = (store.clone(), images.clone(), directory.path().to_owned());
            move || {
                let mut images = images.lock().unwrap();
                let (image, n) = (root.join(format!("image-{}", images.len())), images.len() as u64 + 21);
                store.commit(&workload::group(n)).unwrap();
                copy(&root.join("store"), &image);
                images.push((image, n));
            }
        };
        let hook = write_and_copy.clone();
        disk.watch(move |_| {
            hook();
            Ok(())
        });
        backups.rekeying().unwrap().rekey(&new).unwrap();
        store.close();
        drop(store);

        let images = std::mem::take(&mut *images.lock().unwrap());
        assert!(images.len() >= 3, "{engine}: the change takes some steps: {}", images.len());
        let mut opened_with_new = 0;
        for (image, acknowledged) in images {
            let place = store::Place::Directory(location(engine, &image));
            let opens = |key| match place.inspect(&with_key(key)) {
                Ok(is_there) => is_there,
                Err(StoreOpenError::KeyOther { .. }) => false,
                Err(error) => panic!("{engine}: {error}"),
            };
            let key = match (opens(&former), opens(&new)) {
                (true, false) => &former,
                (false, true) => &new,
                both => panic!("{engine}: one of the keys opens it: {both:?}"),
            };
            opened_with_new += u32::from(*key == new);
            let store = try_open_with(&location(engine, &image), &with_key(key)).unwrap();
            assert_eq!(workload::latest(store.as_ref()), Ok(acknowledged), "{engine}: {}", image.display());
        }
        assert!(opened_with_new > 0, "{engine}: some are of after the change");
        drop(write_and_copy);
    }
}

#[test]
fn a_change_that_fails_has_changed_nothing() {
    for engine in Engine::ALL {
        let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (former, new) = (key_file(keys.path(), "a"), key_file(keys.path(), "b"));
        let disk = Arc::new(Watched::default());
        let at = location(engine, directory.path());
        let options = Options { disk: disk.clone(), ..with_key(&former) };
        let (store, backups) = open_with_backups(&at, &options);
        let files = || ["keys", "keys.copy"].map(|name| fs::read(directory.path().join(name)).unwrap());
        let (before, mut n) = (files(), 0);
        for fails_at in 0.. {
            let steps = Arc::new(AtomicUsize::new(0));
            let counted = steps.clone();
            disk.watch(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
                step if step == fails_at => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            });
            let outcome = backups.rekeying().unwrap().rekey(&new);
            *disk.0.lock().unwrap() = None;
            n += 1;
            store.commit(&workload::group(n)).unwrap();
            if steps.load(Ordering::Relaxed) <= fails_at {
                outcome.unwrap();
                break;
            }
            let error = outcome.unwrap_err();
            assert!(matches!(error, StoreOpenError::Full { .. }), "{engine}, step {fails_at}: {error}");
            assert!(files() == before, "{engine}, step {fails_at}");
            let is_left = |name| directory.path().join(name).exists();
            assert!(!["keys.unfinished", "keys.copy.unfinished"].into_iter().any(is_left), "{engine}");
            assert!(fails_at < 9, "the change has few steps");
        }
        store.close();
        drop((store, backups));
        assert!(matches!(try_open_with(&at, &with_key(&former)), Err(StoreOpenError::KeyOther { .. })));
        let store = try_open_with(&at, &with_key(&new)).unwrap();
        assert_eq!(workload::latest(store.as_ref()), Ok(n), "{engine}");
    }
}

#[test]
fn only_a_new_and_good_key_for_an_encrypted_store_is_taken() {
    for engine in Engine::ALL {
        let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (key, same) = (key_file(keys.path(), "a"), keys.path().join("same"));
        fs::copy(&key, &same).unwrap();
        let at = location(engine, &directory.path().join("store"));
        let (store, backups) = open_with_backups(&at, &with_key(&key));
        let refused = |file: &Path| backups.rekeying().unwrap().rekey(file).unwrap_err();
        assert!(matches!(refused(&same), StoreOpenError::KeySame { .. }));
        assert!(matches!(refused(&keys.path().join("none")), StoreOpenError::Key { .. }));
        store.close();
        drop((store, backups));
        let offline = store::Place::Directory(at).rekey(&with_key(&key), &same).unwrap_err();
        assert!(matches!(offline, StoreOpenError::KeySame { .. }), "{offline}");
        let plain = location(engine, &directory.path().join("plain"));
        let (_store, backups) = open_with_backups(&plain, &Options::default());
        let refused = backups.rekeying().unwrap().rekey(&key).unwrap_err();
        assert!(matches!(refused, StoreOpenError::NotEncrypted { .. }), "{refused}");
    }
}

/// There are 255 numbers of data keys.
#[test]
fn a_data_key_that_rows_may_need_is_not_replaced() {
    let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let numbered = |n: u32| {
        let file = keys.path().join(n.to_string());
        fs::write(&file, format!("{n:064x}")).unwrap();
        file
    };
    let at = location(Engine::Redb, directory.path());
    drop(try_open_with(&at, &with_key(&numbered(0))).unwrap());
    let place = store::Place::Directory(at);
    for n in 1..255 {
        place.rekey(&with_key(&numbered(n - 1)), &numbered(n)).unwrap();
    }
    let refused = place.rekey(&with_key(&numbered(254)), &numbered(255)).unwrap_err();
    assert!(matches!(refused, StoreOpenError::KeysUsedUp { .. }), "{refused}");
}
