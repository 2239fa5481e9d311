//! The same load on several servers in turns, and stores of different sizes under the same load.

use super::{
    args::Args,
    driver::Driver,
    load,
    node::{Node, data_directory},
    peers::{Figures, NodeAndRedis, Peer, in_turns, trivial},
    stored::{EVENTS, Stored},
    table::{Table, count, micros, millis},
    targets::Targets,
    world,
};

const CONCURRENCIES: [usize; 4] = [1, 16, 64, 256];
/// The sessions of the larger store that are in use.
const WORKING_SET: usize = 500;

/// Compares durable commands over HTTP with the same load on the other servers.
pub fn peers(args: &Args, targets: &mut Targets) {
    let sessions = args.pick(1_000, 100);
    println!("\nSaving a draft over HTTP, durable before the answer: {sessions} sessions, {} rounds\n", args.rounds());
    let trivial = trivial();
    let redis = NodeAndRedis::start(sessions);
    let (_directory, data) = data_directory("http");
    let node = Node::start(&data, &args.engine, &[]);
    let world = world::sessions_in_stage_two(node.address, sessions);
    let mut peers = vec![Peer::trivial(&trivial), Peer::tandem("tandem", &node, &world)];
    peers.extend(redis.as_ref().map(|servers| Peer::node_and_redis(servers, sessions)));
    let driver = Driver::find();

    let mut table = Figures::table(&["x trivial", "x redis"]);
    for connections in args.concurrencies(&CONCURRENCIES) {
        let figures = in_turns(&peers, driver, connections, args);
        for (peer, one) in peers.iter().zip(&figures) {
            table.row(one.cells(connections, peer, [figures.first(), figures.get(2)]));
        }
        aim(targets, connections, &figures);
    }
    table.print();
    announced(args, &node, &world);
}

fn aim(targets: &mut Targets, connections: usize, figures: &[Figures]) {
    let tandem = figures[1];
    if let Some(redis) = figures.get(2) {
        let bound = if connections == 1 { 1.5 } else { 2.0 };
        targets.at_least(format!("times node + redis, {connections} connections"), tandem.rate / redis.rate, bound, "");
    }
    if connections == 64 {
        let spread = tandem.p99.as_secs_f64() / tandem.p50.as_secs_f64();
        targets.at_least("times the trivial handler, 64 connections", tandem.rate / figures[0].rate, 0.5, "");
        targets.at_most("flushes a command, 64 connections", tandem.flushes.unwrap_or(f64::NAN), 0.02, "");
        targets.at_most("p99 in p50, 64 connections", spread, 3.0, "");
    }
}

/// Measures commands that are published to the partner: event, outbox and announcement. Pauses and resumptions
/// alternate, so the built-in driver sends them.
fn announced(args: &Args, node: &Node, world: &[world::Session]) {
    const CONNECTIONS: usize = 64;
    let toggles = world::toggles(world);
    let cpu = node.cpu();
    let next = |connection, n| world::own_toggle(&toggles, CONNECTIONS, connection, n);
    let measured = load::drive(node.address, CONNECTIONS, args.warm_up(), args.measured(), next);
    assert_eq!(measured.refused, 0, "every pause and resumption must succeed");
    println!(
        "\n  Commands that the partner is told of (pause, resume), {CONNECTIONS} connections, built-in driver: {}/s, p50 {}, \
         p99 {}, server CPU {}",
        count(measured.rate()),
        millis(measured.quantile(0.5)),
        millis(measured.quantile(0.99)),
        micros((node.cpu() - cpu).div_f64(measured.answered.max(1) as f64)),
    );
}

/// Compares the CPU time of a command with few stored sessions and with many.
pub fn stores(args: &Args, targets: &mut Targets) {
    let sizes = args.stored_sessions();
    let sizes = [sizes[0], sizes[sizes.len() - 1]];
    println!("\nThe same command with {EVENTS} events stored for each session, {WORKING_SET} sessions in use\n");
    let stored = sizes.map(|sessions| Stored::prepare(args, sessions));
    let nodes = [0, 1].map(|n| Node::start(&stored[n].data, &args.engine, &[]));
    let used = [0, 1].map(|n| stored[n].some(WORKING_SET));
    let peers = [Peer::tandem("few", &nodes[0], &used[0]), Peer::tandem("many", &nodes[1], &used[1])];
    let figures = in_turns(&peers, Driver::find(), 64, args);
    let mut table = Table::new(&["sessions stored", "requests/s", "p50", "p99", "server CPU", "flushes/command"]);
    for (sessions, one) in sizes.iter().zip(&figures) {
        table.row(vec![
            count(*sessions as f64),
            count(one.rate),
            millis(one.p50),
            millis(one.p99),
            micros(one.cpu),
            one.flushes.map_or("–".into(), |flushes| format!("{flushes:.3}")),
        ]);
    }
    table.print();
    let times = figures[1].cpu.as_secs_f64() / figures[0].cpu.as_secs_f64();
    let what = format!("CPU a command, {} sessions, in that with {}", count(sizes[1] as f64), count(sizes[0] as f64));
    targets.at_most(what, times, 1.2, "");
}
