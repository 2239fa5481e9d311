//! Runs the heart of Tandem on one thread, from one seed and without real time, injects faults of every kind, and
//! checks the promises. If a world fails, the program prints its seed and searches for the smallest world that fails.

mod actions;
mod clients;
mod clock;
mod expo;
mod node;
mod oracle;
mod plan;
mod realtime;
mod runs;
mod shrink;
mod world;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use clap::{Args, Parser, Subcommand};

use crate::plan::{Fault, Plan};

/// Worlds allocate a lot: a quarter of their time with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs worlds until so many commands were sent.
    Simulate(Simulate),
}

#[derive(Args)]
struct Simulate {
    /// Commands in all worlds together.
    #[arg(long, default_value_t = 100_000)]
    commands: u64,
    /// Commands in one world.
    #[arg(long, default_value_t = 2_000)]
    per_world: u64,
    /// The largest number of worlds.
    #[arg(long)]
    worlds: Option<u64>,
    /// The seed of the first world. Each further world takes the next number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds at the same time, each on a thread of its own.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Leaves out a kind of fault.
    #[arg(long)]
    without: Vec<Fault>,
    /// Prints everything that happens.
    #[arg(long)]
    trace: bool,
    /// Prints the node's log as well.
    #[arg(long)]
    log: bool,
    /// Runs each world twice, and compares.
    #[arg(long)]
    twice: bool,
}

fn main() -> ExitCode {
    let Cli { command: Command::Simulate(simulate) } = Cli::parse();
    runs::watch_panics();
    if simulate.log {
        tracing_subscriber::fmt().without_time().with_max_level(tracing::Level::DEBUG).init();
    }
    match simulate.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) => ExitCode::FAILURE,
    }
}

#[derive(Default)]
struct Totals {
    worlds: AtomicU64,
    commands: AtomicU64,
    runs: AtomicU64,
    hash: AtomicU64,
    failed: Mutex<Option<Plan>>,
}

impl Simulate {
    /// False if a world has failed.
    fn run(&self) -> io::Result<bool> {
        let started = Instant::now();
        let totals = Totals::default();
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| self.work(&totals));
            }
        });
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (commands, seconds) = (read(&totals.commands), started.elapsed().as_secs_f64());
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{} worlds, {} runs, {commands} commands in {seconds:.1} s, {:.0}/s; hash {:016x}",
            read(&totals.worlds),
            read(&totals.runs),
            commands as f64 / seconds,
            read(&totals.hash)
        )?;
        let failed = totals.failed.into_inner().unwrap_or_default();
        if let Some(plan) = &failed {
            shrink::shrink(plan, &mut out)?;
        }
        Ok(failed.is_none())
    }

    fn work(&self, totals: &Totals) {
        loop {
            let number = totals.worlds.fetch_add(1, Ordering::Relaxed);
            let most = self.worlds.unwrap_or(u64::MAX);
            let sent = totals.commands.load(Ordering::Relaxed);
            let has_failed = totals.failed.lock().is_ok_and(|failed| failed.is_some());
            if number >= most || sent >= self.commands || has_failed {
                totals.worlds.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let commands = self.per_world.min(self.commands);
            let seed = self.seed.wrapping_add(number);
            let trace = self.trace || self.twice;
            let plan = Plan { seed, commands, without: self.without.clone(), trace };
            let mut report = runs::run_world(&plan);
            if self.twice && report.failure.is_none() {
                let again = runs::run_world(&plan);
                if again.hash != report.hash {
                    report.failure = Some(format!("two runs differ: {:016x} and {:016x}", report.hash, again.hash));
                }
            }
            totals.commands.fetch_add(report.commands, Ordering::Relaxed);
            totals.runs.fetch_add(report.runs, Ordering::Relaxed);
            totals.hash.fetch_xor(report.hash, Ordering::Relaxed);
            let told = self.tell(&plan, &report);
            if (told.is_err() || report.failure.is_some())
                && let Ok(mut failed) = totals.failed.lock()
            {
                failed.get_or_insert(plan);
            }
        }
    }

    fn tell(&self, plan: &Plan, report: &runs::Report) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.trace {
            report.lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        if let Some(failure) = &report.failure {
            writeln!(out, "FAILED: {failure}\n  again: simulate {plan}")?;
        }
        Ok(())
    }
}
