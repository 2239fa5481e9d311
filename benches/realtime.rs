//! How fast the embedded realtime endpoint is: idle connections, fan-out, many rooms of two, and the same rooms on
//! servers of other makes. One driver thread, JSON frames.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measures")]

mod support;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use support::{
    args::Args,
    load::{Measured, block_on},
    node::{Node, data_directory},
    process,
    rooms::{Dialect, KEY_NAME, KEY_SECRET, NodeServer, said},
    socket::{Receiver, Sender},
    table::{Table, count, millis, verdict},
};
use tokio::{sync::Notify, task::spawn_local};

const OPENING: usize = 64;

fn main() {
    let args = Args::parse();
    println!("\nEmbedded realtime, {} cores", std::thread::available_parallelism().map_or(0, usize::from));
    if args.wants("idle") {
        idle(&args);
    }
    if args.wants("fan-out") {
        fan_out(&args);
    }
    if args.wants("pairs") {
        pairs(&args);
    }
    if args.wants("rooms") {
        closed_rooms(&args);
    }
}

fn start(args: &Args) -> (tempfile::TempDir, Node) {
    let (directory, data) = data_directory("realtime");
    let keys = format!(r#"[{{name="{KEY_NAME}",secret="{KEY_SECRET}"}}]"#);
    // A connection in a closed loop sends more messages in a second than the default limit allows.
    let settings = [("REALTIME__EMBEDDED__KEYS", &*keys), ("REALTIME__EMBEDDED__MAX_INBOUND_RATE", "1000000")];
    let node = Node::start(&data, &args.engine, &settings);
    (directory, node)
}

/// Reads in the background, so that no frames pile up and pings are answered.
fn keep_reading(mut receiver: Receiver) {
    spawn_local(async move { while receiver.next().await.is_ok() {} });
}

/// Measures the memory of idle connections.
fn idle(args: &Args) {
    let total = args.pick(10_000, 1_000);
    let (_directory, node) = start(args);
    let address = node.address;
    println!("\nIdle connections: {}\n", count(f64::from(total)));
    let mut table = Table::new(&["", "resident", "each", "10,000 of them", "target", ""]);
    block_on(async {
        // The first connections cause allocations that the later ones share.
        let first = Dialect::Ably.join(address, "bench:first").await.expect("a connection");
        let before = node.resident();
        let open = |room: Option<String>| async move {
            let joined = match &room {
                Some(room) => Dialect::Ably.join(address, room).await,
                None => Dialect::Ably.connect(address).await,
            };
            joined.expect("a connection")
        };
        let half = total / 2;
        let connected: Vec<_> = stream::iter(0..half).map(|_| open(None)).buffer_unordered(OPENING).collect().await;
        let after_connecting = node.resident();
        let rooms = (0..half).map(|n| Some(format!("bench:room-{}", n / 2)));
        let attached: Vec<_> = stream::iter(rooms).map(open).buffer_unordered(OPENING).collect().await;
        let after_attaching = node.resident();
        for (name, from, to) in
            [("connected", before, after_connecting), ("attached, two a channel", after_connecting, after_attaching)]
        {
            let each = to.saturating_sub(from) as f64 / f64::from(half);
            table.row(vec![
                name.into(),
                format!("{} MiB", to >> 20),
                format!("{:.1} KiB", each / 1024.0),
                format!("{:.0} MiB", each * 10_000.0 / 1024.0 / 1024.0),
                "20 KiB".into(),
                verdict(each <= 20.0 * 1024.0).into(),
            ]);
        }
        drop((first, connected, attached));
    });
    table.print();
}

/// Measures one channel with many subscribers. The publisher is a few messages ahead of the slowest.
fn fan_out(args: &Args) {
    const SUBSCRIBERS: usize = 1_000;
    const AHEAD: u64 = 16;
    let (_directory, node) = start(args);
    let address = node.address;
    let delivered = Rc::new(Cell::new(0_u64));
    let moved = Rc::new(Notify::new());
    let (deliveries, elapsed, cpu) = block_on(async {
        let join = |_| async move { Dialect::Ably.join(address, "bench:fan-out").await.expect("a subscriber") };
        let subscribers: Vec<_> = stream::iter(0..SUBSCRIBERS).map(join).buffer_unordered(OPENING).collect().await;
        let mut senders = Vec::new();
        for (sender, mut receiver) in subscribers {
            senders.push(sender);
            let (delivered, moved) = (delivered.clone(), moved.clone());
            spawn_local(async move {
                while let Ok(payload) = receiver.next().await {
                    if said(payload).is_some() {
                        delivered.set(delivered.get() + 1);
                        if delivered.get().is_multiple_of(SUBSCRIBERS as u64) {
                            moved.notify_one();
                        }
                    }
                }
            });
        }
        let (publisher, receiver) = Dialect::Ably.connect(address).await.expect("a publisher");
        keep_reading(receiver);
        let mut published = 0;
        let mut publish_until = async |end: Instant| {
            while Instant::now() < end {
                while published < delivered.get() / SUBSCRIBERS as u64 + AHEAD {
                    let message = Dialect::Ably.say("bench:fan-out", published, published);
                    publisher.send(&message).await.expect("a message is sent");
                    published += 1;
                }
                moved.notified().await;
            }
        };
        publish_until(Instant::now() + args.warm_up()).await;
        let (before, cpu, begun) = (delivered.get(), node.cpu(), Instant::now());
        publish_until(begun + args.measured()).await;
        (delivered.get() - before, begun.elapsed(), node.cpu() - cpu)
    });
    let rate = deliveries as f64 / elapsed.as_secs_f64();
    println!(
        "\nFan-out to {} subscribers: {} deliveries/s, server CPU {:.2} µs each (target 150,000/s, {})",
        count(SUBSCRIBERS as f64),
        count(rate),
        cpu.as_secs_f64() * 1e6 / deliveries as f64,
        verdict(rate >= 150_000.0),
    );
}

/// Measures many rooms of two at a fixed rate, without waiting for answers. Latency counts from the moment of sending.
fn pairs(args: &Args) {
    let rooms = args.pick(5_000, 500);
    let rate = args.pick(5_000_u64, 1_000);
    let (_directory, node) = start(args);
    let address = node.address;
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let (measured, cpu) = block_on(async {
        let pairs = (0..rooms).map(|n| async move {
            let room = format!("bench:pair-{n}");
            let speaker = Dialect::Ably.join(address, &room).await.expect("a member");
            let listener = Dialect::Ably.join(address, &room).await.expect("a member");
            (room, speaker, listener)
        });
        let pairs: Vec<_> = stream::iter(pairs).buffer_unordered(OPENING).collect().await;
        let epoch = Instant::now();
        let mut speakers = Vec::new();
        for (room, (sender, echo), (_, mut receiver)) in pairs {
            keep_reading(echo);
            let latencies = latencies.clone();
            spawn_local(async move {
                while let Ok(payload) = receiver.next().await {
                    if let Some(sent) = said(payload) {
                        let took = epoch.elapsed().saturating_sub(Duration::from_nanos(sent));
                        latencies.borrow_mut().push(took);
                    }
                }
            });
            speakers.push((room, sender, 0_u64));
        }
        let gap = Duration::from_secs(1) / rate as u32;
        let speak = async |speakers: &mut Vec<(String, Sender, u64)>, lasting: Duration| {
            let begun = epoch.elapsed();
            for n in 0..(lasting.as_nanos() / gap.as_nanos()) as u32 {
                let due = begun + gap * n;
                while epoch.elapsed() < due {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let chosen = n as usize % speakers.len();
                let (room, sender, serial) = &mut speakers[chosen];
                let message = Dialect::Ably.say(room, *serial, epoch.elapsed().as_nanos() as u64);
                *serial += 1;
                sender.send(&message).await.expect("a message is sent");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        speak(&mut speakers, args.warm_up()).await;
        latencies.borrow_mut().clear();
        let cpu = node.cpu();
        speak(&mut speakers, args.measured()).await;
        let measured = Measured::of(latencies.take(), 0, args.measured());
        (measured, node.cpu() - cpu)
    });
    let expected = rate as f64 * args.measured().as_secs_f64();
    let (p50, p99) = (measured.quantile(0.5), measured.quantile(0.99));
    println!(
        "\n{} channels of two at {} messages/s: {} of {} delivered, p50 {}, p99 {}, server CPU {:.0} µs each (target p50 1 ms, p99 10 ms, {})",
        count(f64::from(rooms)),
        count(rate as f64),
        count(measured.requests as f64),
        count(expected),
        millis(p50),
        millis(p99),
        cpu.as_secs_f64() * 1e6 / measured.requests.max(1) as f64,
        verdict(p50 <= Duration::from_millis(1) && p99 <= Duration::from_millis(10)),
    );
}

/// How often each server is measured. They take turns, because the speed of the machine varies, and the median counts.
const ROUNDS: usize = 5;

/// Rooms of two in a closed loop: the next message is sent when the last one has arrived.
fn closed_rooms(args: &Args) {
    println!("\nRooms of two in a closed loop, messages/s\n");
    let (_directory, node) = start(args);
    let ws = NodeServer::start("ws.mjs", &[]);
    let socket_io = NodeServer::start("socketio.mjs", &[]);
    if ws.is_none() || socket_io.is_none() {
        println!("  (no comparison: Node is missing, or its packages cannot be installed)\n");
    }
    let mut table =
        Table::new(&["rooms", "server", "messages/s", "p50", "p99", "server CPU", "Tandem is", "target", ""]);
    for rooms in args.concurrencies(&[1, 64, 256]) {
        let others = [("ws", Dialect::Ws, &ws, 1.2), ("socket.io", Dialect::SocketIo, &socket_io, 2.0)];
        let mut servers = vec![("Tandem", Dialect::Ably, node.address, node.pid(), 1.0)];
        let present = others.iter().filter_map(|(name, dialect, server, target)| {
            server.as_ref().map(|server| (*name, *dialect, server.address, server.pid(), *target))
        });
        servers.extend(present);
        let mut turns: Vec<Vec<(Measured, Duration)>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for ((_, dialect, address, pid, _), turns) in servers.iter().zip(&mut turns) {
                turns.push(closed(args, *dialect, *address, rooms, *pid));
            }
        }
        let middle = |turns: &Vec<(Measured, Duration)>, of: &dyn Fn(&(Measured, Duration)) -> f64| {
            let mut values: Vec<f64> = turns.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let rate = |turns| middle(turns, &|(measured, _)| measured.rate());
        let ours = rate(&turns[0]);
        for ((name, dialect, .., target), turns) in servers.iter().zip(&turns) {
            let quantile =
                |q| millis(Duration::from_secs_f64(middle(turns, &|(measured, _)| measured.quantile(q).as_secs_f64())));
            let compared = *dialect != Dialect::Ably && rooms == 64;
            let times = ours / rate(turns);
            table.row(vec![
                rooms.to_string(),
                (*name).into(),
                count(rate(turns)),
                quantile(0.5),
                quantile(0.99),
                format!("{:.0} µs", middle(turns, &|(_, cpu)| cpu.as_secs_f64()) * 1e6),
                if compared { format!("{times:.2} x") } else { String::new() },
                if compared { format!("{target} x") } else { String::new() },
                if compared { verdict(times >= *target).into() } else { String::new() },
            ]);
        }
    }
    table.print();
}

fn closed(args: &Args, dialect: Dialect, address: SocketAddr, rooms: usize, pid: u32) -> (Measured, Duration) {
    let latencies = RefCell::new(Vec::with_capacity(1 << 20));
    let cpu = Cell::new(Duration::ZERO);
    let total = Cell::new(0_u32);
    let lasting = args.measured() / 2;
    block_on(async {
        let pairs = (0..rooms).map(|n| async move {
            let room = format!("bench:closed-{rooms}-{n}");
            let speaker = dialect.join(address, &room).await.expect("a member");
            let listener = dialect.join(address, &room).await.expect("a member");
            (room, speaker, listener)
        });
        let pairs: Vec<_> = stream::iter(pairs).buffer_unordered(OPENING).collect().await;
        cpu.set(process::cpu(pid));
        let begin = Instant::now() + args.warm_up() / 2;
        let end = begin + lasting;
        let loops = pairs.into_iter().map(|(room, (sender, echo), (_, mut receiver))| {
            keep_reading(echo);
            let (latencies, total) = (&latencies, &total);
            async move {
                for serial in 0.. {
                    let sent = Instant::now();
                    if sent >= end {
                        break;
                    }
                    sender.send(&dialect.say(&room, serial, serial)).await.expect("a message is sent");
                    while said(receiver.next().await.expect("a frame")) != Some(serial) {}
                    total.set(total.get() + 1);
                    let now = Instant::now();
                    if sent >= begin && now <= end {
                        latencies.borrow_mut().push(now - sent);
                    }
                }
            }
        });
        futures_util::future::join_all(loops).await;
    });
    let cpu = process::cpu(pid) - cpu.get();
    (Measured::of(latencies.into_inner(), 0, lasting), cpu / total.get().max(1))
}
