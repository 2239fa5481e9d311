//! Power cuts and kills at any moment, on a disk that loses, tears and reorders what was not synced.
//! `TANDEM_POWER_ROUNDS` makes it longer.

mod support;

use rand::{Rng, SeedableRng, rngs::StdRng};
use support::*;
use tandem_wal::{
    LogSizes,
    simulation::{Faults, SimulatedDisk},
};

fn rounds() -> u64 {
    std::env::var("TANDEM_POWER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300)
}

/// Some starts, each with appends, checkpoints, and a power cut or a kill in the middle of an operation. Returns what
/// was lost.
fn life(seed: u64, faults: Faults) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut disk = SimulatedDisk::new(seed);
    // What the index would know: durable there.
    let (mut acknowledged, mut checkpoint, mut before) = (0, 0, 0);
    for start in 0..6 {
        disk.set(faults);
        let config = LogSizes { ready: random.random_range(0..3), ..SMALL };
        let (mut wal, found) = open(&disk, config, checkpoint).map_err(|error| format!("start {start}: {error}"))?;
        if !(acknowledged..=acknowledged + 1).contains(&found.last) {
            return Err(format!("start {start}: {acknowledged} groups acknowledged, {} are there", found.last));
        }
        acknowledged = found.last;
        let left = random.random_range(1..60);
        disk.set(Faults { operations: Some(left), ..faults });
        let keeper = wal.keeper();
        while let Ok(group) = append(&mut wal) {
            acknowledged = group;
            if random.random_bool(0.1) {
                (before, checkpoint) = (checkpoint, acknowledged);
                if keeper.forget(before).is_err() {
                    break;
                }
            }
            if random.random_bool(0.3) && keeper.prepare().is_err() {
                break;
            }
        }
        // The index is seldom behind by one.
        if random.random_bool(0.2) {
            checkpoint = before;
        }
        // After a kill, the next start finds what was written and never synced, and a later power cut may take it.
        disk = if random.random_bool(0.3) { disk.survive(random.random()) } else { disk.cut_power(random.random()) };
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_after_any_power_cut_and_kill() {
    let first: u64 = rand::rng().random();
    for seed in (0..rounds()).map(|round| first.wrapping_add(round)) {
        for short_writes in [false, true] {
            if let Err(harm) = life(seed, Faults { short_writes, ..Faults::default() }) {
                panic!("seed {seed}, short writes {short_writes}: {harm}");
            }
        }
    }
}

/// That the simulation would notice.
#[test]
fn a_log_without_syncs_fails_the_power_cut_test() {
    let harmed = (0..40).filter(|seed| life(*seed, Faults { lying_syncs: true, ..Faults::default() }).is_err());
    assert!(harmed.count() > 30);
}
