//! What clients that hold connections and give nothing for them cost those that behave: twenty thousand connections of
//! each kind, and more of all kinds together, on a node that may use 1 GiB of memory.
//!
//! The clients that behave tap at a fixed rate, and a latency begins when the tap is due. The node has one core, and
//! all clients have the others (`taskset`). The limit of memory needs a control group, so root; without it there is
//! none.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measures")]

mod support;

use std::time::Duration;

use support::{
    args::Args,
    arrivals::{Outcome, Rate, Tap, drive},
    hostile::{self, Hostile, KINDS},
    node::{Node, data_directory},
    process::{self, MemoryLimit},
    table::{Table, count, millis, verdict},
    world::{self, Session},
};

/// Taps a second of the clients that behave.
const RATE: f64 = 100.0;
const BEHAVING: usize = 50;

fn main() {
    hostile::act();
    let args = Args::parse();
    let (_directory, data) = data_directory("connections");
    let world = {
        let node = start(&data, &args);
        world::sessions_in_stage_two(node.address, args.pick(1_000, 100))
    };
    let mut table = Table::new(&[
        "connections",
        "tried",
        "open",
        "p50, p99 while they come",
        "p50, p99 then",
        "refused",
        "failed",
        "memory",
        "stop",
    ]);
    let few = |many: usize| args.pick(many, many / 20);
    let each = KINDS.iter().enumerate().map(|(kind, (_, name, most))| (*name, vec![(kind, few(*most))]));
    let all = KINDS.iter().enumerate().map(|(kind, (_, _, most))| (kind, few((*most).min(4_500))));
    let states = [("none", Vec::new())].into_iter().chain(each).chain([("all of these", all.collect())]);
    let mut worst = Worst::default();
    for (name, hostile) in states.filter(|(name, _)| args.wants(name)) {
        eprintln!("  {name} …");
        let state = State::measure(&data, &args, &world, &hostile);
        worst.note(&state);
        let tried: usize = hostile.iter().map(|(_, count)| count).sum();
        table.row(state.cells(name, tried));
    }
    table.print();
    println!();
    worst.print();
}

fn start(data: &std::path::Path, args: &Args) -> Node {
    Node::start(data, &args.engine, &[("LIMITS__CONNECTIONS", "20000")])
}

struct State {
    open: f64,
    coming: Outcome,
    then: Outcome,
    memory: u64,
    limited: bool,
    stop: Duration,
}

impl State {
    fn measure(data: &std::path::Path, args: &Args, world: &[Session], hostile: &[(usize, usize)]) -> Self {
        let node = start(data, args);
        let limit = MemoryLimit::new(node.pid(), 1 << 30);
        process::pin_apart(node.pid());
        let draft = |session| Tap::new([world::save_draft(session), world::save_draft(session)]);
        let taps: Vec<Tap> = world[..BEHAVING].iter().map(draft).collect();
        let taps = || {
            drive(node.address, &taps, Rate::Fixed(RATE), args.pick(Duration::from_secs(10), Duration::from_secs(2)))
        };
        let running: Vec<_> =
            hostile.iter().map(|(kind, count)| Hostile::start(*kind, *count, node.address, world)).collect();
        let (coming, then) = (taps(), taps());
        let open = node.metric("tandem_connections");
        let memory = process::peak(node.pid());
        let stop = node.stop();
        drop(running);
        Self { open, coming, then, memory, limited: limit.is_some(), stop }
    }

    fn cells(&self, name: &str, tried: usize) -> Vec<String> {
        let latencies = |of: &Outcome| format!("{}, {}", millis(of.quantile(0.5)), millis(of.quantile(0.99)));
        vec![
            name.into(),
            count(tried as f64),
            count(self.open),
            latencies(&self.coming),
            latencies(&self.then),
            (self.coming.refused + self.then.refused).to_string(),
            (self.coming.failed + self.then.failed).to_string(),
            format!("{} MiB", self.memory >> 20),
            format!("{:.2} s", self.stop.as_secs_f64()),
        ]
    }
}

/// The worst of all states.
#[derive(Default)]
struct Worst {
    failed: u64,
    memory: u64,
    stop: Duration,
    unlimited: bool,
}

impl Worst {
    fn note(&mut self, state: &State) {
        self.failed += state.coming.failed + state.then.failed;
        self.memory = self.memory.max(state.memory);
        self.stop = self.stop.max(state.stop);
        self.unlimited |= !state.limited;
    }

    fn print(&self) {
        let mut targets = Table::new(&["target", "reached", ""]);
        let mut target = |what: &str, reached: String, met: bool| {
            targets.row(vec![what.into(), reached, verdict(met).into()]);
        };
        target("no tap of those who behave fails", format!("{} failed", self.failed), self.failed == 0);
        let memory = format!("{} MiB{}", self.memory >> 20, if self.unlimited { ", without a limit" } else { "" });
        target("memory <= 1 GiB", memory, self.memory <= 1 << 30 && !self.unlimited);
        target("clean stop <= 2 s", format!("{:.2} s", self.stop.as_secs_f64()), self.stop.as_secs() < 2);
        targets.print();
    }
}
