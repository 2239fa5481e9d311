//! Power cuts, simulated, of journal and engine together: at a sync of either, the files hold everything that was
//! written, and of each only what was there at its own last sync is certain. A crash image is that, plus any of the
//! sectors written since, plus the old or the new length. Each image is opened as a store: what was acknowledged before
//! the cut is there, and of a group in flight, all or nothing. Cuts also fall into starts, recoveries and checkpoints.
//!
//! Writes are seen at syncs only: of a sector that was written twice in between, the first version is never in an image
//! (the journal's own tests have that, too). What sled syncs by itself counts as nothing. `TANDEM_POWER_ROUNDS` makes
//! it longer.

use std::{
    collections::HashMap,
    fmt, fs,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tandem_store::{Disk, Engine, Options, RealDisk};

use super::*;

const SECTOR: usize = 512;
const GROUPS: u64 = 240;
const LIVES: u64 = 4;

/// What is wrong with a drive, or with the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Forgets most syncs of all files: what a store without syncs would be.
    Syncs,
    /// Forgets the syncs of the journal.
    JournalSyncs,
    /// Says where the engine is before it is there.
    CheckpointFirst,
    /// Nothing, while the engine's rows are rewritten all the time.
    NothingWhileRewriting,
    /// Nothing, while encryption begins, and while its key changes.
    NothingWhileEncrypting,
}

struct PowerCuts {
    wrong: Wrong,
    images: PathBuf,
    state: Mutex<State>,
}

struct State {
    random: StdRng,
    acknowledged: u64,
    begun: u64,
    /// By inode.
    durable: HashMap<u64, Vec<u8>>,
    cuts: Vec<Cut>,
    key: Option<PathBuf>,
}

struct Cut {
    image: PathBuf,
    /// The operator's key at that time.
    key: Option<PathBuf>,
    acknowledged: u64,
    begun: u64,
}

impl fmt::Debug for PowerCuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PowerCuts")
    }
}

/// Files whose content is durable at their own syncs only. All others are small and synced when they are made.
fn is_watched(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    matches!(name, "db" | "tandem.redb" | "digests" | "digests.unfinished") || name.ends_with(".segment")
}

fn is_journal(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with("journal"))
}

impl State {
    /// What the drive may hold of a file if the power goes.
    fn image(&mut self, inode: u64, volatile: &[u8]) -> Vec<u8> {
        let durable = self.durable.get(&inode).cloned().unwrap_or_default();
        let length = *[durable.len(), volatile.len()].choose(&mut self.random).unwrap();
        let written = *[0.0, 0.02, 0.5, 0.98, 1.0].choose(&mut self.random).unwrap();
        let mut image = durable;
        image.resize(length, 0);
        for (sector, new) in image.chunks_mut(SECTOR).zip(volatile.chunks(SECTOR)) {
            let size = sector.len().min(new.len());
            if sector[..size] != new[..size] && self.random.random_bool(written) {
                sector[..size].copy_from_slice(&new[..size]);
            }
        }
        image
    }

    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let Some(entries) = gone(from.read_dir())? else { return Ok(()) };
        for entry in entries {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            if path.is_dir() {
                self.copy(&path, &to.join(name))?;
            } else if is_watched(&path) {
                let Some(inode) = gone(fs::metadata(&path))?.map(|metadata| metadata.ino()) else { continue };
                let Some(volatile) = gone(fs::read(&path))? else { continue };
                fs::write(to.join(name), self.image(inode, &volatile))?;
            } else {
                gone(fs::copy(&path, to.join(name)))?;
            }
        }
        Ok(())
    }
}

/// A file may be renamed or removed while others are looked at.
fn gone<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

impl Disk for PowerCuts {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.begun > 0 && state.random.random_bool(0.15) {
            let image = self.images.join(state.cuts.len().to_string());
            let acknowledged = state.acknowledged;
            let store = path.ancestors().find(|path| path.join("engine").is_file()).unwrap();
            state.copy(store, &image)?;
            let (begun, key) = (state.begun, state.key.clone());
            state.cuts.push(Cut { image, key, acknowledged, begun });
        }
        let honest = match self.wrong {
            Wrong::Nothing | Wrong::NothingWhileRewriting | Wrong::NothingWhileEncrypting | Wrong::CheckpointFirst => {
                true
            }
            Wrong::Syncs => state.random.random_bool(0.05),
            Wrong::JournalSyncs => !is_journal(path) || state.random.random_bool(0.05),
        };
        // A segment that is being made is synced as a whole: without it nothing would be a store.
        if honest || path.extension().is_some_and(|extension| extension == "unfinished") {
            state.durable.insert(file.metadata()?.ino(), fs::read(path)?);
        }
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        // No image is made in the middle of what depends on it: a database that takes the place of another.
        let _no_image = self.state.lock().unwrap();
        RealDisk.sync_path(path)
    }
}

/// Several lives of one store, each but the last ended as if by a kill. Returns how many cuts there were, and what was
/// wrong after each that did harm.
fn cut_the_power(engine: Engine, wrong: Wrong, seed: u64) -> (usize, Vec<String>) {
    let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = State {
        random: StdRng::seed_from_u64(seed),
        acknowledged: 0,
        begun: 0,
        durable: HashMap::new(),
        cuts: Vec::new(),
        key: None,
    };
    let disk = Arc::new(PowerCuts { wrong, images: directory.path().join("images"), state: Mutex::new(state) });
    let with = if wrong == Wrong::NothingWhileRewriting { rewriting() } else { small() };
    let mut options = Options { disk: disk.clone(), ..with };
    options.journal.checkpoint_before_rows = wrong == Wrong::CheckpointFirst;
    let at = location(engine, &directory.path().join("store"));
    for life in 0..LIVES {
        if wrong == Wrong::NothingWhileEncrypting && life > 0 {
            let key = key_file(keys.path(), &life.to_string());
            if life > 1 {
                let place = store::Place::Directory(at.clone());
                until_unlocked(|| place.rekey(&options, &key)).unwrap();
            }
            options.encryption_key_file = Some(key.clone());
            disk.state.lock().unwrap().key = Some(key);
        }
        let store = try_open_with(&at, &options).unwrap();
        for n in life * GROUPS / LIVES + 1..=(life + 1) * GROUPS / LIVES {
            disk.state.lock().unwrap().begun = n;
            store.commit(&workload::group(n)).unwrap();
            disk.state.lock().unwrap().acknowledged = n;
        }
        if life + 1 == LIVES {
            store.close();
        }
    }
    let cuts = std::mem::take(&mut disk.state.lock().unwrap().cuts);
    let rewrites = matches!(wrong, Wrong::NothingWhileRewriting | Wrong::NothingWhileEncrypting);
    assert_eq!(cuts.iter().any(|cut| was_rewritten(&cut.image, engine)), rewrites, "cuts in or after a rewrite");
    let harm = cuts.iter().filter_map(|Cut { image, key, acknowledged, begun }| {
        let options = Options { encryption_key_file: key.clone(), ..small() };
        let opened = try_open_with(&location(engine, image), &options);
        let outcome = match opened.map(|store| workload::latest(store.as_ref())) {
            Ok(Ok(there)) if (*acknowledged..=*begun).contains(&there) => return None,
            Ok(Ok(there)) => format!("{there} groups are there"),
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        Some(format!("{acknowledged} groups acknowledged: {outcome}"))
    });
    (cuts.len(), harm.collect())
}

fn rounds() -> u32 {
    std::env::var("TANDEM_POWER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

fn survives_power_cuts(engine: Engine, wrong: Wrong) {
    let mut all = 0;
    for _ in 0..rounds() {
        let seed = rand::rng().random();
        let (cuts, harm) = cut_the_power(engine, wrong, seed);
        assert!(cuts > 10, "{cuts} cuts");
        assert!(harm.is_empty(), "seed {seed}: {} of {cuts} cuts did harm: {harm:#?}", harm.len());
        all += cuts;
    }
    println!("{engine}: {all} power cuts, none did harm");
}

#[test]
fn sled_keeps_what_it_acknowledged_when_the_power_goes() {
    survives_power_cuts(Engine::Sled, Wrong::Nothing);
}

#[test]
fn sled_keeps_it_when_the_power_goes_while_it_is_rewritten() {
    survives_power_cuts(Engine::Sled, Wrong::NothingWhileRewriting);
}

#[test]
fn redb_keeps_what_it_acknowledged_when_the_power_goes() {
    survives_power_cuts(Engine::Redb, Wrong::Nothing);
}

#[test]
fn redb_keeps_it_when_the_power_goes_while_it_is_rewritten() {
    survives_power_cuts(Engine::Redb, Wrong::NothingWhileRewriting);
}

#[test]
fn sled_keeps_it_when_the_power_goes_while_it_is_encrypted() {
    survives_power_cuts(Engine::Sled, Wrong::NothingWhileEncrypting);
}

#[test]
fn redb_keeps_it_when_the_power_goes_while_it_is_encrypted() {
    survives_power_cuts(Engine::Redb, Wrong::NothingWhileEncrypting);
}

/// That the simulation would notice.
#[test]
fn a_drive_that_forgets_syncs_is_found_out() {
    for engine in Engine::ALL {
        let (cuts, harm) = cut_the_power(engine, Wrong::Syncs, 1);
        assert!(harm.len() * 2 > cuts, "{engine}: {} of {cuts}", harm.len());
    }
}

#[test]
fn a_journal_without_its_sync_is_found_out() {
    for engine in Engine::ALL {
        let (cuts, harm) = cut_the_power(engine, Wrong::JournalSyncs, 1);
        assert!(harm.len() * 3 > cuts, "{engine}: {} of {cuts}", harm.len());
    }
}

#[test]
fn a_checkpoint_before_its_rows_is_found_out() {
    for engine in Engine::ALL {
        let (cuts, harm) = cut_the_power(engine, Wrong::CheckpointFirst, 1);
        assert!(!harm.is_empty(), "{engine}: none of {cuts}");
    }
}
