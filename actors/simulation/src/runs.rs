//! The runs of the node in one world. A run ends by a kill, a power cut or a graceful stop, and the next run starts on
//! the disk that it leaves. The last run has no faults: all work ends, and the oracle checks that nothing is left over.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    clients::Client,
    node::Node,
    plan::{Chance, Fault, Plan},
    world::{Run, World},
};

/// In a world with more runs than this, the node does not start any more.
const MOST_RUNS: u64 = 400;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The process is killed. Everything that was written survives.
    Kill,
    /// The power fails. Unsynced sectors are lost, torn or reordered.
    PowerCut,
    /// A graceful stop.
    Stop,
    /// The world has no more commands, and all work is done.
    Finished,
}

/// The outcome of a world.
pub struct Report {
    pub commands: u64,
    pub runs: u64,
    pub hash: u64,
    pub failure: Option<String>,
    pub lines: Vec<String>,
}

thread_local! {
    /// A panic that no failpoint has caused.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Silences the panics of failpoints. Every other panic fails the world.
pub fn watch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if !text.contains("failpoint") {
            PANIC.with_borrow_mut(|known| {
                known.get_or_insert(text);
            });
        }
    }));
}

/// Runs a world to its end.
pub fn run_world(plan: &Plan) -> Report {
    let world = World::new(plan);
    let clients: Vec<_> = (0..9)
        .filter_map(|number| {
            let user = world.users[number % world.users.len()].parse().ok()?;
            Some(Arc::new(Client::new(plan, number as u64, user)))
        })
        .collect();
    let mut runs = 0;
    loop {
        let end = run_node(&world, &clients, runs);
        runs += 1;
        if let Some(panic) = PANIC.take() {
            world.fail_first(format!("a panic: {panic}"));
        }
        if end == End::Finished || world.has_failed() {
            break;
        }
        if runs >= MOST_RUNS {
            world.fail("the node does not start any more");
            break;
        }
        prepare_next_run(&world, end, runs);
    }
    let commands = world.commands.load(std::sync::atomic::Ordering::Relaxed).min(plan.commands);
    Report { commands, runs, hash: world.hash(), failure: world.failure(), lines: world.lines() }
}

/// Prepares the disk that the next run finds.
fn prepare_next_run(world: &World, end: End, runs: u64) {
    let mut disk = world.disk.lock();
    let seed = world.plan.chance("cut", runs).seed();
    *disk = if end == End::PowerCut { disk.cut_power(seed) } else { disk.survive(seed) };
    drop(disk);
    world.disturbed(5_000);
    world.oracle.lock().restarted();
}

fn run_node(world: &Arc<World>, clients: &[Arc<Client>], runs: u64) -> End {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime of one thread needs nothing of the system")
    };
    let system = actix::System::with_tokio_rt(runtime);
    system.block_on(async {
        let run = world.begin_run();
        let mut chance = world.plan.chance("life", runs);
        let end = start_and_end(world, &run, clients, &mut chance).await;
        world.note(|| format!("the run ends: {end:?}"), &[]);
        world.end_run();
        end
    })
}

async fn start_and_end(world: &Arc<World>, run: &Run, clients: &[Arc<Client>], chance: &mut Chance) -> End {
    let is_last = world.is_over();
    if is_last {
        world.end_faults();
    }
    let mut faults = world.faults();
    let kills = world.plan.has(Fault::Kills) && !is_last;
    if kills && chance.mille(500) {
        // Few operations: the disk fails while the node starts.
        let most = if chance.mille(300) { 20 } else { 600 };
        faults.operations = Some(chance.between(0, most));
    }
    world.disk.lock().set(faults);
    let end = choose_end(world, chance);
    let node = match Node::start(world, run).await {
        Ok(node) => Rc::new(node),
        Err(error) => {
            world.note(|| format!("the node does not start: {error}"), &[]);
            if faults.operations.is_none() {
                world.fail(format!("the node does not start: {error}"));
            }
            return end;
        }
    };
    node.check_recovered(world);
    let most = if kills { chance.between(100, 60_000) } else { u64::MAX };
    let working = async {
        let work: Vec<_> =
            clients.iter().map(|client| actix::spawn(client.clone().run(world.clone(), node.clone()))).collect();
        for client in work {
            if let Err(error) = client.await {
                world.fail(format!("a client ended: {error}"));
            }
        }
    };
    let faults = inject_faults(world, &node, chance);
    let ended = tokio::select! {
        biased;
        // The store has failed.
        () = run.end.notified() => if end == End::Stop { End::Kill } else { end },
        () = sleep(Duration::from_millis(most.min(1 << 40))) => end,
        () = working => End::Finished,
        () = faults => end,
    };
    let end = match ended {
        End::Finished if !is_last => End::Stop,
        other => other,
    };
    match end {
        End::Finished => finish(world, &node).await,
        End::Stop => node.stop(world).await,
        End::Kill | End::PowerCut => node.kill(),
    }
    end
}

fn choose_end(world: &World, chance: &mut Chance) -> End {
    match chance.below(10) {
        0 => End::Stop,
        1..=5 if world.plan.has(Fault::Power) => End::PowerCut,
        _ => End::Kill,
    }
}

/// Injects faults: jumps of the clock, a full disk, a session that panics at each command.
async fn inject_faults(world: &Arc<World>, node: &Rc<Node>, chance: &mut Chance) {
    loop {
        sleep(Duration::from_millis(chance.between(500, 20_000))).await;
        let now = world.truth();
        for (session, _) in node.coordinator.quarantined() {
            world.oracle.lock().quarantined(session.as_str(), now);
        }
        world.check(world.oracle.lock().check_expected(now));
        if world.is_free_of_faults() {
            continue;
        }
        match chance.below(6) {
            0 if world.plan.has(Fault::Jumps) => {
                let wrong_by = *chance.pick(&[0, 0, 0, 45_000, -45_000, 86_400_000, -3_600_000]).unwrap_or(&0);
                world.jump(wrong_by);
            }
            1 if world.plan.has(Fault::FullDisk) => {
                world.note(|| "the disk is full".into(), &[]);
                world.fill_disk();
                sleep(Duration::from_millis(chance.between(100, 10_000))).await;
                world.free_disk();
            }
            2 if world.plan.has(Fault::Poison) => {
                let sessions: Vec<String> = world.oracle.lock().sessions().map(|(id, _)| id.clone()).collect();
                world.poison(chance.pick(&sessions).cloned());
            }
            3 => {
                world.poison(None);
                release(world, node);
            }
            _ => {}
        }
    }
}

/// Releases quarantined sessions, as an operator would.
fn release(world: &World, node: &Node) {
    for (session, _) in node.coordinator.quarantined() {
        world.oracle.lock().harmed(session.as_str(), world.truth());
        node.coordinator.release(&session);
    }
}

/// Waits without faults until all work should be done, and checks that it is.
async fn finish(world: &Arc<World>, node: &Node) {
    release(world, node);
    world.jump(0);
    sleep(Duration::from_secs(200)).await;
    world.check(world.oracle.lock().check_expected(world.truth()));
    world.check(world.oracle.lock().check_rest());
    // The row of an event that a partner has on the screen goes when the session leaves memory. A timer may keep it
    // there.
    let is_delivered = || node.outboxes().is_ok_and(|outboxes| outboxes.is_empty());
    for _ in 0..10 {
        if !is_delivered() {
            sleep(Duration::from_secs(60)).await;
        }
    }
    match node.outboxes() {
        Ok(outboxes) if outboxes.is_empty() => {}
        Ok(outboxes) => world.fail(format!("{outboxes:?} have something left to deliver")),
        Err(error) => world.fail(format!("the outboxes cannot be read: {error}")),
    }
    node.check_recovered(world);
    sleep(Duration::from_secs(700)).await;
    let open = node.pushes_under_way(world);
    if let Some(one) = open.first() {
        world.fail(format!("{} pushes are not finished: {one}", open.len()));
    }
    node.check_published_instead(world);
    world.check(world.oracle.lock().check_timers(world.truth()));
    let removed = world.oracle.lock().removed();
    world.note(|| format!("{removed} sessions were removed"), &[]);
    world.check(world.oracle.lock().check_removed(world.truth()));
    node.stop(world).await;
}
