//! The contract of `ports::Store`, on every store there is.

use std::{path::Path, sync::Arc};

use tandem_actors::{
    keys,
    ports::{Direction::*, Store, Verdict::*},
};
use tandem_store::Engine;
use tandem_testing::MemoryStore;

use super::*;

macro_rules! on_every_store {
    ($($promise:ident),* $(,)?) => {
        on_every_store!(@ sled, |path| open(Engine::Sled, path), $($promise)*);
        on_every_store!(@ redb, |path| open(Engine::Redb, path), $($promise)*);
        on_every_store!(@ memory, |_| Arc::new(MemoryStore::default()), $($promise)*);
        mod postgres {
            $(
                #[test]
                fn $promise() {
                    let Some(database) = crate::postgres::database() else { return };
                    super::$promise(database.open().as_ref());
                }
            )*
        }
    };
    (@ $engine:ident, $open:expr, $($promise:ident)*) => {
        mod $engine {
            use super::*;
            $(
                #[test]
                fn $promise() {
                    let directory = tempfile::tempdir().expect("a directory");
                    let open: fn(&Path) -> Arc<dyn Store> = $open;
                    super::$promise(open(&directory.path().join("store")).as_ref());
                }
            )*
        }
    };
}

on_every_store!(
    a_group_is_written_in_order,
    several_rows_come_in_the_order_of_their_keys,
    scans_go_both_ways_and_begin_beyond_after,
    a_scan_ends_where_its_prefix_ends,
    values_of_any_size_come_back_and_go_away,
    a_long_value_changes_within_one_group,
    only_the_owner_that_knows_the_head_writes,
    commits_of_one_session_follow_each_other_in_a_group,
    a_claim_gives_the_head_of_the_log,
    a_refused_commit_leaves_no_row,
    a_release_of_somebody_elses_claim_does_nothing,
    a_group_of_refused_commits_only_is_no_failure,
);

fn a_group_is_written_in_order(store: &dyn Store) {
    let group = [free(vec![put("xa", "1"), put("xb", "1")]), free(vec![delete("xa")]), free(vec![put("xb", "2")])];
    assert_eq!(store.commit(&group).unwrap(), [Written, Written, Written]);
    assert_eq!(store.get(&key("xa")).unwrap(), None);
    assert_eq!(store.get(&key("xb")).unwrap().unwrap(), "2");
}

fn several_rows_come_in_the_order_of_their_keys(store: &dyn Store) {
    store.commit(&[free(vec![put("xa", "1"), put("xb", "2"), put("xc", "")])]).unwrap();
    let keys = ["xc", "xmissing", "xa", "xb", "xa"].map(key);
    let rows = store.get_all(&keys).unwrap();
    let rows: Vec<Option<&[u8]>> = rows.iter().map(Option::as_deref).collect();
    assert_eq!(rows, [Some(&b""[..]), None, Some(b"1"), Some(b"2"), Some(b"1")]);
    assert_eq!(store.get_all(&[]).unwrap().len(), 0);
}

fn scans_go_both_ways_and_begin_beyond_after(store: &dyn Store) {
    store.commit(&[free(["xa", "xb", "xc", "xd"].map(|name| put(name, "")).into())]).unwrap();
    assert_eq!(names(store, b"x", None, Forward, 9), ["xa", "xb", "xc", "xd"]);
    assert_eq!(names(store, b"x", None, Backward, 9), ["xd", "xc", "xb", "xa"]);
    assert_eq!(names(store, b"x", Some(b"xb"), Forward, 1), ["xc"]);
    assert_eq!(names(store, b"x", Some(b"xbb"), Forward, 9), ["xc", "xd"]);
    assert_eq!(names(store, b"x", Some(b"xc"), Backward, 1), ["xb"]);
    assert_eq!(names(store, b"x", Some(b"xd"), Forward, 9), [""; 0]);
    assert_eq!(names(store, b"x", Some(b"xa"), Backward, 9), [""; 0]);
    assert_eq!(names(store, b"x", None, Forward, 0), [""; 0]);
}

fn a_scan_ends_where_its_prefix_ends(store: &dyn Store) {
    let all: [&[u8]; 6] = [b"r", b"r\xfe", b"r\xff", b"r\xff\xff", b"r\xff\xff\0", b"s"];
    store.commit(&[free(all.map(|name| put(name, "")).into())]).unwrap();
    assert_eq!(names(store, b"r\xff", None, Forward, 9), ["r\\xff", "r\\xff\\xff", "r\\xff\\xff\\x00"]);
    assert_eq!(names(store, b"r\xff\xff", None, Backward, 9), ["r\\xff\\xff\\x00", "r\\xff\\xff"]);
    assert_eq!(names(store, b"r", None, Backward, 1), ["r\\xff\\xff\\x00"]);
    assert_eq!(names(store, b"s", None, Backward, 9), ["s"]);
    assert_eq!(names(store, b"\xff", None, Forward, 9), [""; 0]);
}

fn values_of_any_size_come_back_and_go_away(store: &dyn Store) {
    for size in [0, 1, 4_095, 4_096, 4_097, 8_192, 8_193, 65_536, 200 << 10, 1 << 20, 5_000, 12_289] {
        let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        store.commit(&[free(vec![put("xlong", &value), put("xlonger", &value), put("xlast", "end")])]).unwrap();
        assert_eq!(store.get(&key("xlong")).unwrap().unwrap(), value);
        let rows = store.scan(&key("x"), None, Forward, 9).unwrap();
        assert_eq!(rows.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [3, size, size]);
        assert_eq!(rows[2].1, value);
    }
    store.commit(&[free(vec![delete("xlong"), delete("xlonger")])]).unwrap();
    assert_eq!(store.get(&key("xlong")).unwrap(), None);
    assert_eq!(names(store, b"x", None, Backward, 9), ["xlast"]);
    assert_eq!(names(store, b"", None, Backward, 1), ["xlast"], "nothing of an engine's own shows");
}

fn a_long_value_changes_within_one_group(store: &dyn Store) {
    let (long, longer) = (vec![1; 20_000], vec![2; 30_000]);
    store.commit(&[free(vec![put("xa", &longer), put("xb", &longer), put("xc", &long)])]).unwrap();
    let group = [
        free(vec![put("xa", &long), put("xb", &long), put("xd", &longer), put("xc", &longer)]),
        free(vec![put("xa", &longer), put("xb", "short"), delete("xd"), put("xc", &long)]),
    ];
    store.commit(&group).unwrap();
    assert_eq!(store.get(&key("xa")).unwrap().unwrap(), longer);
    assert_eq!(store.get(&key("xb")).unwrap().unwrap(), "short");
    assert_eq!(store.get(&key("xc")).unwrap().unwrap(), long);
    assert_eq!(store.get(&key("xd")).unwrap(), None);
}

fn only_the_owner_that_knows_the_head_writes(store: &dyn Store) {
    let session = session("a");
    let row = |seq| vec![Change::Put(keys::event(&session, seq), "event".into())];
    let first = store.claim(&session).unwrap();
    assert_eq!(first.head, 0);
    assert_eq!(store.commit(&[fenced(&session, first.epoch, 0, 1, row(1))]).unwrap(), [Written]);
    let second = store.claim(&session).unwrap();
    assert!(second.epoch > first.epoch);
    let group = [
        fenced(&session, first.epoch, 1, 2, row(2)),
        fenced(&session, second.epoch, 0, 1, row(1)),
        fenced(&session, second.epoch, 2, 3, row(3)),
        fenced(&session, second.epoch + 1, 1, 2, row(2)),
        fenced(&session, second.epoch, 1, 2, row(2)),
    ];
    assert_eq!(store.commit(&group).unwrap(), [Fenced, Fenced, Fenced, Fenced, Written]);
    store.release(&session, second.epoch);
    assert_eq!(store.commit(&[fenced(&session, second.epoch, 2, 3, row(3))]).unwrap(), [Fenced]);
}

fn commits_of_one_session_follow_each_other_in_a_group(store: &dyn Store) {
    let session = session("a");
    let row = |seq| Change::Put(keys::event(&session, seq), "event".into());
    let epoch = store.claim(&session).unwrap().epoch;
    let group = [
        fenced(&session, epoch, 0, 2, vec![row(1), row(2)]),
        fenced(&session, epoch, 2, 2, vec![put("xviewed", "2")]),
        fenced(&session, epoch, 2, 3, vec![row(3)]),
    ];
    assert_eq!(store.commit(&group).unwrap(), [Written, Written, Written]);
    assert_eq!(store.claim(&session).unwrap().head, 3);
}

fn a_claim_gives_the_head_of_the_log(store: &dyn Store) {
    let (a, b) = (session("a"), session("b"));
    let rows = [1, 2, 300].map(|seq| Change::Put(keys::event(&a, seq), "event".into()));
    store.commit(&[free(rows.into())]).unwrap();
    assert_eq!(store.claim(&a).unwrap().head, 300);
    assert_eq!(store.claim(&b).unwrap().head, 0);
    store.commit(&[free(vec![put([keys::events(&b).as_bytes(), b"?"].concat(), "")])]).unwrap();
    assert!(store.claim(&b).is_err(), "a key that holds no seq is told, not taken for 0");
}

fn a_refused_commit_leaves_no_row(store: &dyn Store) {
    let session = session("a");
    let epoch = store.claim(&session).unwrap().epoch;
    let group = [
        fenced(&session, epoch, 7, 8, vec![put("xrefused", ""), put("xkept", "refused")]),
        free(vec![put("xkept", "kept")]),
    ];
    assert_eq!(store.commit(&group).unwrap(), [Fenced, Written]);
    assert_eq!(store.get(&key("xrefused")).unwrap(), None);
    assert_eq!(store.get(&key("xkept")).unwrap().unwrap(), "kept");
}

fn a_release_of_somebody_elses_claim_does_nothing(store: &dyn Store) {
    let session = session("a");
    let first = store.claim(&session).unwrap().epoch;
    let second = store.claim(&session).unwrap().epoch;
    store.release(&session, first);
    assert_eq!(store.commit(&[fenced(&session, second, 0, 0, vec![])]).unwrap(), [Written]);
}

fn a_group_of_refused_commits_only_is_no_failure(store: &dyn Store) {
    assert_eq!(store.commit(&[fenced(&session("a"), 1, 0, 1, vec![put("xa", "")])]).unwrap(), [Fenced]);
    assert_eq!(store.commit(&[]).unwrap(), []);
    assert_eq!(store.commit(&[free(vec![put("xb", "")])]).unwrap(), [Written]);
}

fn rows_and_epochs_outlive_the_process(open: impl Fn() -> Arc<dyn Store>) {
    let session = session("a");
    let (mut last_epoch, long) = (0, vec![3; 50_000]);
    for start in 0..4_u64 {
        let store = open();
        let claim = store.claim(&session).unwrap();
        assert!(claim.epoch > last_epoch);
        assert_eq!(claim.head, start);
        assert_eq!(store.get(&key("xlong")).unwrap().is_some(), start > 0);
        let event = Change::Put(keys::event(&session, start + 1), "event".into());
        let stale = fenced(&session, last_epoch, start, start + 1, vec![delete("xlong")]);
        let group = [stale, fenced(&session, claim.epoch, start, start + 1, vec![event, put("xlong", &long)])];
        assert_eq!(store.commit(&group).unwrap(), [Fenced, Written]);
        assert_eq!(store.get(&key("xlong")).unwrap().unwrap(), long);
        last_epoch = claim.epoch;
    }
}

#[test]
fn sled_rows_and_epochs_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    rows_and_epochs_outlive_the_process(|| open(Engine::Sled, &directory.path().join("store")));
}

#[test]
fn redb_rows_and_epochs_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    rows_and_epochs_outlive_the_process(|| open(Engine::Redb, &directory.path().join("store")));
}

#[test]
fn postgres_rows_and_epochs_outlive_the_process() {
    let Some(database) = crate::postgres::database() else { return };
    rows_and_epochs_outlive_the_process(|| database.open());
}

/// sled never syncs its blob files, so none may arise, whatever the sizes and however rows crowd on a page.
#[test]
fn sled_never_writes_a_blob_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(Engine::Sled, directory.path());
    let mut state = 1_u64;
    for round in 0..400 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let name = format!("x{:03}", (state >> 33) % 40);
        let change = if round % 5 == 4 { delete(&name) } else { put(&name, vec![7; (state >> 40) as usize % 40_000]) };
        store.commit(&[free(vec![change])]).unwrap();
        let blobs = directory.path().join("sled/blobs").read_dir().unwrap().count();
        assert_eq!(blobs, 0, "in round {round}");
    }
}
