//! One flipped bit anywhere in what is stored does no harm, or it is found and named, at the start or when it is read,
//! and by `store verify`. It never changes what is read: no row is older than it should be, none is gone, and none is
//! there again, in silence. `TANDEM_FLIP_ROUNDS` makes it longer.

use std::fs;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tandem_store::{Engine, verify};

use super::*;

const GROUPS: u64 = 90;

fn rounds() -> u64 {
    std::env::var("TANDEM_FLIP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(25)
}

/// What became of a store with a flipped bit.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Unharmed,
    /// It says what is wrong.
    Found(String),
    /// It says nothing, and something else is there.
    Silent(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Journal,
    Engine,
    Digests,
}

/// Places that hold something: those of zeros are not in use.
pub fn flip(path: &Path, part: Part, random: &mut StdRng) -> PathBuf {
    let mut files: Vec<PathBuf> = match part {
        Part::Journal => fs::read_dir(path.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect(),
        Part::Engine => engine_files(path),
        Part::Digests => vec![path.join("digests")],
    };
    files.retain(|file| file.exists());
    files.sort();
    let file = files.choose(random).unwrap().clone();
    let mut bytes = fs::read(&file).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let place = *used.choose(random).unwrap();
    bytes[place] ^= 1 << random.random_range(0..8);
    fs::write(&file, bytes).unwrap();
    file
}

/// sled's database, its settings and its snapshot of where pages are; or redb's file.
fn engine_files(path: &Path) -> Vec<PathBuf> {
    let marked = fs::read_to_string(path.join("engine")).unwrap();
    let files = fs::read_dir(path.join(marked.trim())).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.is_file()).collect()
}

/// As [`small`]; some stores are rewritten, and some are encrypted.
pub fn rewritten_or_encrypted(directory: &Path, random: &mut StdRng) -> Options {
    let options = if random.random_bool(0.3) { rewriting() } else { small() };
    let key = random.random_bool(0.3).then(|| key_file(directory, "a"));
    Options { encryption_key_file: key, ..options }
}

fn outcome(engine: Engine, path: &Path, options: &Options) -> Outcome {
    let store = match try_open_with(&location(engine, path), options) {
        Ok(store) => store,
        Err(error) => return Outcome::Found(error.to_string()),
    };
    match workload::latest(store.as_ref()) {
        Ok(GROUPS) => {}
        Ok(other) => return Outcome::Silent(format!("{other} groups are there")),
        Err(error) if error.starts_with("store: ") => return Outcome::Found(error),
        // A row that is left out is told in the log; a reader that asks for it is told as well.
        Err(_) if is_told(store.as_ref()) => return Outcome::Found("a row".into()),
        Err(error) => return Outcome::Silent(error),
    }
    // And it goes on.
    if store.commit(&workload::group(GROUPS + 1)).is_ok() {
        assert_eq!(workload::latest(store.as_ref()), Ok(GROUPS + 1));
    }
    Outcome::Unharmed
}

/// Whether asking for each row by its name says that one of them is damaged, or that the store cannot be read.
fn is_told(store: &dyn Store) -> bool {
    let rows = workload::expected(GROUPS);
    rows.iter().any(|(name, _)| store.get(&key(name)).is_err()) || store.get(&key("xlatest")).is_err()
}

fn one_bit(engine: Engine, part: Part, seed: u64) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut options = rewritten_or_encrypted(directory.path(), &mut random);
    let reading = Options { encryption_key_file: options.encryption_key_file.clone(), ..small() };
    if part == Part::Journal && random.random_bool(0.7) {
        // All of it is needed.
        options.journal.checkpoint_bytes = 1 << 30;
        options.journal.recent_bytes = 1 << 30;
        options.journal.checkpoint_after = Duration::from_secs(3600);
    }
    let store = try_open_with(&location(engine, &path), &options).expect("the store opens");
    (1..=GROUPS).for_each(|n| assert!(store.commit(&workload::group(n)).is_ok()));
    if random.random_bool(0.3) {
        store.close();
    }
    drop(store);
    let file = flip(&path, part, &mut random);
    let before = directory.path().join("before");
    directory::copy_tree(&path, &before);
    let outcome = outcome(engine, &path, &reading);
    if let Outcome::Found(told) = &outcome {
        let name = file.file_name().unwrap().to_str().unwrap();
        let is_named = match part {
            Part::Journal => told.contains(name) || told.contains("were acknowledged") || told.contains("is needed"),
            Part::Digests => told.contains(name) || told.contains("is needed"),
            Part::Engine => true,
        };
        assert!(is_named, "seed {seed}: {told} does not say that {} is damaged", file.display());
        let verified = verify(&location(engine, &before), &reading);
        let is_found = verified.as_ref().is_ok_and(|verified| !verified.bad.is_empty());
        assert!(is_found, "seed {seed}: a start finds {told}, verify: {verified:?}");
    }
    outcome
}

fn flips(engine: Engine, part: Part) {
    let first: u64 = rand::rng().random();
    let (mut unharmed, mut found) = (0, 0);
    for seed in (0..rounds()).map(|round| first.wrapping_add(round)) {
        match one_bit(engine, part, seed) {
            Outcome::Unharmed => unharmed += 1,
            Outcome::Found(_) => found += 1,
            Outcome::Silent(what) => panic!("{engine}, {part:?}, seed {seed}: in silence, {what}"),
        }
    }
    println!("{engine}, {part:?}: {unharmed} flipped bits did no harm, {found} were found and named");
}

#[test]
fn a_flipped_bit_in_the_journal_is_found_on_sled() {
    flips(Engine::Sled, Part::Journal);
}

#[test]
fn a_flipped_bit_in_the_journal_is_found_on_redb() {
    flips(Engine::Redb, Part::Journal);
}

#[test]
fn a_flipped_bit_in_sleds_files_is_found() {
    flips(Engine::Sled, Part::Engine);
}

#[test]
fn a_flipped_bit_in_redbs_file_is_found() {
    flips(Engine::Redb, Part::Engine);
}

#[test]
fn a_flipped_bit_in_the_digests_is_found() {
    Engine::ALL.into_iter().for_each(|engine| flips(engine, Part::Digests));
}
