//! What is not needed any more does not stay on the disk for long. Nobody waits while the rows are rewritten.

use std::{fs, fs::File, io, os::unix::fs::MetadataExt, sync::atomic::AtomicBool, sync::atomic::Ordering};

use tandem_actors::ports::Direction::Forward;
use tandem_store::{Disk, RealDisk};

use super::*;

const ROWS: u32 = 12_000;
const ROUNDS: u32 = 8;

/// Bytes that the engine's database takes, holes left out.
fn database_bytes(path: &Path) -> u64 {
    let below = |path: &Path| path.read_dir().into_iter().flatten().map(|entry| entry.unwrap());
    let databases = below(path).filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        entry.path().is_dir() && Engine::ALL.iter().any(|engine| name.starts_with(engine.name()))
    });
    let files = databases.flat_map(|entry| below(&entry.path()).collect::<Vec<_>>());
    files.map(|file| file.metadata()).filter_map(Result::ok).map(|metadata| metadata.blocks() * 512).sum()
}

/// sled writes a row several times until its page is full, also into a fresh database.
fn most(engine: Engine) -> u64 {
    match engine {
        Engine::Sled => 4,
        Engine::Redb => 2,
    }
}

fn live_bytes(store: &dyn Store) -> u64 {
    let rows = store.scan(&key("x"), None, Forward, usize::MAX).unwrap();
    rows.iter().map(|(key, value)| (key.as_bytes().len() + value.len()) as u64).sum()
}

fn value(number: u32, round: u32) -> Vec<u8> {
    // Nothing that a disk could make smaller.
    (0..300_u32).map(|at| (number.wrapping_mul(31).wrapping_add(round * 7 + at * at) >> 3) as u8).collect()
}

const FROM: u64 = 2 << 20;

fn options() -> Options {
    let journal = JournalOptions { checkpoint_bytes: 1 << 20, rewrite_from: FROM, ..small().journal };
    Options { journal, min_free: 0, ..small() }
}

/// Waits until the database takes no more than it may. Returns the bytes of the rows, and of the database.
fn wait_until_it_is_small(engine: Engine, path: &Path, store: &dyn Store) -> (u64, u64) {
    // After a rewrite under load, the next one waits for several times its duration.
    let deadline = Instant::now() + Duration::from_secs(300);
    let live = live_bytes(store);
    loop {
        let disk = database_bytes(path);
        if disk <= (most(engine) * live).max(FROM) {
            return (live, disk);
        }
        assert!(Instant::now() < deadline, "{engine}: {live} bytes of rows, {disk} on the disk");
        // A checkpoint makes the store look.
        commit_when_it_may(store, vec![put("y", "a row")]);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn commit_when_it_may(store: &dyn Store, changes: Vec<Change>) {
    let group = free(changes);
    while let Err(error) = store.commit(std::slice::from_ref(&group)) {
        assert_eq!(error.fault(), tandem_actors::ports::StoreFault::Busy, "{error}");
    }
}

/// What a large database takes when it is fresh says nothing about a small one.
#[test]
fn room_is_given_back_when_most_rows_are_gone() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let store = try_open_with(&location(engine, path), &options()).unwrap();
        let each = |change: &dyn Fn(u32) -> Change| {
            for numbers in (0..ROWS).collect::<Vec<_>>().chunks(500) {
                commit_when_it_may(store.as_ref(), numbers.iter().map(|number| change(*number)).collect());
            }
        };
        for round in 0..2 {
            each(&|number| put(format!("x{number:08}"), value(number, round)));
            wait_until_it_is_small(engine, path, store.as_ref());
        }
        each(&|number| match number % 12 {
            0 => put(format!("x{number:08}"), value(number, 2)),
            _ => delete(format!("x{number:08}")),
        });
        let (live, disk) = wait_until_it_is_small(engine, path, store.as_ref());
        println!("{engine}: {live} bytes of rows, {disk} on the disk");
    }
}

#[test]
fn room_that_is_not_needed_is_given_back() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let options = options();
        let store = try_open_with(&location(engine, path), &options).unwrap();
        let mut longest = Duration::ZERO;
        for round in 0..ROUNDS {
            for numbers in (0..ROWS).collect::<Vec<_>>().chunks(500) {
                let changes = numbers.iter().map(|number| {
                    // The rows become fewer.
                    if number % 12 < round {
                        delete(format!("x{number:08}"))
                    } else {
                        put(format!("x{number:08}"), value(*number, round))
                    }
                });
                let (changes, began) = (changes.collect(), Instant::now());
                commit_when_it_may(store.as_ref(), changes);
                longest = longest.max(began.elapsed());
            }
        }
        let (live, disk) = wait_until_it_is_small(engine, path, store.as_ref());
        println!("{engine}: {live} bytes of rows, {disk} on the disk; the longest commit took {longest:?}");
        let expected = (0..ROWS).filter(|number| number % 12 >= ROUNDS - 1);
        let rows = store.scan(&key("x"), None, Forward, usize::MAX).unwrap();
        assert!(
            rows.into_iter()
                .eq(expected.map(|number| (key(format!("x{number:08}")), value(number, ROUNDS - 1).into()))),
            "{engine}: the rows are those that were written last"
        );
        store.close();
        drop(store);
        let verified = store::verify(&location(engine, path), &options).unwrap();
        assert!(verified.bad.is_empty(), "{engine}: {:?}", verified.bad);
    }
}

/// Fails when the mark that names the database was renamed and is not durable yet.
#[derive(Debug, Default)]
struct FailsAtTheMark {
    fails: AtomicBool,
    has_failed: AtomicBool,
}

impl Disk for FailsAtTheMark {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        let is_marked = || fs::read_to_string(path.join("engine")).is_ok_and(|name| name.trim().ends_with(".2"));
        if self.fails.load(Ordering::SeqCst) && is_marked() {
            self.has_failed.store(true, Ordering::SeqCst);
            return Err(io::Error::other("the disk does not answer"));
        }
        RealDisk.sync_path(path)
    }
}

/// After a power cut the next start may open either database. So neither gets more, and neither is removed.
#[test]
fn when_it_is_not_known_which_database_counts_nothing_more_is_written() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let at = location(engine, directory.path());
        let disk = Arc::new(FailsAtTheMark::default());
        let store = try_open_with(&at, &Options { disk: disk.clone(), ..rewriting() }).unwrap();
        disk.fails.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut acknowledged = 0;
        loop {
            match store.commit(&workload::group(acknowledged + 1)) {
                Ok(_) => acknowledged += 1,
                Err(error) if error.fault() == tandem_actors::ports::StoreFault::Busy => {}
                Err(_) => break,
            }
            assert!(Instant::now() < deadline, "{engine}: it fails");
        }
        assert!(disk.has_failed.load(Ordering::SeqCst), "{engine}");
        let names = if engine == Engine::Sled { ["sled", "sled.2"] } else { ["redb", "redb.2"] };
        assert!(names.iter().all(|name| directory.path().join(name).exists()), "{engine}: both are there");
        drop(store);
        for name in names {
            // The power went: the mark is the new one, or the former one.
            let place = tempfile::tempdir().unwrap();
            let image = place.path().join("store");
            super::directory::copy_tree(directory.path(), &image);
            fs::write(image.join("engine"), format!("{name}\n")).unwrap();
            let store = open_small(engine, &image);
            assert_eq!(workload::latest(store.as_ref()), Ok(acknowledged), "{name}");
        }
    }
}
