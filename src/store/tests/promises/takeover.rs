//! A store of an earlier version is taken over by the first start. The fixtures were made by these versions: 2 had no
//! journal, 3 no digests.

use std::{fs, io::Read};

use tandem_actors::{
    keys,
    ports::{Direction::Forward, Verdict::Written},
    records,
};
use tandem_store::{Engine, verify};

use super::*;

fn unpacked(version: u32, engine: Engine, to: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/fixtures");
    let fixture = fixtures.join(format!("schema-{version}")).join(engine.name());
    unpack(&fixture, to);
}

fn unpack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match name.strip_suffix(".gz") {
            None => unpack(&entry.path(), &to.join(name)),
            Some(name) => {
                let mut content = Vec::new();
                let packed = fs::File::open(entry.path()).unwrap();
                flate2::read::GzDecoder::new(packed).read_to_end(&mut content).unwrap();
                fs::write(to.join(name), content).unwrap();
            }
        }
    }
    // git keeps no empty directories.
    if to.ends_with("sled") {
        fs::create_dir_all(to.join("blobs")).unwrap();
    }
}

#[test]
fn a_store_of_an_earlier_version_is_taken_over() {
    for (version, engine) in [2, 3].into_iter().flat_map(|version| Engine::ALL.map(|engine| (version, engine))) {
        let directory = tempfile::tempdir().unwrap();
        unpacked(version, engine, directory.path());
        assert_eq!(verify(&location(engine, directory.path()), &Options::default()).unwrap().bad, [""; 0]);
        let session = session("a");
        for start in 0..3 {
            let store = open(engine, directory.path());
            let schema = store.get(&keys::meta("schema")).unwrap().unwrap();
            assert_eq!(records::decode::<u32>(&schema).unwrap(), 4, "the version before refuses it from now on");
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
