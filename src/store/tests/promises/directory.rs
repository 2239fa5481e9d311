//! A directory that cannot be used is refused with one line that says where, what and what to do; a copy is complete or
//! not there.

use std::fs;

use tandem_actors::{
    keys,
    ports::{Direction::*, Store},
    records,
};
use tandem_store::{
    self as store, CopyError, CopyReport, Engine, Location, Options, Phase, Place, Progress, StoreOpenError,
};

use super::*;

const BOTH: [Engine; 2] = Engine::ALL;

fn refusal(location: &Location) -> StoreOpenError {
    told_clearly(location, try_open(location).err().expect("refused"))
}

fn told_clearly(location: &Location, error: StoreOpenError) -> StoreOpenError {
    let line = error.to_string();
    assert!(!line.contains('\n'), "one line: {line}");
    assert!(line.contains(&location.path.display().to_string()), "says where: {line}");
    error
}

#[test]
fn a_store_in_use_is_refused_with_its_holder() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let held = open(engine, directory.path());
        for asked in BOTH {
            let asked = location(asked, directory.path());
            let error = told_clearly(&asked, store::open(&asked, &Options::default()).err().expect("refused"));
            assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        }
        drop(held);
        open(engine, directory.path());
    }
}

#[test]
fn the_other_engines_store_is_refused_with_the_way_to_convert_it() {
    for (engine, asked) in [(Engine::Sled, Engine::Redb), (Engine::Redb, Engine::Sled)] {
        let directory = tempfile::tempdir().unwrap();
        open(engine, directory.path());
        let error = refusal(&location(asked, directory.path()));
        assert!(matches!(error, StoreOpenError::OtherEngine { .. }), "{error:?}");
        assert!(error.to_string().contains("tandem store copy --from"), "{error}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    for engine in BOTH {
        let error = refusal(&location(engine, &file.join("store")));
        assert!(matches!(error, StoreOpenError::Inaccessible { .. }), "{error:?}");
    }
}

/// Where a lost disk would otherwise turn into an empty node that looks healthy.
#[test]
fn a_marked_store_is_never_made_anew() {
    for engine in BOTH {
        for destroy in [|path: &Path| fs::remove_dir_all(path).unwrap(), empty_all_files] {
            let directory = tempfile::tempdir().unwrap();
            open(engine, directory.path()).commit(&[free(vec![put("xa", "precious")])]).unwrap();
            destroy(&directory.path().join(engine.name()));
            let error = refusal(&location(engine, directory.path()));
            assert!(matches!(error, StoreOpenError::Lost { .. }), "{error:?}");
        }
    }
}

fn empty_all_files(path: &Path) {
    for entry in path.read_dir().unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::write(entry.path(), "").unwrap();
    }
}

#[test]
fn files_that_are_no_database_are_refused() {
    for (engine, name) in [(Engine::Sled, "sled/db"), (Engine::Redb, "redb/tandem.redb")] {
        let directory = tempfile::tempdir().unwrap();
        open(engine, directory.path()).commit(&[free(vec![put("xa", "precious")])]).unwrap();
        let length = fs::metadata(directory.path().join(name)).unwrap().len();
        fs::write(directory.path().join(name), vec![b'?'; length as usize]).unwrap();
        let error = refusal(&location(engine, directory.path()));
        assert!(matches!(error, StoreOpenError::Corrupt { .. }), "{error:?}");
    }
}

#[test]
fn a_later_versions_store_is_refused() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let schema = Change::Put(keys::meta("schema"), records::encode(&5_u32));
        let store = open(engine, directory.path());
        store.commit(&[free(vec![schema])]).unwrap();
        store.close();
        drop(store);
        let error = refusal(&location(engine, directory.path()));
        assert!(matches!(error, StoreOpenError::Schema { found: 5, known: 4, .. }), "{error:?}");
    }
}

/// Removing the lock file gives nobody a second writer: the database itself is locked.
#[test]
fn a_database_has_one_process_whatever_happens_to_the_lock_file() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let held = open(engine, directory.path());
        fs::remove_file(directory.path().join("lock")).unwrap();
        let asked = location(engine, directory.path());
        let error = told_clearly(&asked, store::open(&asked, &Options::default()).err().expect("refused"));
        assert!(matches!(error, StoreOpenError::Locked { .. }), "{error:?}");
        assert!(matches!(Place::from(asked.clone()).inspect(&Options::default()), Err(StoreOpenError::Locked { .. })));
        held.commit(&[free(vec![put("xa", "kept")])]).unwrap();
    }
}

/// Into a file that no later start will find, nothing may be acknowledged.
#[test]
fn a_database_that_is_removed_or_swapped_acknowledges_nothing_more() {
    type Harm = fn(&Path);
    let harms: [Harm; 3] = [
        remove_all,
        |store| fs::rename(store, store.with_extension("elsewhere")).unwrap(),
        |store| {
            let elsewhere = store.with_extension("elsewhere");
            fs::rename(store, &elsewhere).unwrap();
            copy_tree(&elsewhere, store);
        },
    ];
    for engine in BOTH {
        for harm in harms {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("store");
            let store = open(engine, &path);
            store.commit(&[free(vec![put("xa", "kept")])]).unwrap();
            harm(&path);
            store.commit(&[free(vec![])]).expect_err("noticed without a write");
            store.commit(&[free(vec![put("xb", "lost")])]).expect_err("not acknowledged");
        }
    }
}

/// The store may be making a file meanwhile.
fn remove_all(directory: &Path) {
    while let Err(error) = fs::remove_dir_all(directory) {
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty, "{error}");
    }
}

pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn older_copy(from: &Path, part: &str) -> impl FnOnce() {
    let (part, older) = (from.join(part), from.with_extension("older"));
    copy_tree(&part, &older);
    move || {
        fs::remove_dir_all(&part).unwrap();
        copy_tree(&older, &part);
    }
}

fn groups_written(store: &dyn Store) {
    (0..3).for_each(|n: u8| assert_eq!(store.commit(&[free(vec![put("xb", [n])])]).unwrap().len(), 1));
}

/// What an engine cuts off silently at a damaged place looks the same: less is there than was acknowledged.
#[test]
fn an_engine_that_has_fallen_back_is_healed_by_the_journal() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        open(engine, &path).commit(&[free(vec![put("xa", "kept")])]).unwrap();
        let fall_back = older_copy(&path, engine.name());
        let store = open(engine, &path);
        groups_written(store.as_ref());
        store.close();
        drop(store);
        fall_back();
        let store = open(engine, &path);
        assert_eq!(store.get(&key("xa")).unwrap().unwrap(), "kept");
        assert_eq!(store.get(&key("xb")).unwrap().unwrap(), [2_u8][..]);
    }
}

#[test]
fn an_engine_that_has_fallen_back_too_far_is_refused() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        open(engine, &path).commit(&[free(vec![put("xa", "kept")])]).unwrap();
        let fall_back = older_copy(&path, engine.name());
        for _ in 0..4 {
            let store = open(engine, &path);
            groups_written(store.as_ref());
            store.close();
        }
        fall_back();
        // Orderly stops are checkpoints: what came before the last but one is forgotten, and its file is used again.
        let error = refusal(&location(engine, &path));
        assert!(matches!(error, StoreOpenError::Journal { .. }), "{error:?}");
        assert!(error.to_string().contains("fallen back further"), "{error}");
    }
}

#[test]
fn a_journal_that_holds_less_than_was_acknowledged_is_refused() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        open(engine, &path).commit(&[free(vec![put("xa", "kept")])]).unwrap();
        let fall_back = older_copy(&path, "journal");
        groups_written(open(engine, &path).as_ref());
        fall_back();
        let error = refusal(&location(engine, &path));
        assert!(matches!(error, StoreOpenError::RolledBack { missing: 4, .. }), "three and the start: {error:?}");
        fs::remove_file(path.join("acknowledged")).unwrap();
        assert_eq!(open(engine, &path).get(&key("xa")).unwrap().unwrap(), "kept", "as the message says");
    }
}

#[test]
fn a_journal_that_is_missing_or_of_another_store_is_refused() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("store"), directory.path().join("other"));
        open(engine, &path).commit(&[free(vec![put("xa", "kept")])]).unwrap();
        open(engine, &other).commit(&[free(vec![put("xa", "other")])]).unwrap();
        fs::rename(path.join("journal"), directory.path().join("elsewhere")).unwrap();
        let error = refusal(&location(engine, &path));
        assert!(matches!(error, StoreOpenError::JournalLost { .. }), "{error:?}");
        fs::rename(other.join("journal"), path.join("journal")).unwrap();
        let error = refusal(&location(engine, &path));
        assert!(error.to_string().contains("belongs to another log"), "{error}");
    }
}

/// A process can end at any point of making a database; what it leaves is taken up or made again.
#[test]
fn an_unfinished_store_is_made_again() {
    for engine in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let unfinished = directory.path().join(format!("{engine}.unfinished"));
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("db"), "half").unwrap();
        open(engine, directory.path()).commit(&[free(vec![put("xa", "kept")])]).unwrap();
        assert!(!unfinished.exists());

        fs::remove_file(directory.path().join("engine")).unwrap();
        let store = open(engine, directory.path());
        assert_eq!(store.get(&key("xa")).unwrap().unwrap(), "kept", "complete, but not marked yet");
        assert!(directory.path().join("engine").exists());
    }
}

#[test]
fn a_snapshot_that_sled_did_not_finish_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    open(Engine::Sled, directory.path()).commit(&[free(vec![put("xa", "kept")])]).unwrap();
    let leftover = directory.path().join("sled/snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(&leftover, "half a snapshot").unwrap();
    let store = open(Engine::Sled, directory.path());
    assert_eq!(store.get(&key("xa")).unwrap().unwrap(), "kept");
    assert!(!leftover.exists());
}

fn filled(engine: Engine, path: &Path) -> Vec<(Key, Bytes)> {
    let store = open(engine, path);
    for group in 0..30_u32 {
        let rows = (0..100_u32)
            .map(|row| put([&b"x"[..], &(group * 100 + row).to_be_bytes()].concat(), vec![1; row as usize]));
        let long = put(format!("y{group}"), vec![group as u8; 3_000 * group as usize]);
        store.commit(&[free(rows.chain([long]).collect())]).unwrap();
    }
    everything(store.as_ref())
}

fn everything(store: &dyn Store) -> Vec<(Key, Bytes)> {
    store
        .scan(&key("x"), None, Forward, usize::MAX)
        .unwrap()
        .into_iter()
        .chain(store.scan(&key("y"), None, Forward, usize::MAX).unwrap())
        .collect()
}

/// As [`try_open`].
fn copy(from: &Location, to: &Location, mut progress: impl FnMut(Progress)) -> Result<CopyReport, CopyError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match store::copy(&from.clone().into(), &to.clone().into(), &Options::default(), &mut progress) {
            Err(CopyError::Open(StoreOpenError::Locked { .. })) if Instant::now() < deadline => {
                std::thread::yield_now();
            }
            outcome => return outcome,
        }
    }
}

#[test]
fn a_copy_holds_every_row_of_its_source() {
    for (from, to) in [(Engine::Sled, Engine::Redb), (Engine::Redb, Engine::Sled)] {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (location(from, &directory.path().join("from")), location(to, &directory.path().join("to")));
        let rows = filled(from.engine, &from.path);
        let epoch = open(from.engine, &from.path).claim(&session("a")).unwrap().epoch;

        let mut phases = Vec::new();
        let report = copy(&from, &to, |progress| {
            assert_eq!(progress.total.is_none(), progress.phase == Phase::Counting);
            phases.push(progress.phase);
        });
        assert_eq!(report.unwrap().rows as usize, rows.len() + 2, "and the store's own");
        phases.dedup();
        assert_eq!(phases, [Phase::Counting, Phase::Copying, Phase::Verifying]);

        let copied = open(to.engine, &to.path);
        assert!(everything(copied.as_ref()) == rows);
        assert!(copied.claim(&session("a")).unwrap().epoch > epoch);
    }
}

/// A store with rows, and a place for another one.
fn source_and_target(engine: Engine) -> (tempfile::TempDir, Location, Vec<(Key, Bytes)>, Location) {
    let directory = tempfile::tempdir().unwrap();
    let from = location(engine, &directory.path().join("from"));
    let rows = filled(engine, &from.path);
    let to = location(engine, &directory.path().join("to"));
    (directory, from, rows, to)
}

#[test]
fn a_directory_where_a_copy_was_cut_off_is_not_taken_for_a_new_one() {
    for engine in BOTH {
        let (_directory, from, rows, to) = source_and_target(engine);
        let cut_off = std::panic::catch_unwind(|| {
            copy(&from, &to, |progress| assert!(progress.phase != Phase::Verifying, "cut off here"))
        });
        cut_off.expect_err("cut off");
        assert!(matches!(refusal(&to), StoreOpenError::HalfCopied { .. }));
        assert!(matches!(Place::from(to.clone()).inspect(&Options::default()), Err(StoreOpenError::HalfCopied { .. })));
        copy(&from, &to, |_| ()).expect("copied after all");
        assert!(everything(open(engine, &to.path).as_ref()) == rows);
    }
}

#[test]
fn a_store_that_is_made_of_rows_has_them_all_and_is_whole() {
    for engine in BOTH {
        let (_directory, _, rows, to) = source_and_target(engine);
        let cut_off = std::panic::catch_unwind(|| {
            let until = rows.iter().take(rows.len() / 2).cloned();
            store::fill(&to, &Options::default(), until.chain(std::iter::from_fn(|| panic!("cut off here"))))
        });
        cut_off.expect_err("cut off");
        assert!(matches!(refusal(&to), StoreOpenError::HalfCopied { .. }));

        store::fill(&to, &Options::default(), rows.iter().cloned()).expect("made");
        let report = store::verify(&to, &Options::default()).expect("looked at");
        assert!(report.bad.is_empty() && report.rows >= rows.len() as u64, "{engine}: {:?}", report.bad);
        let made = open(engine, &to.path);
        assert!(everything(made.as_ref()) == rows, "{engine}");
        drop(made);
        let again = store::fill(&to, &Options::default(), rows.iter().cloned()).expect_err("there is one");
        assert!(matches!(again, StoreOpenError::NotEmpty { .. }), "{again}");
    }
}

#[test]
fn a_copy_needs_a_source_and_a_free_target() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = location(Engine::Sled, &directory.path().join("nowhere"));
    let from = location(Engine::Sled, &directory.path().join("from"));
    let to = location(Engine::Redb, &directory.path().join("to"));
    let refused = |from: &Location, to: &Location| copy(from, to, |_| ()).expect_err("refused").to_string();
    assert!(refused(&nowhere, &to).contains("nothing there"));
    assert!(!nowhere.path.exists(), "looking makes nothing");

    open(from.engine, &from.path);
    let wrong = Location { engine: Engine::Redb, path: from.path.clone() };
    let told = refused(&wrong, &to);
    assert!(told.contains("made by sled") && !told.contains("store.engine"), "{told}");
    let kept = open(to.engine, &to.path);
    kept.commit(&[free(vec![put("xa", "kept")])]).unwrap();
    assert!(refused(&from, &to).contains("not empty"));
    assert_eq!(kept.get(&key("xa")).unwrap().unwrap(), "kept");
    assert!(refused(&from, &from).contains("not empty"));
    let held = open(from.engine, &from.path);
    let error = store::copy(&from.clone().into(), &nowhere.into(), &Options::default(), |_| ()).expect_err("refused");
    assert!(error.to_string().contains("in use"));
    drop(held);
}
