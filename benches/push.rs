//! How fast pushes drain, what they cost, and whether deciding on one slows the command that causes it. The stand-in
//! for Expo runs in a process of its own and takes 50 ms for each request.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measures")]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};
use support::{
    args::Args,
    baseline,
    hot::store,
    load::{self, request},
    node::{Node, data_directory},
    process,
    table::{Table, count, millis, verdict},
    world,
};
use tandem::push::{
    Devices, Platform, PushSettings, Pusher, Registration,
    fake_expo::{FakeExpo, FakeExpoSettings, Fault},
};
use tandem_actors::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    journal::{Journal, QueueLimits},
    keys,
    ports::{BoxFuture, Change, Clock, Direction, Push as _, PushCheck, PushVerdict},
    records::{self, PushJob},
};

const STAND_IN: &str = "--stand-in";
const ANSWERS_IN: Duration = Duration::from_millis(50);

fn main() {
    serve_stand_in_if_asked();
    let args = Args::parse();
    println!("\nPush, store {}, {} cores", args.engine, std::thread::available_parallelism().map_or(0, usize::from));
    if args.wants("drain") {
        drain(&args);
    }
    if args.wants("enqueue") {
        enqueue(&args);
    }
}

fn serve_stand_in_if_asked() {
    if std::env::args().any(|arg| arg == STAND_IN) {
        actix_web::rt::System::new().block_on(async {
            let expo = FakeExpo::start("127.0.0.1:0").await.expect("the stand-in starts");
            expo.set(FakeExpoSettings { rate: 1_000_000, ..FakeExpoSettings::default() });
            let slow = format!(r#"{{"kind":"slow","millis":{}}}"#, ANSWERS_IN.as_millis());
            let slow: Fault = serde_json::from_str(&slow).expect("a fault");
            expo.fault(slow);
            println!("{}", expo.url.trim_start_matches("http://"));
            std::future::pending::<()>().await;
        });
    }
}

struct Wanted;

impl Clock for Wanted {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        Timestamp::from_millis(since.as_millis() as i64)
    }
}

impl PushCheck for Wanted {
    fn check(&self, _: &SessionId, _: &UserId, _: Seq) -> BoxFuture<PushVerdict> {
        Box::pin(std::future::ready(PushVerdict::Send { unread: 1, request_id: None }))
    }
}

fn user(number: usize) -> UserId {
    format!("user-{number}").parse().expect("a user id")
}

fn job(number: usize, at: Timestamp) -> Change {
    let session: SessionId = format!("csession{number:08}").parse().expect("a session id");
    let key = keys::push_job(at, &session, &user(number), 1);
    let event = "partner.signed_compact".into();
    let job = PushJob { session, user: user(number), seq: 1, event, created_at: at, reason: "absent".into() };
    Change::Put(key, records::encode(&job))
}

/// Measures how fast due pushes are sent when only the rate limits them.
fn drain(args: &Args) {
    let total = args.pick(10_000, 1_000);
    let stand_in = baseline::Itself::start(STAND_IN);
    let (_directory, data) = data_directory("push");
    std::fs::create_dir(&data).expect("a directory for the store");
    tandem::tls::install_provider();
    actix_web::rt::System::new().block_on(async {
        let config = PushSettings { base_url: format!("http://{}", stand_in.address), ..PushSettings::default() };
        let rate = f64::from(config.rate);
        let store = store(&args.engine, &data);
        let (journal, _) =
            Journal::start(store.clone(), QueueLimits::default(), |error| panic!("{error}")).expect("a thread");
        let clock = Arc::new(Wanted);
        let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), config.devices_per_user);
        let devices = devices.expect("the devices can be read");
        let register = |number: usize| {
            let token = format!("ExponentPushToken[device{number:08}]").parse().expect("a push token");
            devices
                .register(user(number), Registration { token, platform: Platform::Ios, locale: None, time_zone: None })
        };
        let registered = stream::iter(0..total).map(register).buffer_unordered(256);
        registered.for_each(async |done| done.expect("a device is registered")).await;
        let now = clock.now();
        journal.write((0..total).map(|number| job(number, now)).collect()).await.expect("the pushes are stored");

        let (cpu, begun) = (process::cpu(std::process::id()), Instant::now());
        let pusher = Pusher::start(config, store.clone(), journal.clone(), clock.clone(), clock, devices);
        let pusher = pusher.expect("the sender starts");
        pusher.jobs_committed();
        while !store.scan(&keys::push_jobs(), None, Direction::Forward, 1).expect("the store can be read").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = begun.elapsed();
        pusher.stop().await;
        let cpu = (process::cpu(std::process::id()) - cpu).div_f64(total as f64);
        journal.close();

        let (drained, off) = (total as f64 / took.as_secs_f64(), total as f64 / took.as_secs_f64() / rate - 1.0);
        let mut table = Table::new(&["", "measured", "target", ""]);
        let mut row = |name: &str, measured: String, target: &str, met: bool| {
            table.row([name, &measured, target, verdict(met)].map(str::to_owned).to_vec());
        };
        row("pushes/s", count(drained), &format!("{} ± 5 %", count(rate)), off.abs() <= 0.05);
        row("CPU per push", millis(cpu), "1 ms", cpu <= Duration::from_millis(1));
        println!("\n{} due pushes, drained in {:.1} s\n", count(total as f64), took.as_secs_f64());
        table.print();
    });
}

/// Compares the same commands with and without a device that gets a push.
fn enqueue(args: &Args) {
    let stand_in = baseline::Itself::start(STAND_IN);
    let base_url = format!("http://{}", stand_in.address);
    let sessions = args.pick(1_000, 100);
    println!("\nCommands that an absent partner is told of (pause, resume), at 64 connections\n");
    let mut table = Table::new(&["partner's device", "commands/s", "p50", "p99", "flushes/command"]);
    for registered in [false, true] {
        let (_directory, data) = data_directory("enqueue");
        let node = Node::start(&data, &args.engine, &[("PUSH__BASE_URL", &base_url)]);
        let world = world::sessions_in_stage_two(node.address, sessions);
        if registered {
            let register = |(n, session): (usize, &world::Session)| {
                let body = format!(r#"{{"pushToken":"ExponentPushToken[bench-{n}]","platform":"ios"}}"#);
                request("POST", "/api/v1/auth/push-token", Some(&session.partner), Some(&body))
            };
            load::all_succeed(node.address, world.iter().enumerate().map(register).collect());
        }
        let toggles = world::toggles(&world);
        let before = node.flushes();
        let measured = load::drive(node.address, 64, args.warm_up(), args.measured(), |connection, n| {
            world::own_toggle(&toggles, 64, connection, n)
        });
        let flushes = node.flushes() - before;
        table.row(vec![
            if registered { "registered" } else { "none" }.into(),
            count(measured.rate()),
            millis(measured.quantile(0.5)),
            millis(measured.quantile(0.99)),
            format!("{:.3}", flushes / measured.answered as f64),
        ]);
    }
    table.print();
}
