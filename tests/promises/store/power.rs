//! Power cuts, simulated: at a sync, the file holds everything that was written, and only what was there at the sync before is
//! certain. A crash image is that, plus any of the sectors written since, plus the old or the new length. Each image is opened as
//! a store: whatever was acknowledged before the cut is there, and of the group in flight, all or nothing.
//!
//! Writes are seen at syncs only: of a sector that was written twice in between, the first version is never in an image.
//! What sled syncs by itself counts as nothing.

use std::{
    fmt, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tandem::store::{self, Disk, Engine, Options, RealDisk};

use super::*;

const SECTOR: usize = 512;
const GROUPS: u64 = 500;

/// How often a sync does what it says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drive {
    Honest,
    /// Forgets most syncs: what an engine without syncs would be.
    Lying,
}

struct PowerCuts {
    drive: Drive,
    images: PathBuf,
    state: Mutex<State>,
}

struct State {
    random: StdRng,
    acknowledged: u64,
    durable: Vec<u8>,
    /// Directory and the last group acknowledged before the cut.
    cuts: Vec<(PathBuf, u64)>,
}

impl fmt::Debug for PowerCuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PowerCuts")
    }
}

impl State {
    /// What the drive may hold if the power goes.
    fn image(&mut self, volatile: &[u8]) -> Vec<u8> {
        let length = *[self.durable.len(), volatile.len()].choose(&mut self.random).unwrap();
        let written = *[0.0, 0.02, 0.5, 0.98, 1.0].choose(&mut self.random).unwrap();
        let mut image = self.durable.clone();
        image.resize(length, 0);
        for (sector, new) in image.chunks_mut(SECTOR).zip(volatile.chunks(SECTOR)) {
            let size = sector.len().min(new.len());
            if sector[..size] != new[..size] && self.random.random_bool(written) {
                sector[..size].copy_from_slice(&new[..size]);
            }
        }
        image
    }
}

impl Disk for PowerCuts {
    fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let volatile = fs::read(path)?;
        if state.acknowledged > 0 && state.random.random_bool(0.12) {
            let image = state.image(&volatile);
            let to = self.images.join(state.cuts.len().to_string());
            let database = path.parent().unwrap();
            copy_all(database.parent().unwrap(), &to, path)?;
            fs::write(to.join(database.file_name().unwrap()).join(path.file_name().unwrap()), image)?;
            let acknowledged = state.acknowledged;
            state.cuts.push((to, acknowledged));
        }
        if self.drive == Drive::Honest || state.random.random_bool(0.05) {
            state.durable = volatile;
        }
        RealDisk.sync_data(file, path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_path(path)
    }
}

fn copy_all(from: &Path, to: &Path, except: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if path.is_dir() {
            copy_all(&path, &to.join(name), except)?;
        } else if path != except {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Returns how many cuts there were, and what was wrong after each that did harm.
fn cut_the_power(engine: Engine, drive: Drive, seed: u64) -> (usize, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let state = State { random: StdRng::seed_from_u64(seed), acknowledged: 0, durable: Vec::new(), cuts: Vec::new() };
    let disk = Arc::new(PowerCuts { drive, images: directory.path().join("images"), state: Mutex::new(state) });
    let options = Options { disk: disk.clone(), ..Options::default() };
    let store = store::open(&location(engine, &directory.path().join("store")), &options).unwrap();
    for n in 1..=GROUPS {
        store.commit(&workload::group(n)).unwrap();
        disk.state.lock().unwrap().acknowledged = n;
    }
    let cuts = std::mem::take(&mut disk.state.lock().unwrap().cuts);
    let harm = cuts.iter().filter_map(|(image, acknowledged)| {
        let opened = try_open(&location(engine, image));
        let outcome = match opened.map(|store| workload::latest(store.as_ref())) {
            Ok(Ok(there)) if (*acknowledged..=acknowledged + 1).contains(&there) => return None,
            Ok(Ok(there)) => format!("{there} groups are there"),
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        Some(format!("{acknowledged} groups acknowledged: {outcome}"))
    });
    (cuts.len(), harm.collect())
}

fn survives_power_cuts(engine: Engine) {
    let seed = rand::rng().random();
    let (cuts, harm) = cut_the_power(engine, Drive::Honest, seed);
    assert!(cuts > 20, "{cuts} cuts");
    assert!(harm.is_empty(), "seed {seed}: {} of {cuts} cuts did harm: {harm:#?}", harm.len());
}

#[test]
fn sled_keeps_what_it_acknowledged_when_the_power_goes() {
    survives_power_cuts(Engine::Sled);
}

#[test]
fn redb_keeps_what_it_acknowledged_when_the_power_goes() {
    survives_power_cuts(Engine::Redb);
}

/// That the simulation would notice.
#[test]
fn a_drive_that_forgets_syncs_is_found_out() {
    for engine in Engine::ALL {
        let (cuts, harm) = cut_the_power(engine, Drive::Lying, 1);
        assert!(harm.len() * 2 > cuts, "{engine}: {} of {cuts}", harm.len());
    }
}
