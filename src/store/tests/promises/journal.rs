//! The journal in front of an engine: its disk fails, writes short, is full; the engine falls behind.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use tandem_actors::ports::StoreFault;
use tandem_store::{Disk, Engine, RealDisk, verify};
use tandem_wal::simulation::{Faults, SimulatedDisk};

use super::*;

fn open_on(disk: &SimulatedDisk, engine: Engine, path: &Path, journal: JournalOptions) -> Arc<dyn Store> {
    let options = Options { journal, journal_disk: Some(Arc::new(disk.clone())), ..Options::default() };
    try_open_with(&location(engine, path), &options).expect("the store opens")
}

fn without_checkpoints() -> JournalOptions {
    let never = Duration::from_secs(3600);
    JournalOptions { checkpoint_bytes: 1 << 30, recent_bytes: 1 << 30, checkpoint_after: never, ..small().journal }
}

#[test]
fn writes_that_are_short_make_no_difference() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(1);
        disk.set(Faults { short_writes: true, ..Faults::default() });
        let store = open_on(&disk, engine, directory.path(), small().journal);
        (1..=60).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
        drop(store);
        let store = open_on(&disk, engine, directory.path(), small().journal);
        assert_eq!(workload::latest(store.as_ref()), Ok(60));
    }
}

#[test]
fn a_full_disk_refuses_and_takes_groups_again_when_there_is_room() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(1);
        let store = open_on(&disk, engine, directory.path(), without_checkpoints());
        disk.set(Faults { capacity: Some(disk.bytes()), ..Faults::default() });
        let mut last = 0;
        let refused = loop {
            match store.commit(&workload::group(last + 1)) {
                Ok(_) => last += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.fault(), StoreFault::NoRoom, "{refused}");
        assert_eq!(workload::latest(store.as_ref()), Ok(last), "what is stored can be read");
        disk.set(Faults::default());
        store.commit(&workload::group(last + 1)).expect("without a restart");
        drop(store);
        let store = open_on(&disk, engine, directory.path(), without_checkpoints());
        assert_eq!(workload::latest(store.as_ref()), Ok(last + 1));
    }
}

#[test]
fn after_a_write_or_sync_that_fails_nothing_is_acknowledged_and_nothing_is_lost() {
    for engine in Engine::ALL {
        for operations in 1..24 {
            let directory = tempfile::tempdir().unwrap();
            let disk = SimulatedDisk::new(operations);
            let store = open_on(&disk, engine, directory.path(), small().journal);
            disk.set(Faults { operations: Some(operations), ..Faults::default() });
            let last = (1..).find(|n| store.commit(&workload::group(*n)).is_err()).unwrap() - 1;
            disk.set(Faults::default());
            store.commit(&workload::group(last + 1)).expect_err("nobody knows what the disk has lost");
            drop(store);
            let store = open_on(&disk.cut_power(operations), engine, directory.path(), small().journal);
            let there = workload::latest(store.as_ref()).expect("whole groups");
            assert!(there == last || there == last + 1, "{engine}: {last} were acknowledged, {there} are there");
        }
    }
}

/// What is made and deleted between two checkpoints leaves nothing, but there may be an older row.
#[test]
fn a_row_that_the_engine_has_stays_deleted_though_it_was_made_again() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let open = || try_open_with(&location(engine, directory.path()), &Options::default()).expect("the store opens");
        let store = open();
        store.commit(&[free(vec![put("xa", "old")])]).unwrap();
        store.close();
        drop(store);
        let store = open();
        store.commit(&[free(vec![put("xa", "new"), put("xb", "new")])]).unwrap();
        store.commit(&[free(vec![delete("xa"), delete("xb")])]).unwrap();
        let is_gone = |store: &dyn Store| {
            assert_eq!(store.get_all(&[key("xa"), key("xb")]).unwrap(), [None, None], "{engine}");
            assert_eq!(store.scan(&key("x"), None, Direction::Forward, 9).unwrap(), [], "{engine}");
        };
        is_gone(&*store);
        store.close();
        drop(store);
        is_gone(&*open());
    }
}

/// Holds the engine's syncs back while it is told to.
#[derive(Debug, Default)]
struct SlowEngine(Mutex<Option<mpsc::Receiver<()>>>);

impl Disk for SlowEngine {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        if !path.parent().is_some_and(|parent| parent.ends_with("journal"))
            && let Some(go_on) = &*self.0.lock().unwrap()
        {
            let _: Result<(), _> = go_on.recv();
        }
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_path(path)
    }
}

fn size(change: &Change) -> usize {
    match change {
        Change::Put(_, value) => value.len(),
        Change::Delete(_) => 0,
    }
}

#[test]
fn an_engine_that_does_not_keep_up_makes_callers_come_back_later() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(SlowEngine::default());
        let journal = JournalOptions { recent_bytes: 1 << 20, ..small().journal };
        let options = Options { journal, disk: disk.clone(), ..Options::default() };
        let store = try_open_with(&location(engine, directory.path()), &options).expect("the store opens");
        let (go_on, held) = mpsc::channel::<()>();
        *disk.0.lock().unwrap() = Some(held);
        let mut last = 0;
        let refused = loop {
            match store.commit(&workload::group(last + 1)) {
                Ok(_) => last += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.fault(), StoreFault::Busy, "{refused}");
        assert!(last > 10, "{last} groups");
        let bytes: usize =
            (1..=last).flat_map(workload::group).flat_map(|commit| commit.changes).map(|change| size(&change)).sum();
        assert!(bytes < 4 << 20, "{bytes} bytes were taken");
        assert_eq!(store.get(&key("xlatest")).unwrap().unwrap(), last.to_be_bytes()[..], "what is recent can be read");
        drop(go_on);
        let deadline = Instant::now() + Duration::from_secs(20);
        while store.commit(&workload::group(last + 1)).is_err() {
            assert!(Instant::now() < deadline, "it goes on by itself");
        }
        drop(store);
        assert_eq!(workload::latest(open(engine, directory.path()).as_ref()), Ok(last + 1));
    }
}

/// Each sync of the engine takes a while.
#[derive(Debug, Default)]
struct BusyEngine(AtomicUsize);

impl Disk for BusyEngine {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        if !path.parent().is_some_and(|parent| parent.ends_with("journal")) {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_path(path)
    }
}

#[test]
fn a_store_that_closes_leaves_what_takes_too_long_to_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(BusyEngine::default());
    let journal = JournalOptions { closing: Duration::from_millis(100), ..without_checkpoints() };
    let at = location(Engine::Sled, directory.path());
    let store = try_open_with(&at, &Options { journal, disk: disk.clone(), ..Options::default() }).expect("it opens");
    // Some hundred batches.
    (1..=60).for_each(|n| {
        let rows = (0..64).map(|row| put(format!("x{n:02}-{row:02}"), vec![0; 4096])).collect();
        store.commit(&[free(rows)]).expect("written");
    });
    let before = disk.0.load(Ordering::Relaxed);
    store.close();
    let syncs = disk.0.load(Ordering::Relaxed) - before;
    assert!((1..50).contains(&syncs), "{syncs} batches were written");
    drop(store);
    assert_eq!(verify(&at, &Options::default()).expect("it can be read").bad, [""; 0]);
    let store = open(Engine::Sled, directory.path());
    let rows = store.scan(&key("x"), None, Direction::Forward, usize::MAX).expect("a scan");
    assert_eq!(rows.len(), 60 * 64);
}

/// Groups pause while they are ahead of the engine. After a kill, the engine has to write what the start has read.
#[test]
fn rows_from_before_a_kill_do_not_slow_down_later_groups() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            journal: JournalOptions { recent_bytes: 1 << 20, ..without_checkpoints() },
            ..Options::default()
        };
        let at = location(engine, directory.path());
        // Less than all of the room, so that nothing else asks for a checkpoint.
        for groups in [60, 100] {
            let store = try_open_with(&at, &options).expect("the store opens");
            for n in 0..groups {
                store.commit(&[free(vec![put(format!("x{groups}-{n}"), vec![0; 4096])])]).expect("written");
            }
        }
        let found = verify(&at, &Options::default()).expect("it can be read");
        assert!(found.checkpoint >= 60, "{engine}: the engine has {} groups", found.checkpoint);
    }
}

/// A row that changes between two checkpoints reaches the engine once; what is forgotten is used again.
#[test]
fn the_journal_keeps_its_size_whatever_is_written() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let store = open_small(engine, directory.path());
        (1..=600).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
        let files = std::fs::read_dir(directory.path().join("journal")).unwrap();
        // A segment that is renamed or removed meanwhile is not counted.
        let bytes: u64 = files.filter_map(|file| file.unwrap().metadata().ok()).map(|file| file.len()).sum();
        assert!(bytes < 12 << 20, "{bytes} bytes");
        assert_eq!(workload::latest(store.as_ref()), Ok(600));
    }
}

/// Two checkpoints' worth of segments are kept, although others are used again meanwhile.
#[test]
fn an_engine_that_falls_back_by_one_checkpoint_is_healed() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let (path, older) = (directory.path().join("store"), directory.path().join("older"));
        let options = Options { journal: without_checkpoints(), ..Options::default() };
        let open = || try_open_with(&location(engine, &path), &options).expect("the store opens");
        for life in 0..5 {
            if life == 4 {
                directory::copy_tree(&path.join(engine.name()), &older);
            }
            let store = open();
            (life * 60 + 1..=life * 60 + 60).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
            // The only checkpoint of this life.
            store.close();
        }
        std::fs::remove_dir_all(path.join(engine.name())).unwrap();
        directory::copy_tree(&older, &path.join(engine.name()));
        assert_eq!(workload::latest(open().as_ref()), Ok(300));
    }
}
