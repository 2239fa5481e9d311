//! What requests and upkeep cost in stores of 1,000, 100,000 and 1,000,000 sessions: one row for each, one column for
//! each store. Half of the sessions, at most 10,000, belong to one user.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{
    args::Args,
    load::{self, request},
    node::Node,
    process,
    stored::Stored,
    table::{Table, count, micros, millis},
    targets::Targets,
    world::{self, Session},
};

/// No session leaves memory by itself.
const AWAKE: &[(&str, &str)] = &[("SESSIONS__IDLE_AFTER", "1h")];
/// The same, with the smallest cache that the engine can have.
const WITHOUT_CACHE: &[(&str, &str)] = &[("SESSIONS__IDLE_AFTER", "1h"), ("STORE__CACHE_MIB", "1")];
const REPEATED: usize = 50;

/// The measured figures with their names, which are the same for each store.
type Column = Vec<(&'static str, String)>;

pub fn growth(args: &Args, targets: &mut Targets) {
    let sizes = args.stored_sessions();
    println!("\nCosts by the number of stored sessions, ten events each (`--stored DIRECTORY`: up to 1,000,000)\n");
    let last = sizes.last().copied();
    let columns: Vec<Column> = sizes
        .iter()
        .map(|sessions| {
            let stored = Stored::prepare(args, *sessions);
            column(args, &stored, (Some(*sessions) == last).then_some(&mut *targets))
        })
        .collect();
    let heads: Vec<String> = sizes.iter().map(|sessions| count(*sessions as f64)).collect();
    let heads: Vec<&str> = std::iter::once("").chain(heads.iter().map(String::as_str)).collect();
    let mut table = Table::new(&heads);
    for (row, (name, _)) in columns[0].iter().enumerate() {
        let figures = columns.iter().map(|column| column[row].1.clone());
        table.row(std::iter::once((*name).to_owned()).chain(figures).collect());
    }
    table.print();
}

fn column(args: &Args, stored: &Stored, targets: Option<&mut Targets>) -> Column {
    let mut column = Column::new();
    let node = Node::start(&stored.data, &args.engine, AWAKE);
    lists(&node, stored, &mut column);
    let sample = stored.some(args.pick(10_000, 400));
    let with_cache = waking(&node, &sample, &mut column);
    column.push(("CPU of a second without requests", micros(at_rest(&node, args))));
    column.push(("stop", millis(node.stop())));
    let node = Node::start(&stored.data, &args.engine, WITHOUT_CACHE);
    let resident = waking(&node, &sample, &mut Column::new());
    node.stop();
    column.push(("memory of a resident session", format!("{:.1} KiB", resident / 1024.0)));
    column.push(("– with its part of the engine's cache", format!("{:.1} KiB", with_cache / 1024.0)));
    let (node, stopped) = ready(stored, args);
    let commands: Vec<_> = sample.iter().take(200).map(world::save_draft).collect();
    load::all(node.address, 16, commands);
    node.kill();
    let (node, killed) = ready(stored, args);
    column.push(("ready after a stop", millis(stopped)));
    column.push(("ready after SIGKILL", millis(killed)));
    column.push(("resident after it", format!("{} MiB", process::resident(node.pid()) >> 20)));
    drop(node);
    let disk = stored.on_disk(&args.engine);
    column.push(("the engine's files", format!("{} MiB", disk >> 20)));
    column.push(("bytes of live rows", format!("{} MiB", stored.live >> 20)));
    if let Some(targets) = targets {
        let with = format!("with {} sessions", count(stored.sessions as f64));
        targets.at_most(format!("ready after SIGKILL {with}"), killed.as_secs_f64(), 1.0, " s");
        targets.at_most(format!("disk in live rows {with}"), disk as f64 / stored.live as f64, 2.0, "");
        targets.at_most(format!("a resident session {with}"), resident / 1024.0, 8.0, " KiB");
    }
    column
}

/// Measures requests of the user with many sessions.
fn lists(node: &Node, stored: &Stored, column: &mut Column) {
    let collector = stored.session(0).creator;
    let get = |path: &str| request("GET", &format!("/api/v1{path}"), Some(&collector), None);
    let first = node.get("/api/v1/sessions?limit=20", Some(&collector)).json();
    let cursor = first["data"]["cursor"].as_str().expect("there are more sessions");
    let time = cursor.split('.').next().unwrap_or_default();
    let middle = stored.session(stored.collected() / 2).id;
    let paths = [
        ("the user's sessions", format!("{} of them", count(stored.collected() as f64)), None),
        ("list, first 20", String::new(), Some("/sessions?limit=20".to_owned())),
        ("list, 20 in the middle", String::new(), Some(format!("/sessions?limit=20&cursor={time}.{middle}"))),
        ("unread count", String::new(), Some("/sessions/unread-count".to_owned())),
        ("badge", String::new(), Some("/notifications/badge-count".to_owned())),
        ("people, first 20", String::new(), Some("/people?limit=20".to_owned())),
        ("account, live sessions counted", String::new(), Some("/auth/me".to_owned())),
    ];
    for (name, text, path) in paths {
        let Some(path) = path else {
            column.push((name, text));
            continue;
        };
        let measured = load::one_by_one(node.address, &vec![get(&path); REPEATED]);
        assert_eq!(measured.refused, 0, "{path}");
        column.push((name, millis(measured.quantile(0.5))));
    }
}

/// Activation, and the memory of a session in bytes: what the node grows by when sessions wake whose lists, users and
/// tokens it has just read. The engine keeps what it reads of the sessions in its cache.
fn waking(node: &Node, sample: &[Session], column: &mut Column) -> f64 {
    let read: Vec<_> = sample.iter().map(|one| request("GET", "/api/v1/sessions", Some(&one.creator), None)).collect();
    let wake: Vec<_> = sample.iter().map(|one| request("GET", &one.path(""), Some(&one.creator), None)).collect();
    debug_assert_eq!(sample.iter().map(|one| &one.id).collect::<HashSet<_>>().len(), sample.len());
    for _ in 0..2 {
        load::all_succeed(node.address, read.clone());
    }
    let before = node.resident();
    let (timed, others) = wake.split_at(sample.len() / 10);
    let asleep = load::one_by_one(node.address, timed);
    load::all_succeed(node.address, others.to_vec());
    let each = node.resident().saturating_sub(before) as f64 / sample.len() as f64;
    let awake = load::one_by_one(node.address, timed);
    assert_eq!(asleep.refused + awake.refused, 0, "every look must succeed");
    column.push(("a look at a session that sleeps", millis(asleep.quantile(0.5))));
    column.push(("a look at one that is awake", millis(awake.quantile(0.5))));
    let create: Vec<_> = sample.iter().take(REPEATED).map(|one| world::invite(&one.partner)).collect();
    column.push(("create a session", millis(load::one_by_one(node.address, &create).quantile(0.5))));
    each
}

fn at_rest(node: &Node, args: &Args) -> Duration {
    let seconds = args.pick(5, 1);
    let cpu = node.cpu();
    std::thread::sleep(Duration::from_secs(seconds));
    (node.cpu() - cpu).div_f64(seconds as f64)
}

/// Measures the time from the start of the process until `/ready` answers 200.
fn ready(stored: &Stored, args: &Args) -> (Node, Duration) {
    let begun = Instant::now();
    let node = Node::start(&stored.data, &args.engine, AWAKE);
    while node.get("/ready", None).status != 200 {
        std::thread::sleep(Duration::from_millis(1));
    }
    (node, begun.elapsed())
}
