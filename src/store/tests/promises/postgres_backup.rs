//! Backups of a store in a PostgreSQL database, and stores that are made in one.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tandem_actors::{domain::time::Timestamp, ports::Direction::Forward};
use tandem_store::{Address, BackupReport, Backups, PostgresError, RestorePlan, RestorePoint, RestoreProgress};

use super::{
    backup::SetAtEnd,
    postgres::{Database, database, eventually, options, refusal},
    *,
};

impl Database {
    fn named(&self) -> Address {
        self.address().parse().unwrap()
    }

    /// Takes a backup, whether the store is open or not.
    fn back_up(&self, to: &Path, keep: usize) -> BackupReport {
        let mut told = (0, 0);
        let mut progress = |progress: store::BackupProgress| told = (progress.rows, progress.total);
        let taken = Backups::of_database(&self.named(), &options()).take(to, &[], keep, &mut progress).unwrap();
        // One row is the store's own.
        assert_eq!(told, (taken.manifest.rows, taken.manifest.rows + taken.manifest.damaged + 1));
        taken
    }

    fn restore(&self, plan: &RestorePlan, progress: &mut dyn FnMut(RestoreProgress)) -> Result<(), String> {
        let data = tempfile::tempdir().unwrap();
        let restored = plan.restore_into_database(&self.named(), data.path(), &options(), progress);
        restored.map(drop).map_err(|error| error.to_string())
    }
}

fn plan(from: &Path, choice: &RestorePoint) -> RestorePlan {
    store::plan(from, choice, &mut |_| {}).unwrap()
}

fn manifests(to: &Path) -> usize {
    to.join("backups").read_dir().unwrap().count()
}

#[test]
fn each_backup_of_a_database_in_use_is_the_state_after_one_group() {
    let (Some(used), to) = (database(), tempfile::tempdir().unwrap()) else { return };
    let (node, done, written) = (used.open(), AtomicBool::new(false), AtomicU64::new(0));
    // What does not change is shared by all backups.
    let unchanged: Vec<Change> = (0..4_000).map(|row| put(format!("y{row:05}"), [7; 300])).collect();
    node.commit(&[free(unchanged)]).unwrap();
    let taken: Vec<BackupReport> = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 1.. {
                node.commit(&workload::group(n)).unwrap();
                written.store(n, Ordering::Release);
                if done.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        let ending = SetAtEnd(&done);
        let taken = (0..4).map(|_| {
            let before = written.load(Ordering::Acquire);
            eventually(|| (written.load(Ordering::Acquire) > before + 30).then_some(()));
            let answered = written.load(Ordering::Acquire);
            let taken = used.back_up(to.path(), 0);
            assert!(taken.manifest.position > answered, "what was answered before is in it");
            taken
        });
        let taken = taken.collect();
        drop(ending);
        writing.join().unwrap();
        taken
    });
    for taken in &taken[1..] {
        let all: u64 = taken.manifest.chunks.iter().map(|chunk| chunk.bytes).sum();
        assert!(taken.new_bytes < all / 2, "it shares what is there: {} of {all} bytes are new", taken.new_bytes);
    }
    for BackupReport { manifest, .. } in &taken {
        let plan = plan(to.path(), &RestorePoint::Backup(manifest.id.clone()));
        let directory = tempfile::tempdir().unwrap();
        let (at, _) = plan.restore(&directory.path().join("data"), None, &options(), &mut |_| {}).unwrap();
        let in_directory = try_open(&at).unwrap();
        let other = database().unwrap();
        other.restore(&plan, &mut |_| {}).unwrap();
        for restored in [in_directory, other.open()] {
            // The first group has the unchanged rows.
            assert_eq!(workload::latest(&*restored), Ok(manifest.position - 1));
            assert_eq!(names(&*restored, b"y", None, Forward, 9_999).len(), 4_000);
        }
    }
    let listed = store::list(to.path()).unwrap();
    assert!(listed.into_iter().all(|listed| !listed.unwrap().continues));
    let between = (taken[0].manifest.position + taken[1].manifest.position) / 2;
    let at = Timestamp::from_millis(taken[1].manifest.created_at.as_millis() - 1);
    for choice in [RestorePoint::Position(between), RestorePoint::At(at)] {
        let refused = store::plan(to.path(), &choice, &mut |_| {}).expect_err("no journal").to_string();
        assert!(refused.contains("the newest backup is of a database") && refused.contains("--backup ID"), "{refused}");
    }
}

#[test]
fn an_interrupted_restore_into_a_database_leaves_nothing_that_a_node_starts_on() {
    let (Some(target), place) = (database(), tempfile::tempdir().unwrap()) else { return };
    let to = place.path().join("backups");
    // Of an encrypted directory: in the database, the rows are as any other.
    let with_key = Options { encryption_key_file: Some(key_file(place.path(), "a1")), ..options() };
    let from = location(Engine::Redb, &place.path().join("store"));
    let (node, backups) = store::open_with_backups(&from, &with_key).unwrap();
    for n in 1..=60 {
        node.commit(&workload::group(n)).unwrap();
    }
    backups.take(&to, &[], 0, &mut |_| {}).unwrap();
    let plan = plan(&to, &RestorePoint::Newest);
    let restore = |progress: &mut dyn FnMut(RestoreProgress)| {
        let data = place.path().join("data");
        plan.restore_into_database(&target.named(), &data, &with_key, progress)
    };
    let without_key = target.restore(&plan, &mut |_| {}).expect_err("it is encrypted");
    assert!(without_key.contains("store.encryption_key_file"), "{without_key}");
    assert_eq!(target.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'tandem'"), "0", "nothing is begun");

    catch_unwind(AssertUnwindSafe(|| restore(&mut |_| panic!("cut off here")))).expect_err("cut off");
    let (line, error) = refusal(&target.place());
    assert!(matches!(error, StoreOpenError::Postgres(PostgresError::HalfCopied { .. })), "{line}");
    assert!(line.contains("run the same command again"), "{line}");
    eventually(|| restore(&mut |_| {}).ok());
    let refused = restore(&mut |_| {}).expect_err("a store is there").to_string();
    assert!(refused.contains("not empty"), "{refused}");
    assert_eq!(workload::latest(&*target.open()), Ok(60));

    // A backup that is damaged after it was checked: nothing stays.
    let half = database().unwrap();
    target.back_up(&to, 0);
    let plan = self::plan(&to, &RestorePoint::Newest);
    let chunk = &plan.manifest.chunks[0].sha256;
    fs::write(to.join("chunks").join(&chunk[..2]).join(chunk), "another").unwrap();
    let damaged = half.restore(&plan, &mut |_| {}).expect_err("damaged");
    assert!(damaged.contains("its checksum is wrong"), "{damaged}");
    assert_eq!(half.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'tandem'"), "0");
}

#[test]
fn a_damaged_row_is_left_out_of_the_backup_and_counted_and_no_older_backup_is_removed() {
    let (Some(used), to) = (database(), tempfile::tempdir().unwrap()) else { return };
    let node = used.open();
    node.commit(&[free(vec![put("xa", "kept"), put("xb", "damaged"), put("xc", "kept")])]).unwrap();
    used.back_up(to.path(), 1);
    node.commit(&[free(vec![put("xd", "kept")])]).unwrap();
    assert_eq!((used.back_up(to.path(), 1).removed.len(), manifests(to.path())), (1, 1));
    used.sql("UPDATE tandem.rows SET value = set_byte(value, 7, 0) WHERE key = 'xb'");
    node.commit(&[free(vec![put("xe", "kept")])]).unwrap();
    let taken = used.back_up(to.path(), 1);
    assert_eq!((taken.manifest.damaged, taken.removed.len(), manifests(to.path())), (1, 0, 2));
    let other = database().unwrap();
    other.restore(&plan(to.path(), &RestorePoint::Newest), &mut |_| {}).unwrap();
    assert_eq!(names(&*other.open(), b"x", None, Forward, 9), ["xa", "xc", "xd", "xe"]);
}

#[test]
fn a_database_that_has_fallen_back_is_not_backed_up_among_its_later_backups() {
    let (Some(used), to) = (database(), tempfile::tempdir().unwrap()) else { return };
    let node = used.open();
    for n in 1..=5 {
        node.commit(&workload::group(n)).unwrap();
    }
    used.back_up(to.path(), 0);
    used.sql("DELETE FROM tandem.groups WHERE number > 3");
    let backups = Backups::of_database(&used.named(), &options());
    let refused = backups.take(to.path(), &[], 0, &mut |_| {}).expect_err("refused").to_string();
    assert!(refused.contains("backups of a later state of this store"), "{refused}");
    assert_eq!(manifests(to.path()), 1);
}
