//! `store repair`: one flipped bit anywhere, in journal, engine or digests, costs at most the sessions that it hit, and
//! these are named. `TANDEM_REPAIR_ROUNDS` makes it longer.

use rand::{Rng, SeedableRng, rngs::StdRng};
use tandem_actors::{keys, ports::Direction::Forward};
use tandem_store::{Engine, repair, verify};

use super::{
    flips::{Part, flip, rewritten_or_encrypted},
    *,
};

const SESSIONS: u64 = 40;
const COMMITS: u64 = 400;

fn rounds() -> u64 {
    std::env::var("TANDEM_REPAIR_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(50)
}

fn the(number: u64) -> SessionId {
    session(&format!("s{number}"))
}

fn event(number: u64, seq: u64) -> Bytes {
    format!("event {seq} of {number}, {}", "and so on ".repeat((seq * 7 % 40) as usize)).into()
}

/// Groups of one to five commits, each of one session. Returns how many events each session has.
fn fill(store: &dyn Store, random: &mut StdRng) -> Vec<u64> {
    let epochs: Vec<_> = (0..SESSIONS).map(|number| store.claim(&the(number)).unwrap().epoch).collect();
    let mut heads = vec![0; SESSIONS as usize];
    let mut done = 0;
    while done < COMMITS {
        let mut group = Vec::new();
        for _ in 0..random.random_range(1..6) {
            let number = random.random_range(0..SESSIONS);
            let (id, head) = (the(number), heads[number as usize]);
            let rows = vec![Change::Put(keys::event(&id, head + 1), event(number, head + 1))];
            group.push(fenced(&id, epochs[number as usize], head, head + 1, rows));
            heads[number as usize] += 1;
        }
        done += group.len() as u64;
        store.commit(&group).unwrap();
    }
    heads
}

/// Whether it could be repaired at all. Everything that is not as it was is named.
fn is_repaired(engine: Engine, seed: u64) -> bool {
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let at = location(engine, &directory.path().join("store"));
    let mut options = rewritten_or_encrypted(directory.path(), &mut random);
    if random.random_bool(0.5) {
        options.journal.checkpoint_bytes = 1 << 30;
        options.journal.checkpoint_after = Duration::from_secs(3600);
    }
    let store = try_open_with(&at, &options).unwrap();
    let heads = fill(&*store, &mut random);
    if random.random_bool(0.3) {
        store.close();
    }
    drop(store);
    let part = [Part::Journal, Part::Engine, Part::Digests][random.random_range(0..3)];
    let file = flip(&at.path, part, &mut random);
    let report = match repair(&at, &options) {
        Ok(report) => report,
        Err(error) => {
            println!("{engine}, seed {seed}, {part:?}, {}: {error}", file.display());
            return false;
        }
    };
    assert_eq!(verify(&at, &options).unwrap().bad, [""; 0], "seed {seed}: repaired");
    let store = try_open_with(&at, &options).expect("a repaired store opens");
    for (number, written) in heads.into_iter().enumerate() {
        let id = the(number as u64);
        let head = store.claim(&id).expect("a session can go on").head;
        let events = store.scan(&keys::events(&id), None, Forward, usize::MAX).unwrap();
        let expected = (1..=head).map(|seq| (keys::event(&id, seq), event(number as u64, seq)));
        assert!(events.into_iter().eq(expected), "seed {seed}: whole events, without a hole");
        assert!(head <= written, "seed {seed}");
        // Of a group whose beginning is damaged, only its number is known.
        let names = [id.as_str(), "rows at or after", "are not there", "is damaged"];
        let is_named = report.given_up.iter().any(|line| names.iter().any(|name| line.contains(name)));
        assert!(head == written || is_named, "seed {seed}: {id} lost events in silence: {:?}", report.given_up);
    }
    assert!(report.kept.is_dir(), "the damaged store stays");
    true
}

fn a_flipped_bit_costs_what_it_hit(engine: Engine) {
    let first: u64 = rand::rng().random();
    let refused = (0..rounds()).filter(|round| !is_repaired(engine, first.wrapping_add(*round))).count() as u64;
    println!("{engine}: {} of {} damaged stores were repaired", rounds() - refused, rounds());
    assert!(refused <= rounds() / 4, "{refused} of {} could not be repaired", rounds());
}

#[test]
fn repair_saves_what_a_flipped_bit_did_not_hit_on_sled() {
    a_flipped_bit_costs_what_it_hit(Engine::Sled);
}

#[test]
fn repair_saves_what_a_flipped_bit_did_not_hit_on_redb() {
    a_flipped_bit_costs_what_it_hit(Engine::Redb);
}

#[test]
fn a_store_without_damage_is_the_same_after_a_repair() {
    for engine in Engine::ALL {
        let directory = tempfile::tempdir().unwrap();
        let at = location(engine, &directory.path().join("store"));
        let store = open_small(engine, &at.path);
        (1..=60).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
        drop(store);
        let report = repair(&at, &small()).unwrap();
        assert_eq!(report.given_up, [""; 0]);
        assert_eq!(workload::latest(open_small(engine, &at.path).as_ref()), Ok(60));
    }
}

/// Encrypts a store, and waits until its rows are in the other database.
fn take_over(at: &Location, options: &Options, groups: &mut std::ops::RangeFrom<u64>) {
    let store = try_open_with(at, options).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !std::fs::read_to_string(at.path.join("engine")).unwrap().trim().ends_with(".2") {
        assert!(Instant::now() < deadline, "{}: its rows are written anew", at.engine);
        // A checkpoint makes the store look. A commit is refused while the engine is far behind.
        if store.commit(&workload::group(groups.start)).is_ok() {
            groups.next();
        }
    }
    store.close();
}

#[test]
fn a_repair_opens_the_database_that_counts() {
    for engine in Engine::ALL {
        for is_former_there in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let at = location(engine, &directory.path().join("store"));
            let options =
                Options { encryption_key_file: Some(key_file(directory.path(), "a")), min_free: 0, ..small() };
            let store = open_small(engine, &at.path);
            (1..=60).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
            store.close();
            drop(store);
            let former = directory.path().join("former");
            super::directory::copy_tree(&at.path.join(engine.name()), &former);
            let mut groups = 61..;
            take_over(&at, &options, &mut groups);
            if is_former_there {
                // The process ended before it was removed.
                super::directory::copy_tree(&former, &at.path.join(engine.name()));
            }
            let report = repair(&at, &options).unwrap_or_else(|error| panic!("{engine}, {is_former_there}: {error}"));
            assert_eq!(report.given_up, [""; 0], "{engine}, {is_former_there}");
            let store = try_open_with(&at, &options).unwrap();
            assert_eq!(workload::latest(store.as_ref()), Ok(groups.start - 1), "{engine}, {is_former_there}");
        }
    }
}

#[test]
fn a_repair_does_not_take_the_database_of_another_engine() {
    let directory = tempfile::tempdir().unwrap();
    let [at, other] = [Engine::Redb, Engine::Sled].map(|engine| location(engine, &directory.path().join("store")));
    drop(open_small(Engine::Redb, &at.path));
    let refused = repair(&other, &small()).expect_err("refused").to_string();
    assert!(refused.contains("store.engine = \"redb\""), "{refused}");
}

/// Between the moment when the stores have changed places and the next step.
#[test]
fn a_repair_that_was_cut_off_keeps_both_stores() {
    let directory = tempfile::tempdir().unwrap();
    let at = location(Engine::Redb, &directory.path().join("store"));
    let store = open_small(Engine::Redb, &at.path);
    (1..=20).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
    store.close();
    drop(store);
    super::directory::copy_tree(&at.path, &directory.path().join("store.repaired"));
    let report = repair(&at, &small()).unwrap();
    assert_eq!(report.kept, directory.path().join("store.damaged-2"));
    for name in ["store", "store.damaged-1", "store.damaged-2"] {
        let there = open_small(Engine::Redb, &directory.path().join(name));
        assert_eq!(workload::latest(there.as_ref()), Ok(20), "{name}");
    }
    assert!(!directory.path().join("store.repaired").exists());
}

/// All that is left of a session is its snapshot.
#[test]
fn repair_names_a_session_that_has_lost_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let at = location(Engine::Redb, &directory.path().join("store"));
    let store = open_small(Engine::Redb, &at.path);
    let [whole, lost] = [session("whole"), session("lost")];
    let snapshot = rmp_serde::to_vec_named(&serde_json::json!({ "v": 3, "session": { "seq": 1 } })).unwrap();
    let rows = vec![
        Change::Put(keys::event(&whole, 1), "event".into()),
        Change::Put(keys::snapshot(&whole), snapshot.clone().into()),
        Change::Put(keys::snapshot(&lost), snapshot.into()),
    ];
    store.commit(&[free(rows)]).unwrap();
    store.close();
    drop(store);
    // Something has to be wrong: repair looks at sessions only then.
    std::fs::remove_file(at.path.join("digests")).unwrap();
    let report = repair(&at, &small()).unwrap();
    assert!(report.given_up.iter().any(|line| line.contains(lost.as_str())), "{:?}", report.given_up);
    assert!(!report.given_up.iter().any(|line| line.contains(whole.as_str())), "{:?}", report.given_up);
    let store = open_small(Engine::Redb, &at.path);
    assert_eq!(store.get(&keys::snapshot(&lost)).unwrap(), None);
    assert!(store.get(&keys::snapshot(&whole)).unwrap().is_some());
}
