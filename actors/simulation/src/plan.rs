//! The plan of a simulated world: a seed, a number of commands, and the faults that may happen. Each part of the world
//! has its own stream of random numbers, so that leaving out one part changes the others as little as possible.

use std::fmt;

use rand::{Rng, SeedableRng, rngs::StdRng};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// The node is killed or loses power, at any time or in the middle of a disk operation.
    Kills,
    /// Power is lost: what was not synced is gone, torn or reordered.
    Power,
    /// Actors panic.
    Panics,
    /// A session panics at each command.
    Poison,
    /// The disk is slow, or stands still.
    SlowDisk,
    /// The disk is full for a while.
    FullDisk,
    /// The disk writes less than it is asked to.
    ShortWrites,
    /// The wall clock jumps.
    Jumps,
    /// The realtime provider fails, is slow, or forgets to answer.
    Provider,
    /// Clients break off, and retry with and without keys, twice at once, or late.
    Clients,
    /// Expo fails, is slow, or accepts messages and answers with an error.
    Expo,
}

pub const FAULTS: [Fault; 11] = [
    Fault::Kills,
    Fault::Power,
    Fault::Panics,
    Fault::Poison,
    Fault::SlowDisk,
    Fault::FullDisk,
    Fault::ShortWrites,
    Fault::Jumps,
    Fault::Provider,
    Fault::Clients,
    Fault::Expo,
];

/// One world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub commands: u64,
    pub without: Vec<Fault>,
    /// Whether the lines of the trace are kept.
    pub trace: bool,
}

impl Plan {
    /// The stream of random numbers for one part of the world.
    pub fn chance(&self, part: &str, number: u64) -> Chance {
        let mut seed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in part.bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Chance(StdRng::seed_from_u64(seed))
    }

    /// Whether this fault may happen in this world. A world lacks some of the faults, so that the others have more
    /// effect.
    pub fn has(&self, fault: Fault) -> bool {
        !self.without.contains(&fault) && self.chance("faults", fault as u64).once_in(10) != Some(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--seed {} --commands {} --worlds 1", self.seed, self.commands)?;
        self.without.iter().try_for_each(|fault| {
            let name = clap::ValueEnum::to_possible_value(fault);
            write!(f, " --without {}", name.as_ref().map_or("", |name| name.get_name()))
        })
    }
}

/// A stream of random numbers.
pub struct Chance(StdRng);

impl Chance {
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..=to)
    }

    /// True in `mille` of a thousand cases.
    pub fn mille(&mut self, mille: u32) -> bool {
        self.0.random_range(0..1_000) < mille
    }

    pub fn once_in(&mut self, cases: u32) -> Option<()> {
        (self.0.random_range(0..cases) == 0).then_some(())
    }

    pub fn seed(&mut self) -> u64 {
        self.0.random()
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { list.get(self.below(list.len())) }
    }

    /// A pause that is mostly up to `usual` milliseconds, and rarely up to `seldom`.
    pub fn pause(&mut self, usual: u64, seldom: u64) -> std::time::Duration {
        let most = if self.mille(15) { seldom } else { usual };
        std::time::Duration::from_millis(self.between(0, most))
    }
}
