//! What is told when: nothing before the sync, nothing after a failed one.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tandem_actors::{
    keys,
    ports::{Direction::*, Store, Verdict::*},
};
use tandem_store::{self as store, Disk, Engine, Options, RealDisk};

use super::*;

type Hook = Box<dyn FnMut(&Path) -> io::Result<()> + Send>;

/// Calls a hook before each sync of a database file.
#[derive(Default)]
struct Watched {
    hook: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn open(path: &Path, engine: Engine) -> (Arc<Self>, Arc<dyn Store>) {
        let disk = Arc::new(Self::default());
        let options = Options { disk: disk.clone(), ..Options::default() };
        let store = store::open(&location(engine, path), &options).expect("the store opens");
        (disk, store)
    }

    fn on_sync(&self, hook: impl FnMut(&Path) -> io::Result<()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }
}

impl Disk for Watched {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        if let Some(hook) = self.hook.lock().unwrap().as_mut() {
            hook(path)?;
        }
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_path(path)
    }
}

/// Whether the file has these bytes.
fn holds(path: &Path, wanted: &[u8]) -> io::Result<bool> {
    Ok(std::fs::read(path)?.windows(wanted.len()).any(|window| window == wanted))
}

fn a_group_is_in_the_file_and_then_synced_before_it_is_acknowledged(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (disk, store) = Watched::open(directory.path(), engine);
    let synced = Arc::new(Mutex::new(Vec::new()));
    let acknowledged = Arc::new(AtomicBool::new(false));
    for round in 0..20 {
        let value = format!("the value of round {round}");
        acknowledged.store(false, Ordering::SeqCst);
        let (seen, told, wanted) = (synced.clone(), acknowledged.clone(), value.clone());
        disk.on_sync(move |path| {
            let there = holds(path, wanted.as_bytes())?;
            seen.lock().unwrap().push((there, told.load(Ordering::SeqCst)));
            Ok(())
        });
        store.commit(&[free(vec![put("xa", &value)])]).unwrap();
        acknowledged.store(true, Ordering::SeqCst);
        let calls = std::mem::take(&mut *synced.lock().unwrap());
        assert!(calls.iter().all(|(_, told)| !told));
        assert!(calls.iter().any(|(there, _)| *there), "the last sync covers the group: {calls:?}");
    }
}

#[test]
fn sled_syncs_a_group_before_it_is_acknowledged() {
    a_group_is_in_the_file_and_then_synced_before_it_is_acknowledged(Engine::Sled);
}

#[test]
fn redb_syncs_a_group_before_it_is_acknowledged() {
    a_group_is_in_the_file_and_then_synced_before_it_is_acknowledged(Engine::Redb);
}

/// While the sync of a group is held back, a read of what it changes gives what was durable before, or waits; so does a
/// claim of a session in it. Everything else goes on.
fn nobody_sees_a_group_that_is_not_durable(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (disk, store) = Watched::open(directory.path(), engine);
    let session = session("a");
    let epoch = store.claim(&session).unwrap().epoch;
    let long = vec![9; 30_000];
    let before = [put("xa", "old"), put("xb", "old"), put("xd", &long), put("xf", "old"), put("y", "other")];
    store.commit(&[free(before.into())]).unwrap();

    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let mut held = false;
    disk.on_sync(move |path| {
        // The store also syncs files that do not hold the group, such as the next segment of its journal.
        if !held && holds(path, b"newer")? {
            held = true;
            entered.send(()).unwrap();
            let _: Result<(), _> = may_go_on.recv();
        }
        Ok(())
    });
    let value = |name: &str| store.get(&key(name)).unwrap().map_or(0, |value| value.len());
    let forward = |after: Option<&[u8]>, limit| names(store.as_ref(), b"x", after, Forward, limit);
    let backward = |after: Option<&[u8]>, limit| names(store.as_ref(), b"x", after, Backward, limit);
    let reads: [(&str, Read, &[&str]); 11] = [
        ("changed", &|| vec![value("xa").to_string()], &["3"]),
        ("deleted", &|| vec![value("xb").to_string()], &["3"]),
        ("made", &|| vec![value("xc").to_string()], &["0"]),
        ("long, then short", &|| vec![value("xd").to_string()], &["30000"]),
        ("all", &|| forward(None, 9), &["xa", "xb", "xd", "xf"]),
        ("from xa", &|| forward(Some(b"xa"), 2), &["xb", "xd"]),
        ("up to xa", &|| forward(None, 1), &["xa"]),
        ("all, backward", &|| backward(None, 9), &["xf", "xd", "xb", "xa"]),
        ("down to xd", &|| backward(None, 2), &["xf", "xd"]),
        ("down from xb", &|| backward(Some(b"xb"), 9), &["xa"]),
        ("events", &|| names(store.as_ref(), keys::events(&session).as_bytes(), None, Forward, 9), &[]),
    ];
    thread::scope(|scope| {
        // Dropped if an assertion fails: that lets the writer go.
        let go_on = go_on;
        let writer = scope.spawn(|| {
            let changes = vec![
                put("xa", "newer"),
                delete("xb"),
                put("xc", "newer"),
                put("xd", "short"),
                put("xe", vec![1; 9_000]),
                delete("xbnever"),
                Change::Put(keys::event(&session, 1), "event".into()),
            ];
            store.commit(&[fenced(&session, epoch, 0, 1, changes)]).unwrap()
        });
        has_entered.recv().unwrap();

        let (told, answers) = mpsc::channel();
        for (what, read, old) in reads {
            let told = told.clone();
            scope.spawn(move || told.send((what, read(), old)));
        }
        let (claimed, claim) = mpsc::channel();
        let (owner, of) = (store.as_ref(), &session);
        scope.spawn(move || claimed.send(owner.claim(of).unwrap()));
        while let Ok((what, answer, old)) = answers.recv_timeout(Duration::from_millis(100)) {
            assert_eq!(answer, old, "{what}");
        }
        claim.try_recv().expect_err("waits for the group");
        store.claim(&super::session("b")).expect("a session that is not in the group does not wait");
        assert_eq!([value("xf"), value("y")], [3, 5], "what the group does not touch is read at once");
        assert_eq!(backward(None, 1), ["xf"]);

        go_on.send(()).unwrap();
        assert_eq!(writer.join().unwrap(), [Written]);
        assert_eq!(claim.recv().unwrap().head, 1);
        assert_eq!(forward(None, 9), ["xa", "xc", "xd", "xe", "xf"]);
        assert_eq!([value("xa"), value("xd")], [5, 5]);
    });
}

type Read<'a> = &'a (dyn Fn() -> Vec<String> + Sync);

#[test]
fn sled_shows_nobody_a_group_that_is_not_durable() {
    nobody_sees_a_group_that_is_not_durable(Engine::Sled);
}

#[test]
fn redb_shows_nobody_a_group_that_is_not_durable() {
    nobody_sees_a_group_that_is_not_durable(Engine::Redb);
}

fn after_a_failed_sync_nothing_is_acknowledged(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (disk, store) = Watched::open(directory.path(), engine);
    let session = session("a");
    let epoch = store.claim(&session).unwrap().epoch;
    store.commit(&[free(vec![put("xa", "acknowledged")])]).unwrap();
    let mut failed = 0;
    disk.on_sync(move |_| {
        failed += 1;
        if failed == 1 { Err(io::Error::other("the drive is gone")) } else { Ok(()) }
    });
    let error = store.commit(&[fenced(&session, epoch, 0, 1, vec![put("xa", "lost")])]).unwrap_err();
    assert!(error.to_string().contains("the drive is gone"), "{error}");
    store.commit(&[free(vec![put("xb", "after")])]).expect_err("the disk works again, but nobody knows what it lost");
    store.claim(&session).expect_err("its head is not known");
    drop(store);

    let store = open(engine, directory.path());
    assert_eq!(store.get(&key("xb")).unwrap(), None);
    let value = store.get(&key("xa")).unwrap().unwrap();
    assert!(value == "acknowledged" || value == "lost");
}

#[test]
fn sled_acknowledges_nothing_after_a_failed_sync() {
    after_a_failed_sync_nothing_is_acknowledged(Engine::Sled);
}

#[test]
fn redb_acknowledges_nothing_after_a_failed_sync() {
    after_a_failed_sync_nothing_is_acknowledged(Engine::Redb);
}

/// The changes are in the file; that it is long harms nobody.
#[test]
fn a_file_of_digests_that_cannot_be_made_short_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = location(Engine::Redb, directory.path());
    let store = try_open_with(&at, &small()).unwrap();
    std::fs::create_dir(directory.path().join("digests.unfinished")).unwrap();
    for n in 0..160 {
        let rows: Vec<_> = (0..1_000).map(|row| put(format!("x{n}-{row:0>30}"), "a row")).collect();
        while let Err(error) = store.commit(&[free(Vec::clone(&rows))]) {
            assert_eq!(error.fault(), tandem_actors::ports::StoreFault::Busy, "{error}");
        }
    }
    store.close();
    drop(store);
    assert!(std::fs::metadata(directory.path().join("digests")).unwrap().len() > 4 << 20, "the file is long");
    std::fs::remove_dir(directory.path().join("digests.unfinished")).unwrap();
    let verified = tandem_store::verify(&at, &small()).unwrap();
    assert!(verified.bad.is_empty(), "{:?}", verified.bad);
}
