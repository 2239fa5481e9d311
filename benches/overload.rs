//! What admitted requests cost while far more arrive than the node can serve, what one flooding user costs others, and
//! how soon all is well again.
//!
//! Taps arrive at a fixed rate, whatever the node does, and a latency begins when the tap is due. A user taps one thing
//! at a time: a tap that is due while the user waits for an answer is counted as held back, and not sent. On a machine
//! with more than one core the node has one of them, and the driver the others (`taskset`).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measures")]

mod support;

use std::time::{Duration, Instant};

use support::{
    args::Args,
    arrivals::{Outcome, Rate, Tap, drive, tap_now},
    frames, load,
    node::{Node, data_directory},
    process,
    table::{Table, count, millis, verdict},
    world::{self, Session},
};

/// How many times the capacity arrives.
const FACTOR: f64 = 10.0;

fn main() {
    let args = Args::parse();
    let users = args.pick(2_000, 300);
    let (_directory, data) = data_directory("overload");
    // All users come from this machine; the production defaults hold for everything else.
    let node = Node::start(&data, &args.engine, &[]);
    let pinned = process::pin_apart(node.pid());
    println!(
        "\nOverload, store {}, {users} users, node {}",
        args.engine,
        if pinned { "on one core" } else { "not pinned" }
    );
    let world = world::sessions_in_stage_two(node.address, users);
    let taps: Vec<Tap> = world::toggles(&world).into_iter().map(Tap::new).collect();

    let capacity = capacity(&args, &node, &taps);
    println!("  capacity: {} commands/s that a partner is told of (64 connections, closed loop)\n", count(capacity));

    let long = args.pick(Duration::from_secs(60), Duration::from_secs(4));
    let short = args.pick(Duration::from_secs(15), Duration::from_secs(2));
    let mut table = Table::new(&["arriving", "sent/s", "admitted/s", "refused/s", "p50", "p99", "others", "memory"]);
    let mut row = |name: &str, outcome: &Outcome| {
        table.row(vec![
            name.into(),
            count(outcome.rate(outcome.sent())),
            count(outcome.rate(outcome.admitted())),
            count(outcome.rate(outcome.refused)),
            millis(outcome.quantile(0.5)),
            millis(outcome.quantile(0.99)),
            format!("{} failed, {} held back", outcome.failed, outcome.held_back),
            format!("{} MiB", node.resident() >> 20),
        ]);
    };
    let usual = drive(node.address, &taps, Rate::Fixed(capacity * 0.5), short);
    row("0.5 x", &usual);
    let overload = drive(node.address, &taps, Rate::Fixed(capacity * FACTOR), long);
    let peak = process::peak(node.pid());
    row("10 x", &overload);
    let recovered = recovery(&node, &taps, usual.quantile(0.99));
    let after = drive(node.address, &taps, Rate::Fixed(capacity * 0.5), short);
    row("0.5 x again", &after);
    let (flooded, flood, frames) = flood(&node, &taps, &world[0], capacity * 0.25, short);
    row("0.25 x, and a flood", &flooded);
    let [flood, frames] = [flood, frames].map(|sent| count(sent as f64 / short.as_secs_f64()));
    table.print();

    let stopped = node.stop();
    let times = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    let p99 = times(overload.quantile(0.99), usual.quantile(0.99));
    let others = times(flooded.quantile(0.99), usual.quantile(0.99));
    let uneven = overload.unevenness();
    let mut targets = Table::new(&["target", "reached", ""]);
    let mut target = |what: &str, reached: String, met: bool| {
        targets.row(vec![what.into(), reached, verdict(met).into()]);
    };
    target("p99 of admitted requests <= 5 x usual", format!("{p99:.1} x"), p99 <= 5.0);
    target("memory <= 1 GiB", format!("{} MiB", peak >> 20), peak <= 1 << 30);
    target("everybody's share within 20 %", format!("{:.0} %", uneven * 100.0), uneven <= 0.2);
    target("usual answers again after <= 5 s", format!("{:.1} s", recovered.as_secs_f64()), recovered.as_secs() < 5);
    target(
        "p99 beside one flooding user <= 2 x",
        format!("{others:.1} x ({flood} requests/s, {frames} frames/s)"),
        others <= 2.0,
    );
    target("clean stop <= 2 s", format!("{:.2} s", stopped.as_secs_f64()), stopped.as_secs() < 2);
    println!();
    targets.print();
}

fn capacity(args: &Args, node: &Node, taps: &[Tap]) -> f64 {
    let during = args.pick(Duration::from_secs(5), Duration::from_secs(1));
    let outcome = drive(node.address, &taps[..64.min(taps.len())], Rate::OnAnswer, during);
    outcome.rate(outcome.admitted())
}

/// The time after the load until three answers in a row take no longer than twice the usual p99.
fn recovery(node: &Node, taps: &[Tap], usual: Duration) -> Duration {
    let begun = Instant::now();
    let mut well = 0;
    while well < 3 && begun.elapsed() < Duration::from_secs(60) {
        let answer = tap_now(node.address, &taps[well]);
        well = if answer.is_some_and(|took| took <= usual * 2) { well + 1 } else { 0 };
    }
    begun.elapsed()
}

/// A request to each route that reads, as the node describes itself. Exports are left out: they are streams.
fn reads(node: &Node, session: &Session) -> Vec<Vec<u8>> {
    let description = node.get("/api/v1/openapi.json", None).json();
    let paths = description["paths"].as_object().expect("paths").iter();
    let reads = paths.filter(|(path, methods)| {
        methods.get("get").is_some() && path.starts_with("/api/v1/") && !path.ends_with("/export")
    });
    reads
        .map(|(path, _)| {
            let path = path.replace("{id}", &session.id).replace("{stage}", "2").replace("{subChatId}", "none");
            load::request("GET", &path, Some(&session.creator), None)
        })
        .collect()
}

/// One user sends as much as 64 connections carry, to all routes that read, and every fifth to one that writes, and
/// frames of every kind over eight sockets; all others go on as usual. Returns the numbers of requests and of frames.
fn flood(node: &Node, taps: &[Tap], hostile: &Session, rate: f64, during: Duration) -> (Outcome, u64, u64) {
    let address = node.address;
    let mut requests = reads(node, hostile);
    for place in (0..requests.len()).step_by(4).rev() {
        requests.insert(place, world::save_draft(hostile));
    }
    // One user gets few tokens a minute, and asks for more in the flood.
    let token = frames::realtime_token(address, &hostile.creator);
    let flood = std::thread::spawn(move || {
        let next = |connection: usize, n: usize| &*requests[(connection + n) % requests.len()];
        load::drive(address, 64, Duration::ZERO, during, next).answered
    });
    let (outcome, frames) = std::thread::scope(|scope| {
        let frames = scope.spawn(|| frames::flood(address, hostile, &token, 8, during));
        let outcome = drive(address, &taps[1..], Rate::Fixed(rate), during);
        (outcome, frames.join().expect("the frames end"))
    });
    (outcome, flood.join().expect("the flood ends"), frames)
}
