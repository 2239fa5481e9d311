//! A damaged row is found, named, and costs what it belongs to.

use std::{fs, sync::Arc};

use tandem_actors::{
    keys,
    ports::{Direction::*, Store, StoreFault},
};
use tandem_store::Engine;

use super::*;

/// Flips a bit of each place in redb's file where `text` is. (sled checks its records itself.)
pub(super) fn damage(path: &Path, text: &str) {
    let file = path.join("redb/tandem.redb");
    let mut bytes = fs::read(&file).unwrap();
    let places: Vec<_> = bytes.windows(text.len()).enumerate().filter(|(_, part)| *part == text.as_bytes()).collect();
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "it is in the file");
    places.into_iter().for_each(|place| bytes[place] ^= 1);
    fs::write(&file, bytes).unwrap();
}

fn reopened_with_damage(path: &Path, store: Arc<dyn Store>, text: &str) -> Arc<dyn Store> {
    store.close();
    drop(store);
    damage(path, text);
    open(Engine::Redb, path)
}

#[test]
fn a_damaged_event_is_named_and_costs_its_session() {
    let directory = tempfile::tempdir().unwrap();
    let (hurt, other) = (session("a"), session("b"));
    let store = open(Engine::Redb, directory.path());
    let event = |session, text: &str| Change::Put(keys::event(session, 1), Bytes::copy_from_slice(text.as_bytes()));
    store.commit(&[free(vec![event(&hurt, "words to be damaged"), event(&other, "words of others")])]).unwrap();

    let store = reopened_with_damage(directory.path(), store, "words to be damaged");
    let error = store.get(&keys::event(&hurt, 1)).expect_err("found");
    assert_eq!(error.fault(), StoreFault::Damaged);
    assert!(error.text().contains(&format!("event 1 of session {hurt}")), "{error}");
    assert!(!error.text().contains("words"), "{error}");
    store.scan(&keys::events(&hurt), None, Forward, 9).expect_err("a log is whole or not there");
    store.claim(&hurt).expect_err("nobody goes on from a wrong place");

    assert_eq!(store.get(&keys::event(&other, 1)).unwrap().unwrap(), "words of others");
    assert_eq!(store.claim(&other).unwrap().head, 1);
    store.commit(&[free(vec![put("xa", "written")])]).expect("others go on");
}

#[test]
fn a_damaged_row_among_many_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(Engine::Redb, directory.path());
    store.commit(&[free(vec![put("xa", "one"), put("xb", "to be damaged"), put("xc", "three")])]).unwrap();
    let store = reopened_with_damage(directory.path(), store, "to be damaged");
    assert_eq!(names(store.as_ref(), b"x", None, Forward, 9), ["xa", "xc"]);
    assert_eq!(names(store.as_ref(), b"x", Some(b"xa"), Forward, 1), ["xc"], "it does not look like the end");
    assert_eq!(names(store.as_ref(), b"x", Some(b"xc"), Backward, 1), ["xa"]);
}
