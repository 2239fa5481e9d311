//! How fast the coordinator is, beside what the machine can do at all. Each section prints a table; targets stand
//! beside.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measures")]

mod support;

use std::time::Duration;

use support::{
    args::Args,
    baseline::{self, Itself, TRIVIAL_SERVER},
    hot::{self, Heart},
    load::{self, Measured, request},
    node::{Node, data_directory},
    process,
    table::{Table, count, micros, millis, verdict},
    world::{self, Session},
};

const CONCURRENCIES: [usize; 4] = [1, 16, 64, 256];

fn main() {
    baseline::serve_trivial_if_asked();
    let args = Args::parse();
    println!(
        "\nCoordinator, store {}, {} cores",
        args.engine,
        std::thread::available_parallelism().map_or(0, usize::from)
    );

    let syncs = baseline::append_and_sync(args.measured().min(Duration::from_secs(2)));
    println!(
        "\nThe machine: append 300 B + fdatasync {}/s, p50 {}, p99 {}",
        count(syncs.rate()),
        millis(syncs.quantile(0.5)),
        millis(syncs.quantile(0.99)),
    );
    if args.wants("hot") {
        hot_session(&args, syncs.rate());
    }
    if args.wants("http") {
        over_http(&args);
    }
    if args.wants("memory") || args.wants("activation") {
        sleeping_sessions(&args);
    }
    if args.wants("start") {
        start(&args);
    }
}

/// One session in process, with so many commands in flight: the output gate lets them share flushes.
fn hot_session(args: &Args, syncs: f64) {
    println!("\nOne hot session in process: saving drafts, durable before the answer\n");
    let mut table = Table::new(&[
        "store",
        "in flight",
        "commands/s",
        "x append+fdatasync",
        "p50",
        "p99",
        "flushes/command",
        "target",
        "",
    ]);
    for engine in [&*args.engine, "memory"] {
        let (_directory, data) = data_directory("hot");
        std::fs::create_dir(&data).expect("a directory for the store");
        actix::System::new().block_on(async {
            let heart = Heart::start(hot::store(engine, &data)).await;
            for in_flight in args.concurrencies(&CONCURRENCIES) {
                let before = heart.journal.stats();
                let measured = heart.drive(in_flight, args.warm_up(), args.measured()).await;
                let after = heart.journal.stats();
                let flushes = (after.flushes - before.flushes) as f64 / (after.commits - before.commits) as f64;
                let times = measured.rate() / syncs;
                let aimed = engine != "memory" && in_flight == 64;
                table.row(vec![
                    engine.into(),
                    in_flight.to_string(),
                    count(measured.rate()),
                    format!("{times:.1}"),
                    millis(measured.quantile(0.5)),
                    millis(measured.quantile(0.99)),
                    format!("{flushes:.3}"),
                    if aimed { "8 x" } else { "" }.into(),
                    if aimed { verdict(times >= 8.0) } else { "" }.into(),
                ]);
            }
        });
    }
    table.print();
}

/// Many sessions over HTTP, every answer durable, and a trivial handler under the same load.
fn over_http(args: &Args) {
    let sessions = args.pick(1_000, 100);
    println!("\nDurable commands over HTTP: {sessions} sessions, saving a draft (one event, nobody is told)\n");
    let trivial = Itself::start(TRIVIAL_SERVER);
    let (_directory, data) = data_directory("http");
    let node = Node::start(&data, &args.engine, &[]);
    let world = world::sessions_in_stage_two(node.address, sessions);
    let commands: Vec<_> = world.iter().map(world::save_draft).collect();
    let said = r#"{"content":"You might feel that your evenings are never your own, and that I decide without you when we meet."}"#;
    let say = request("POST", "/say", Some(&world[0].creator), Some(said));

    let mut table = Table::new(&[
        "connections",
        "trivial/s",
        "its CPU",
        "commands/s",
        "ratio",
        "p50",
        "p99",
        "server CPU",
        "flushes/command",
        "target",
        "",
    ]);
    for connections in args.concurrencies(&CONCURRENCIES) {
        let its_cpu = process::cpu(trivial.pid());
        let idle = load::drive(trivial.address, connections, args.warm_up(), args.measured(), |_, _| &say);
        assert_eq!(idle.refused, 0, "the trivial handler must succeed, too");
        let its_cpu = (process::cpu(trivial.pid()) - its_cpu).div_f64(idle.answered as f64);
        let (measured, cpu, flushes) = observe(&node, || {
            load::drive(node.address, connections, args.warm_up(), args.measured(), |connection, n| {
                &commands[scattered(connection, n) % commands.len()]
            })
        });
        assert_eq!(measured.refused, 0, "every command must succeed");
        let ratio = measured.rate() / idle.rate();
        let (target, met) = match connections {
            1 => ("2,000/s", measured.rate() >= 2_000.0),
            64 => (
                "0.30, p99 12 ms, 0.04",
                ratio >= 0.30 && measured.quantile(0.99) <= Duration::from_millis(12) && flushes <= 0.04,
            ),
            _ => ("", true),
        };
        table.row(vec![
            connections.to_string(),
            count(idle.rate()),
            micros(its_cpu),
            count(measured.rate()),
            format!("{ratio:.2}"),
            millis(measured.quantile(0.5)),
            millis(measured.quantile(0.99)),
            micros(cpu),
            format!("{flushes:.3}"),
            target.into(),
            if target.is_empty() { "" } else { verdict(met) }.into(),
        ]);
    }
    table.print();
    announced(args, &node, &world);
}

/// Commands that are told to the partner: event, outbox and announcement.
fn announced(args: &Args, node: &Node, world: &[Session]) {
    let toggles = world::toggles(world);
    let connections = 64;
    let (measured, cpu, flushes) = observe(node, || {
        load::drive(node.address, connections, args.warm_up(), args.measured(), |connection, n| {
            world::own_toggle(&toggles, connections, connection, n)
        })
    });
    println!(
        "\nCommands that the partner is told of (pause, resume) at {connections} connections: {}/s, p50 {}, p99 {}, server CPU {}, \
         flushes/command {flushes:.3}, refused {}",
        count(measured.rate()),
        millis(measured.quantile(0.5)),
        millis(measured.quantile(0.99)),
        micros(cpu),
        measured.refused,
    );
}

/// With the server's CPU time and the flushes for each answered command.
fn observe(node: &Node, run: impl FnOnce() -> Measured) -> (Measured, Duration, f64) {
    let (cpu, flushes) = (node.cpu(), node.flushes());
    let measured = run();
    let (cpu, flushes) = (node.cpu() - cpu, node.flushes() - flushes);
    let answered = measured.answered.max(1) as f64;
    (measured, cpu.div_f64(answered), flushes / answered)
}

/// Sessions that wake up: what the first request of each waits for, and what they take in memory.
fn sleeping_sessions(args: &Args) {
    let total = args.pick(20_000, 500);
    println!("\nSleeping sessions: {total}, each woken by its first request\n");
    let (_directory, data) = data_directory("sleeping");
    let node = Node::start(&data, &args.engine, &[("SESSIONS__IDLE_AFTER", "1h")]);
    let world = world::sessions_in_stage_two(node.address, total);
    node.stop();

    let node = Node::start(&data, &args.engine, &[("SESSIONS__IDLE_AFTER", "1h")]);
    let look: Vec<_> = world.iter().map(|s| request("GET", &s.path(""), Some(&s.creator), None)).collect();
    let (timed, others) = look.split_at(total / 10);
    // Everything that a first request makes, but for the session.
    let elsewhere: Vec<_> =
        world.iter().take(200).map(|s| request("GET", "/api/v1/auth/me", Some(&s.creator), None)).collect();
    load::one_by_one(node.address, &elsewhere);
    let before = node.resident();
    let asleep = load::one_by_one(node.address, timed);
    load::all(node.address, 16, others.to_vec());
    let each = node.resident().saturating_sub(before) as f64 / total as f64;
    let awake = load::one_by_one(node.address, timed);
    assert_eq!(asleep.refused + awake.refused, 0, "every look must succeed");

    let mut table = Table::new(&["", "p50", "p99", "target", ""]);
    let asleep_met = asleep.quantile(0.5) <= Duration::from_millis(2);
    table.row(latencies("asleep", &asleep, "p50 2 ms", verdict(asleep_met)));
    table.row(latencies("awake", &awake, "", ""));
    table.print();
    println!(
        "\n  Memory per resident session: {:.1} KiB (target 8 KiB, {}); the store's cache grows in it, too",
        each / 1024.0,
        verdict(each <= 8.0 * 1024.0)
    );
}

fn latencies(name: &str, measured: &Measured, target: &str, verdict: &str) -> Vec<String> {
    [name, &millis(measured.quantile(0.5)), &millis(measured.quantile(0.99)), target, verdict]
        .map(str::to_owned)
        .to_vec()
}

/// From the start of the process until `/ready` says so.
fn start(args: &Args) {
    let total = args.pick(100_000, 2_000);
    println!("\nStart with {} stored sessions\n", count(total as f64));
    let (_directory, data) = data_directory("start");
    let node = Node::start(&data, &args.engine, &[("SESSIONS__IDLE_AFTER", "2s")]);
    world::invited(node.address, total);
    let stopped_in = node.stop();
    let mut table = Table::new(&["after", "listens in", "ready in", "resident", "target", ""]);
    for after in ["a stop", "a kill"] {
        let begun = std::time::Instant::now();
        let node = Node::start(&data, &args.engine, &[]);
        while node.get("/ready", None).status != 200 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let ready = begun.elapsed();
        let met = verdict(ready <= Duration::from_secs(1));
        let resident = format!("{} MiB", process::resident(node.pid()) >> 20);
        table.row(vec![after.into(), millis(node.started_in), millis(ready), resident, "1 s".into(), met.into()]);
        node.kill();
    }
    table.print();
    println!("\n  The stop before took {}", millis(stopped_in));
}

/// Sessions in an order that no two connections share.
fn scattered(connection: usize, n: usize) -> usize {
    let mixed = (connection as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n as u64);
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as usize
}
