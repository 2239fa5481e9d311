//! A store of an earlier version is taken over by the first start. The fixtures were made by these versions: 2 had no
//! journal, 3 no digests. That of the present version is there for the next one.
//!
//! A version that changes the schema adds its own, before it is released:
//! `cargo test -p tandem-store --test promises -- --ignored make_the_fixture`

use std::fs;

use tandem_actors::{
    keys,
    ports::{Direction::Forward, Verdict::Written},
    records,
};
use tandem_store::{Engine, verify};
use tandem_testing::fixture::{pack, unpack};

use super::*;

/// The first version of which there can be stores.
const FIRST: u32 = 2;

fn fixture(version: u32, engine: Engine) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/fixtures");
    fixtures.join(format!("schema-{version}")).join(engine.name())
}

fn unpacked(version: u32, engine: Engine, to: &Path) {
    unpack(&fixture(version, engine), to).unwrap();
}

fn schema_of(store: &dyn Store) -> u32 {
    records::decode(&store.get(&keys::meta("schema")).unwrap().unwrap()).unwrap()
}

/// The version of the stores that this program makes.
fn present() -> u32 {
    let directory = tempfile::tempdir().unwrap();
    schema_of(&*open(Engine::Redb, directory.path()))
}

#[test]
#[ignore = "it writes into the repository"]
fn make_the_fixture() {
    for engine in Engine::ALL {
        let (directory, session) = (tempfile::tempdir().unwrap(), session("a"));
        for start in 0..2 {
            let store = open_small(engine, directory.path());
            let claim = store.claim(&session).unwrap();
            let rows = vec![put("x0", "0"), put("x1", "1"), put("xlong", vec![start + 1; 9000])];
            let event = Change::Put(keys::event(&session, claim.head + 1), "event".into());
            let commit = fenced(&session, claim.epoch, claim.head, claim.head + 1, vec![event]);
            assert_eq!(store.commit(&[free(rows), commit]).unwrap(), [Written, Written]);
            // The second one ends as if it were killed.
            if start == 0 {
                store.close();
            }
        }
        pack(directory.path(), &fixture(present(), engine)).unwrap();
    }
}

/// So that the next version finds the stores of the versions before it.
#[test]
fn every_version_of_the_schema_has_a_fixture() {
    let present = present();
    assert!(present >= FIRST);
    for (version, engine) in (FIRST..=present).flat_map(|version| Engine::ALL.map(|engine| (version, engine))) {
        let fixture = fixture(version, engine);
        assert!(fixture.is_dir(), "{}: make_the_fixture makes it", fixture.display());
    }
}

#[test]
fn a_store_of_an_earlier_version_is_taken_over() {
    let present = present();
    for (version, engine) in (FIRST..=present).flat_map(|version| Engine::ALL.map(|engine| (version, engine))) {
        let directory = tempfile::tempdir().unwrap();
        unpacked(version, engine, directory.path());
        assert_eq!(verify(&location(engine, directory.path()), &Options::default()).unwrap().bad, [""; 0]);
        let session = session("a");
        for start in 0..3 {
            let store = open(engine, directory.path());
            assert_eq!(schema_of(&*store), present, "the version before refuses it from now on");
            let claim = store.claim(&session).unwrap();
            assert_eq!((claim.epoch >> 32, claim.head), (3 + start, 2 + start), "two starts before, two events");
            assert_eq!(store.get(&key("xlong")).unwrap().unwrap(), vec![2; 9000]);
            assert_eq!(names(store.as_ref(), b"x", None, Forward, 9), ["x0", "x1", "xlong"]);
            let next = claim.head + 1;
            let event = Change::Put(keys::event(&session, next), "event".into());
            let commit = fenced(&session, claim.epoch, claim.head, next, vec![event]);
            assert_eq!(store.commit(&[commit]).unwrap(), [Written]);
            if start == 1 {
                store.close();
            }
        }
        assert_eq!(verify(&location(engine, directory.path()), &Options::default()).unwrap().bad, [""; 0]);
    }
}

/// The journal is begun before anything says so, and nothing is in it before that.
#[test]
fn a_takeover_that_was_cut_off_is_done_again() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        unpacked(2, engine, directory.path());
        fs::create_dir(directory.path().join("journal")).unwrap();
        assert_eq!(open(engine, directory.path()).claim(&session("a")).unwrap().head, 2);

        let other = tempfile::tempdir().unwrap();
        unpacked(2, engine, other.path());
        fs::create_dir(other.path().join("journal")).unwrap();
        fs::write(other.path().join("journal/00000001.segment"), "somebody else's").unwrap();
        let error = try_open(&location(engine, other.path())).err().expect("refused");
        assert!(matches!(error, StoreOpenError::JournalUnknown { .. }), "{error:?}");
    }
}
