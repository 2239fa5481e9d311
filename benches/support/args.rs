//! `cargo bench --bench NAME -- [--quick] [--engine sled|redb] [--connections N] [--seconds N] [--rounds N]
//! [--stored DIRECTORY] [--sessions N] [SECTION…]`

use std::{path::PathBuf, time::Duration};

pub struct Args {
    pub quick: bool,
    pub engine: String,
    /// The only number of connections to measure with, for profiling.
    connections: Option<usize>,
    seconds: Option<u64>,
    rounds: Option<usize>,
    /// The directory that keeps prepared stores for the next run.
    pub stored: Option<PathBuf>,
    /// The number of sessions in the largest store.
    most: Option<usize>,
    sections: Vec<String>,
}

impl Args {
    pub fn parse() -> Self {
        let mut parsed = Self {
            quick: false,
            engine: "sled".into(),
            connections: None,
            seconds: None,
            rounds: None,
            stored: None,
            most: None,
            sections: Vec::new(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo adds this argument.
                "--bench" => {}
                "--quick" => parsed.quick = true,
                "--engine" => parsed.engine = args.next().expect("--engine takes sled or redb"),
                "--connections" => parsed.connections = args.next().and_then(|number| number.parse().ok()),
                "--seconds" => parsed.seconds = args.next().and_then(|number| number.parse().ok()),
                "--rounds" => parsed.rounds = args.next().and_then(|number| number.parse().ok()),
                "--stored" => parsed.stored = args.next().map(PathBuf::from),
                "--sessions" => parsed.most = args.next().and_then(|number| number.parse().ok()),
                section => parsed.sections.push(section.to_owned()),
            }
        }
        parsed
    }

    /// All sections run, unless some are named.
    pub fn wants(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|wanted| wanted == section)
    }

    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    pub fn concurrencies(&self, usual: &[usize]) -> Vec<usize> {
        self.connections.map_or_else(|| usual.to_vec(), |one| vec![one])
    }

    /// How long one cell of a table is measured.
    pub fn measured(&self) -> Duration {
        let usual = self.pick(Duration::from_secs(2), Duration::from_millis(500));
        self.seconds.map_or(usual, Duration::from_secs)
    }

    pub fn warm_up(&self) -> Duration {
        self.pick(Duration::from_secs(1), Duration::from_millis(150))
    }

    /// The sizes of the stores that are compared. Without a directory to keep them, none is larger than 100,000.
    pub fn stored_sessions(&self) -> Vec<usize> {
        let kept = if self.stored.is_some() { 1_000_000 } else { 100_000 };
        let most = self.most.unwrap_or(self.pick(kept, 5_000));
        let smaller = [1_000, 100_000].into_iter().filter(|size| *size < most);
        smaller.chain([most]).collect()
    }

    /// How often each figure is measured; the median counts.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(self.pick(5, 1)).max(1)
    }
}
