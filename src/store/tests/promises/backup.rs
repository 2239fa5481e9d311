//! Backups of a store that is written meanwhile: each is the state after one group, and so is every position between
//! two of them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tandem_actors::{domain::time::Timestamp, keys};
use tandem_store::{BackupError, Backups, RestorePlan, RestorePoint};

use super::{
    workload::{group, latest},
    *,
};

fn open_with_backups(engine: Engine, path: &Path) -> (Arc<dyn Store>, Backups) {
    store::open_with_backups(&location(engine, path), &small()).expect("the store opens")
}

fn take(backups: &Backups, to: &Path) -> store::BackupReport {
    backups.take(to, &[], 0, &mut |_| {}).expect("a backup")
}

fn plan(from: &Path, choice: &RestorePoint) -> Result<RestorePlan, BackupError> {
    store::plan(from, choice, &mut |_| {})
}

/// The number of the last group of the workload in what is restored, and the position.
fn restored(from: &Path, choice: &RestorePoint, engine: Engine) -> (u64, u64) {
    restored_with(from, choice, engine, &small())
}

fn restored_with(from: &Path, choice: &RestorePoint, engine: Engine, options: &Options) -> (u64, u64) {
    let place = tempfile::tempdir().expect("a directory");
    let plan = plan(from, choice).unwrap_or_else(|error| panic!("{choice}: {error}"));
    let made = plan.restore(&place.path().join("data"), Some(engine), options, &mut |_| {});
    let (made, _) = made.unwrap_or_else(|error| panic!("{choice}: {error}"));
    let store = try_open_with(&made, options).expect("the restored store opens");
    let latest = latest(&*store).unwrap_or_else(|wrong| panic!("{choice}: {wrong}"));
    store.close();
    drop(store);
    let verified = store::verify(&made, options).expect("it can be read");
    assert!(verified.bad.is_empty(), "{:?}", verified.bad);
    (latest, plan.position)
}

fn other(engine: Engine) -> Engine {
    if engine == Engine::Sled { Engine::Redb } else { Engine::Sled }
}

/// Sets it when dropped, also by a panic.
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The most groups that are written during one backup. Those of two, some 50 MB, fit into half of the journal: the part
/// that is kept for a backup, however long it takes.
const AHEAD: u64 = 2_000;
const ROOMY: u64 = 256 << 20;

#[test]
fn every_backup_and_every_position_between_two_is_the_state_after_one_group() {
    let mut options = small();
    options.journal.max_bytes = ROOMY;
    for engine in Engine::ALL {
        let place = tempfile::tempdir().expect("a directory");
        let to = place.path().join("backups");
        let location = location(engine, &place.path().join("store"));
        let (store, backups) = store::open_with_backups(&location, &options).expect("the store opens");
        let (stop, ahead) = (AtomicBool::new(false), AtomicU64::new(0));
        let taken: Vec<_> = std::thread::scope(|scope| {
            let _stopped = SetAtEnd(&stop);
            let writer = scope.spawn(|| {
                let mut number = 1;
                while !stop.load(Ordering::Relaxed) {
                    // Refused: the engine is behind.
                    if ahead.load(Ordering::Relaxed) < AHEAD && store.commit(&group(number)).is_ok() {
                        number += 1;
                        ahead.fetch_add(1, Ordering::Relaxed);
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
            let taken = (0..4).map(|_| {
                while ahead.load(Ordering::Relaxed) < 10 && !writer.is_finished() {
                    std::thread::yield_now();
                }
                let taken = take(&backups, &to).manifest;
                ahead.store(0, Ordering::Relaxed);
                taken
            });
            taken.collect()
        });
        store.close();
        drop((store, backups));
        let offset = restored(&to, &RestorePoint::Newest, engine);
        let offset = offset.1 - offset.0;
        for manifest in &taken {
            let (latest, position) = restored(&to, &RestorePoint::Backup(manifest.id.clone()), other(engine));
            assert_eq!((latest + offset, position), (manifest.position, manifest.position));
        }
        let (first, last) = (taken[0].position, taken[3].position);
        assert!(last > first + 10, "groups are written between the backups: {first} to {last}");
        for position in (first..=last).step_by(((last - first) / 4) as usize) {
            assert_eq!(restored(&to, &RestorePoint::Position(position), engine), (position - offset, position));
        }
        for beyond in [first - 1, last + 1] {
            let error = plan(&to, &RestorePoint::Position(beyond)).expect_err("out of reach").to_string();
            assert!(error.contains("cannot be restored") && !error.contains('\n'), "{error}");
        }
    }
}

#[test]
fn the_state_at_a_time_is_the_one_after_the_last_group_before_it() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    store.commit(&group(1)).expect("written");
    take(&backups, &to);
    moment();
    store.commit(&group(2)).expect("written");
    let between = moment();
    store.commit(&group(3)).expect("written");
    take(&backups, &to);
    assert_eq!(restored(&to, &RestorePoint::At(between), Engine::Redb).0, 2);
    let long_ago = Timestamp::from_millis(1_000);
    for out in [long_ago, (Options::default().now)() + Duration::from_secs(60)] {
        plan(&to, &RestorePoint::At(out)).expect_err("out of reach");
    }
}

/// The times in a file of groups decide which state is restored, so they are not believed unchecked.
#[test]
fn a_damaged_time_or_length_of_a_group_is_found_before_it_decides_anything() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    store.commit(&group(1)).expect("written");
    take(&backups, &to);
    moment();
    store.commit(&group(2)).expect("written");
    let between = moment();
    store.commit(&group(3)).expect("written");
    let groups = take(&backups, &to).manifest.journal;
    let newest = store::list(&to).expect("listed").pop().expect("a backup").expect("sound").manifest;
    let wanted = newest.position - 1;
    // A backup may write its groups into several files.
    let holds = groups.iter().find(|file| (file.first..=file.last).contains(&wanted)).expect("a file has it");
    let file = to.join("journal").join(&holds.file);
    let whole = fs::read(&file).expect("a file");
    let mut second = 0;
    while whole[second + 4..second + 12] != wanted.to_be_bytes() {
        let length = u32::from_be_bytes(*whole[second..].first_chunk().expect("a header"));
        second += 20 + length as usize;
    }
    for (at, what) in [(second, "its length"), (second + 12, "its time")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&file, bytes).expect("written");
        let error = plan(&to, &RestorePoint::At(between)).expect_err(what).to_string();
        assert!(error.contains("its checksum is wrong"), "{what}: {error}");
    }
    fs::write(&file, whole).expect("written");
    assert_eq!(restored(&to, &RestorePoint::At(between), Engine::Redb).0, 2);
}

#[test]
fn every_position_between_the_last_plain_backup_and_the_first_encrypted_one_is_restored() {
    /// Groups before each of them.
    const EACH: u64 = 4;
    for engine in Engine::ALL {
        let place = tempfile::tempdir().expect("a directory");
        let (to, at) = (place.path().join("backups"), location(engine, &place.path().join("store")));
        let with_key = Options { encryption_key_file: Some(key_file(place.path(), "a")), ..small() };
        let (mut number, mut manifests) = (0, Vec::new());
        for options in [small(), with_key.clone()] {
            let (store, backups) = store::open_with_backups(&at, &options).expect("the store opens");
            for _ in 0..EACH {
                number += 1;
                store.commit(&group(number)).expect("written");
            }
            manifests.push(take(&backups, &to).manifest);
            store.close();
        }
        let [plain, encrypted] = &manifests[..] else { panic!("two") };
        assert!(plain.keys.is_none() && encrypted.keys.is_some());
        // A start may write groups of its own.
        let offset = encrypted.position - number;
        for position in plain.position..=encrypted.position {
            let found = restored_with(&to, &RestorePoint::Position(position), engine, &with_key);
            assert_eq!(found, ((position - offset).max(EACH), position), "{engine}");
        }
        // Without the key nothing is begun that cannot be completed. The plain backup itself needs none.
        let data = place.path().join("data");
        let plan = plan(&to, &RestorePoint::Position(encrypted.position - 1)).expect("a plan");
        let refused = plan.restore(&data, None, &small(), &mut |_| {}).expect_err("refused").to_string();
        assert!(refused.contains("store.encryption_key_file"), "{refused}");
        assert!(!data.exists(), "nothing is begun");
        assert_eq!(restored(&to, &RestorePoint::Backup(plain.id.clone()), engine).0, EACH);
    }
}

#[test]
fn what_has_not_changed_is_not_written_again_and_files_are_for_this_user_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let (store, backups) = open_with_backups(Engine::Sled, &place.path().join("store"));
    for page in 0..40 {
        let rows = (0..200).map(|row| put(format!("y{page:04}{row:04}"), [7; 300])).collect();
        store.commit(&[free(rows)]).expect("written");
    }
    let written = take(&backups, &to).new_bytes;
    assert!(written > 2_000_000, "{written}");
    // Rows that the first backup has found in the journal are in the engine some time later.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut base = 0;
    loop {
        store.commit(&[free(vec![put("y00100100", "changed")])]).expect("written");
        let taken = take(&backups, &to);
        if base > 41 {
            assert!(taken.new_bytes < written / 4, "one changed row costs a chunk: {} of {written}", taken.new_bytes);
            break;
        }
        base = taken.manifest.base;
        assert!(Instant::now() < deadline, "no checkpoint");
    }
    let mut directories = vec![to];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir().expect("a directory") {
            let entry = entry.expect("an entry");
            let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
            if entry.file_type().expect("a type").is_dir() {
                directories.push(entry.path());
                assert_eq!(mode, 0o700, "{}", entry.path().display());
            } else {
                assert_eq!(mode, 0o600, "{}", entry.path().display());
                assert!(!entry.file_name().to_string_lossy().ends_with("unfinished"));
            }
        }
    }
}

#[test]
fn nothing_is_restored_from_a_damaged_backup_or_over_anything() {
    let place = tempfile::tempdir().expect("a directory");
    let (to, data) = (place.path().join("backups"), place.path().join("data"));
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    for number in 1..60 {
        store.commit(&group(number)).expect("written");
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while take(&backups, &place.path().join("elsewhere")).manifest.rows == 0 {
        assert!(Instant::now() < deadline, "no checkpoint");
    }
    // It has rows, and groups: what is written while the rows are read.
    let mut last = 59;
    let taken = backups.take(&to, &[], 0, &mut |_| {
        last += 1;
        store.commit(&group(last)).expect("written");
    });
    let taken = taken.expect("a backup").manifest;
    let sound = plan(&to, &RestorePoint::Newest).expect("sound");
    let mut files = Vec::new();
    for entry in ["chunks", "journal", "backups"].map(|name| to.join(name)) {
        let found = entry.read_dir().expect("a directory").map(|entry| entry.expect("an entry").path());
        files.extend(found.flat_map(|path| match path.read_dir() {
            Ok(inner) => inner.map(|entry| entry.expect("an entry").path()).collect(),
            Err(_) => vec![path],
        }));
    }
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        let whole = fs::read(file).expect("read");
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(file, &damaged).expect("written");
        let error = plan(&to, &RestorePoint::Newest).expect_err("damaged").to_string();
        assert!(error.contains("is not what was written"), "{error}");
        // It was sound when it was looked at, and is not when it is read.
        if sound.restore(&data, None, &small(), &mut |_| {}).is_err() {
            let half = try_open(&location(Engine::Redb, &data.join("store"))).err().expect("half a store");
            assert!(matches!(half, StoreOpenError::HalfCopied { .. }), "{half}");
        } else {
            fs::remove_dir_all(&data).expect("removed");
        }
        fs::write(file, &whole).expect("written");
    }
    fs::create_dir_all(&data).expect("there");
    sound.restore(&data, None, &small(), &mut |_| {}).expect("what was interrupted does not stand in the way");
    let error = sound.restore(&data, None, &small(), &mut |_| {}).expect_err("not empty").to_string();
    assert!(error.contains("is not empty"), "{error}");
    let store = try_open(&location(Engine::Redb, &data.join("store"))).expect("it opens");
    assert_eq!(latest(&*store), Ok(last));
    plan(&to, &RestorePoint::Backup("../x".into())).expect_err("no name");
    plan(&to, &RestorePoint::Backup(taken.id)).expect("its name");
    plan(&place.path().join("nowhere"), &RestorePoint::Newest).expect_err("nothing there");
}

#[test]
fn older_backups_go_and_take_with_them_what_nobody_else_needs() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    for number in 1..=5 {
        store.commit(&group(number)).expect("written");
        store.commit(&[free(vec![put(format!("y{number}"), format!("only in {number}"))])]).expect("written");
        let taken = backups.take(&to, &[], 2, &mut |_| {}).expect("a backup");
        assert_eq!(taken.removed.len(), usize::from(number > 2));
    }
    let listed = store::list(&to).expect("listed");
    let listed: Vec<_> = listed.into_iter().map(|backup| backup.expect("sound")).collect();
    assert_eq!(listed.iter().map(|backup| backup.continues).collect::<Vec<_>>(), [false, true]);
    for position in listed[0].manifest.position..=listed[1].manifest.position {
        restored(&to, &RestorePoint::Position(position), Engine::Redb);
    }
    store.close();
    // A start goes on where the last backup ended.
    drop((store, backups));
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    store.commit(&group(6)).expect("written");
    take(&backups, &to);
    assert!(store::list(&to).expect("listed").pop().expect("the last").expect("sound").continues);
}

#[test]
fn a_backup_is_taken_although_an_older_one_cannot_be_removed() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    store.commit(&group(1)).expect("written");
    take(&backups, &to);
    // Nobody removes it as if it were a file.
    let foreign = to.join("chunks/aa/foreign");
    fs::create_dir_all(&foreign).expect("made");
    store.commit(&group(2)).expect("written");
    let taken = backups.take(&to, &[], 1, &mut |_| {}).expect("a backup");
    let problem = taken.not_removed.expect("a problem");
    assert!(problem.contains("foreign"), "{problem}");
    assert_eq!(restored(&to, &RestorePoint::Newest, Engine::Redb), (2, taken.manifest.position));
    fs::remove_dir(foreign).expect("removed");
    store.commit(&group(3)).expect("written");
    let taken = backups.take(&to, &[], 1, &mut |_| {}).expect("a backup");
    assert_eq!((taken.not_removed, taken.removed.len()), (None, 1));
}

#[test]
fn a_backup_without_damaged_rows_stays_when_one_with_them_is_taken() {
    let place = tempfile::tempdir().expect("a directory");
    let (path, to) = (place.path().join("store"), place.path().join("backups"));
    let (store, backups) = open_with_backups(Engine::Redb, &path);
    let rows = [("ya", "one"), ("yb", "to be damaged"), ("yc", "three")];
    let marker = keys::index_marker();
    let rows = rows.map(|(key, value)| put(key, value)).into_iter();
    let rows = rows.chain([Change::Put(marker.clone(), "1".into())]).collect();
    store.commit(&[free(rows)]).expect("written");
    let keep_one = |backups: &Backups| backups.take(&to, &[], 1, &mut |_| {}).expect("a backup");
    let whole = keep_one(&backups).manifest;
    store.close();
    drop((store, backups));
    super::damage::damage(&path, "to be damaged");
    let (store, backups) = open_with_backups(Engine::Redb, &path);
    for _ in 0..2 {
        store.commit(&[free(vec![put("yd", "four")])]).expect("written");
        let store::BackupReport { manifest, removed, .. } = keep_one(&backups);
        assert_eq!((manifest.damaged, removed), (1, Vec::new()));
    }
    let restored = |point: RestorePoint, data: &str| {
        let plan = plan(&to, &point).expect("it is there");
        let (made, _) = plan.restore(&place.path().join(data), None, &small(), &mut |_| {}).expect("restored");
        try_open(&made).expect("it opens")
    };
    let restored_whole = restored(RestorePoint::Backup(whole.id), "whole");
    assert_eq!(names(&*restored_whole, b"y", None, Direction::Forward, 9), ["ya", "yb", "yc"]);
    assert!(restored_whole.get(&marker).expect("read").is_some());
    let with_damage = restored(RestorePoint::Newest, "with-damage");
    assert_eq!(names(&*with_damage, b"y", None, Direction::Forward, 9), ["ya", "yc", "yd"]);
    assert!(with_damage.get(&marker).expect("read").is_none(), "the next start writes the index rows again");
}

#[test]
fn nothing_is_removed_beside_a_backup_of_a_later_version() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    let of_later = to.join("backups/20260131T120000.000Z-1.json");
    let (chunk, later) = (to.join("chunks/ab/abcd"), "{\"format\":2,\"pieces\":[\"abcd\"]}");
    fs::create_dir_all(chunk.parent().expect("a directory")).expect("made");
    fs::create_dir_all(of_later.parent().expect("a directory")).expect("made");
    fs::write(&chunk, "rows").expect("written");
    fs::write(&of_later, later).expect("written");
    let keep_one = |number| {
        store.commit(&group(number)).expect("written");
        backups.take(&to, &[], 1, &mut |_| {}).expect("a backup").removed.len()
    };
    assert_eq!([1, 2, 3].map(keep_one), [0, 0, 0]);
    assert!(chunk.exists() && of_later.exists());
    assert_eq!(store::list(&to).expect("listed").len(), 4);
    fs::remove_file(&of_later).expect("removed");
    assert_eq!(keep_one(4), 3);
    assert!(!chunk.exists(), "nothing names it any more");
}

/// A moment behind all that has happened, and before all that follows.
fn moment() -> Timestamp {
    let now = Options::default().now;
    let later = || {
        let before = now();
        while now() <= before {
            std::thread::yield_now();
        }
        now()
    };
    let moment = later();
    later();
    moment
}

#[test]
fn a_backup_of_an_idle_store_is_followed_by_every_moment_up_to_the_next_one() {
    let place = tempfile::tempdir().expect("a directory");
    let (store, backups) = open_with_backups(Engine::Redb, &place.path().join("store"));
    store.commit(&group(1)).expect("written");
    let deadline = Instant::now() + Duration::from_secs(60);
    // As soon as the engine has all rows, a first backup has the last group only, for the next one to compare.
    let (to, first) = (0..)
        .map(|number| place.path().join(format!("backups-{number}")))
        .map(|to| (to.clone(), take(&backups, &to).manifest))
        .inspect(|_| assert!(Instant::now() < deadline, "no checkpoint"))
        .find(|(_, manifest)| manifest.base + 1 == manifest.position)
        .expect("one");
    assert_eq!(first.journal.iter().map(|groups| groups.first).collect::<Vec<_>>(), [first.position]);
    let nothing_since = moment();
    store.commit(&group(2)).expect("written");
    let between = moment();
    store.commit(&group(3)).expect("written");
    // The next one needs only the last of these groups for itself as soon as the engine has their rows.
    let elsewhere = || backups.take_elsewhere(&place.path().join("elsewhere"), &[], &mut |_| {}).expect("a backup");
    while elsewhere().manifest.base <= first.position {
        assert!(Instant::now() < deadline, "no checkpoint");
    }
    take(&backups, &to);
    let continues: Vec<_> =
        store::list(&to).expect("listed").into_iter().map(|one| one.expect("sound").continues).collect();
    assert_eq!(continues, [false, true]);
    for (choice, latest) in [
        (RestorePoint::At(nothing_since), 1),
        (RestorePoint::At(between), 2),
        (RestorePoint::Position(first.position + 1), 2),
        (RestorePoint::Newest, 3),
    ] {
        assert_eq!(restored(&to, &choice, Engine::Redb).0, latest, "{choice}");
    }
    // While nothing is written, later ones do not keep groups that may hold what was erased.
    let mut latest = 3;
    let busy = backups.take(&to, &[], 0, &mut |_| {
        for number in [latest + 1, latest + 2] {
            store.commit(&group(number)).expect("written");
        }
        latest += 2;
    });
    assert!(busy.expect("a backup").manifest.journal.iter().all(|groups| groups.first < groups.last));
    while elsewhere().manifest.base < first.position + latest - 2 {
        assert!(Instant::now() < deadline, "no checkpoint");
    }
    let idle = take(&backups, &to).manifest;
    assert_eq!(idle.journal.iter().map(|groups| groups.first).collect::<Vec<_>>(), [idle.position]);
}

#[test]
fn backups_of_one_store_are_ordered_by_position_also_if_the_clock_goes_back() {
    static NOW: AtomicU64 = AtomicU64::new(1_800_000_000_000);
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let now = || Timestamp::from_millis(NOW.load(Ordering::Relaxed) as i64);
    let location = location(Engine::Redb, &place.path().join("store"));
    let (store, backups) = store::open_with_backups(&location, &Options { now, ..small() }).expect("the store opens");
    let mut positions = Vec::new();
    for number in 1..=3 {
        store.commit(&group(number)).expect("written");
        positions.push(take(&backups, &to).manifest.position);
        NOW.fetch_sub(3_600_000, Ordering::Relaxed);
    }
    let listed = || -> Vec<_> {
        let listed = store::list(&to).expect("listed").into_iter().map(|one| one.expect("sound"));
        listed.map(|one| (one.manifest.position, one.continues)).collect()
    };
    assert_eq!(listed(), [(positions[0], false), (positions[1], true), (positions[2], true)]);
    assert_eq!(restored(&to, &RestorePoint::Newest, Engine::Redb).0, 3);
    assert_eq!(restored(&to, &RestorePoint::Position(positions[1]), Engine::Redb).0, 2);
    let start = Timestamp::from_millis(1_800_000_000_000);
    assert_eq!(restored(&to, &RestorePoint::At(start), Engine::Redb).0, 3, "all groups are of this time or before it");
    store.commit(&group(4)).expect("written");
    let taken = backups.take(&to, &[], 2, &mut |_| {}).expect("a backup");
    assert_eq!(taken.removed.len(), 2);
    assert_eq!(listed(), [(positions[2], false), (taken.manifest.position, true)]);
}

#[test]
fn a_backup_is_whole_although_more_is_written_meanwhile_than_the_journal_holds() {
    const JOURNAL: usize = 2 << 20;
    let mut options = small();
    (options.journal.max_bytes, options.journal.segment_bytes) = (JOURNAL as u64, 64 << 10);
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let location = location(Engine::Redb, &place.path().join("store"));
    let (store, backups) = store::open_with_backups(&location, &options).expect("the store opens");
    for page in 0..200 {
        let rows = (0..100).map(|row| put(format!("y{page:04}{row:04}"), [7; 50])).collect();
        store.commit(&[free(rows)]).expect("written");
    }
    let (mut latest, mut bytes) = (0, 0);
    let mut write = || {
        let (before, deadline) = (bytes, Instant::now() + Duration::from_secs(60));
        while bytes - before < JOURNAL / 8 {
            let mut group = group(latest + 1);
            group.push(free(vec![put("z", [7; 50_000])]));
            // Refused: the engine is behind.
            match store.commit(&group) {
                Ok(_) => (latest, bytes) = (latest + 1, bytes + bytes_of(&group)),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        }
        (latest, bytes)
    };
    write();
    let first = take(&backups, &to).manifest;
    let mut written = write();
    let enough = written.1 + JOURNAL;
    // An eighth of the journal for each page of rows that is read.
    let second = backups.take(&to, &[], 0, &mut |_| {
        if written.1 < enough {
            written = write();
        }
    });
    let second = second.expect("a backup").manifest;
    assert!(written.1 >= enough, "less is written than the journal holds");
    assert_eq!(restored(&to, &RestorePoint::Newest, Engine::Redb), (written.0, second.position));
    let (between, offset) = (first.position.midpoint(second.position), second.position - written.0);
    assert_eq!(restored(&to, &RestorePoint::Position(between), Engine::Redb), (between - offset, between));
}

/// The least that these take up in the journal.
fn bytes_of(group: &[Commit]) -> usize {
    let changes = group.iter().flat_map(|commit| &commit.changes);
    changes.map(|change| if let Change::Put(_, value) = change { value.len() } else { 0 }).sum()
}

#[test]
fn a_backup_never_goes_on_from_one_of_another_copy_of_the_store() {
    let place = tempfile::tempdir().expect("a directory");
    let (path, copied, to) = (place.path().join("store"), place.path().join("copied"), place.path().join("backups"));
    let (store, backups) = open_with_backups(Engine::Redb, &path);
    store.commit(&group(1)).expect("written");
    take(&backups, &to);
    store.close();
    drop((store, backups));
    super::directory::copy_tree(&path, &copied);
    let (store, backups) = open_with_backups(Engine::Redb, &path);
    (2..=4).for_each(|number| drop(store.commit(&group(number)).expect("written")));
    let last = take(&backups, &to).manifest;
    store.close();
    drop((store, backups));

    let (other, of_other) = open_with_backups(Engine::Redb, &copied);
    for number in 2..=7 {
        other.commit(&[group(number), vec![free(vec![put("yother", "only in the copy")])]].concat()).expect("written");
        match of_other.take(&to, &[], 1, &mut |_| {}).expect_err("of another copy") {
            BackupError::Later { .. } => assert!(number < 4, "it has as many groups"),
            BackupError::OtherHistory { .. } => assert!(number >= 4, "it has fewer groups"),
            error => panic!("{error}"),
        }
    }
    let own = place.path().join("of-the-copy");
    take(&of_other, &own);
    assert_eq!(plan(&own, &RestorePoint::Newest).expect("sound").position, last.position + 3);
    other.close();
    drop((other, of_other));

    let (store, backups) = open_with_backups(Engine::Redb, &path);
    store.commit(&group(5)).expect("written");
    // The journal needs nothing any more of what the last backup has.
    let deadline = Instant::now() + Duration::from_secs(60);
    let elsewhere = || backups.take_elsewhere(&place.path().join("elsewhere"), &[], &mut |_| {}).expect("a backup");
    for number in 6.. {
        store.commit(&group(number)).expect("written");
        if elsewhere().manifest.base > last.position + 4 {
            break;
        }
        assert!(Instant::now() < deadline, "no checkpoint");
    }
    take(&backups, &to);
    let listed = store::list(&to).expect("listed").into_iter().map(|one| one.expect("sound").continues);
    assert_eq!(listed.collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(restored(&to, &RestorePoint::Position(last.position), Engine::Redb).0, 4);
    assert_eq!(restored(&to, &RestorePoint::Position(last.position + 2), Engine::Redb).0, 5);
}

#[test]
fn a_backup_is_whole_although_the_groups_of_the_one_before_are_damaged() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    let mut options = small();
    // No checkpoint: each backup needs all groups.
    (options.journal.checkpoint_after, options.journal.checkpoint_bytes) = (Duration::from_secs(3_600), 64 << 20);
    let location = location(Engine::Redb, &place.path().join("store"));
    let (store, backups) = store::open_with_backups(&location, &options).expect("the store opens");
    store.commit(&group(1)).expect("written");
    take(&backups, &to);
    for number in 2..=4 {
        for entry in to.join("journal").read_dir().expect("groups") {
            let path = entry.expect("an entry").path();
            let mut content = fs::read(&path).expect("read");
            let middle = content.len() / 2;
            content[middle] ^= 1;
            fs::write(&path, content).expect("written");
        }
        store.commit(&group(number)).expect("written");
        take(&backups, &to);
        assert_eq!(restored(&to, &RestorePoint::Newest, Engine::Redb).0, number);
    }
}
