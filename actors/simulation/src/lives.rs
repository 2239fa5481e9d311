//! The lives of a node in one world. Each ends by a kill, a power cut, or in good order, and leaves a disk behind. The
//! last one is spared all misfortune: everything comes to rest, and the oracle looks whether nothing is left over.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    clients::Client,
    node::Node,
    plan::{Chance, Fault, Plan},
    world::{Life, World},
};

/// A world that does not end by then has a node that does not start any more.
const MOST_LIVES: u64 = 400;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The process is killed. Everything that was written survives.
    Kill,
    /// The power fails. Unsynced sectors are lost, torn or reordered.
    PowerCut,
    /// In good order.
    Stop,
    /// The world is at its end.
    Rest,
}

/// What became of a world.
pub struct Report {
    pub commands: u64,
    pub lives: u64,
    pub hash: u64,
    pub failure: Option<String>,
    pub lines: Vec<String>,
}

thread_local! {
    /// A panic that nobody has ordered.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics that were ordered are not told; others are a failure of the world.
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

/// Lives through a world.
pub fn live_through(plan: &Plan) -> Report {
    let world = World::new(plan);
    let clients: Vec<_> = (0..9)
        .filter_map(|number| {
            let user = world.users[number % world.users.len()].parse().ok()?;
            Some(Arc::new(Client::new(plan, number as u64, user)))
        })
        .collect();
    let mut lives = 0;
    loop {
        let end = one_life(&world, &clients, lives);
        lives += 1;
        if let Some(panic) = PANIC.take() {
            world.fail_first(format!("a panic: {panic}"));
        }
        if end == End::Rest || world.has_failed() {
            break;
        }
        if lives >= MOST_LIVES {
            world.fail("the node does not come to rest");
            break;
        }
        after(&world, end, lives);
    }
    let commands = world.commands.load(std::sync::atomic::Ordering::Relaxed).min(plan.commands);
    Report { commands, lives, hash: world.hash(), failure: world.failure(), lines: world.lines() }
}

/// What the next life finds.
fn after(world: &World, end: End, lives: u64) {
    let mut disk = world.disk.lock();
    let seed = world.plan.chance("cut", lives).seed();
    *disk = if end == End::PowerCut { disk.cut_power(seed) } else { disk.survive(seed) };
    drop(disk);
    world.disturbed(5_000);
    world.oracle.lock().restarted();
}

fn one_life(world: &Arc<World>, clients: &[Arc<Client>], lives: u64) -> End {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime of one thread needs nothing of the system")
    };
    let system = actix::System::with_tokio_rt(runtime);
    system.block_on(async {
        let life = world.begin_life();
        let mut chance = world.plan.chance("life", lives);
        let end = live(world, &life, clients, &mut chance).await;
        world.note(|| format!("the life ends: {end:?}"), &[]);
        world.end_life();
        end
    })
}

async fn live(world: &Arc<World>, life: &Life, clients: &[Arc<Client>], chance: &mut Chance) -> End {
    let calm = world.is_over();
    if calm {
        world.calm_down();
    }
    let mut faults = world.faults();
    let kills = world.plan.has(Fault::Kills) && !calm;
    if kills && chance.mille(500) {
        // Often in the middle of what the node does at its start.
        let most = if chance.mille(300) { 20 } else { 600 };
        faults.operations = Some(chance.between(0, most));
    }
    world.disk.lock().set(faults);
    let end = how(world, chance);
    let node = match Node::start(world, life).await {
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
    let misfortunes = misfortunes(world, &node, chance);
    let ended = tokio::select! {
        biased;
        // The store has failed.
        () = life.end.notified() => if end == End::Stop { End::Kill } else { end },
        () = sleep(Duration::from_millis(most.min(1 << 40))) => end,
        () = working => End::Rest,
        () = misfortunes => end,
    };
    let end = match ended {
        End::Rest if !calm => End::Stop,
        other => other,
    };
    match end {
        End::Rest => rest(world, &node).await,
        End::Stop => node.stop(world).await,
        End::Kill | End::PowerCut => node.kill(),
    }
    end
}

fn how(world: &World, chance: &mut Chance) -> End {
    match chance.below(10) {
        0 => End::Stop,
        1..=5 if world.plan.has(Fault::Power) => End::PowerCut,
        _ => End::Kill,
    }
}

/// Jumps of the clock, a full disk, a poisoned session.
async fn misfortunes(world: &Arc<World>, node: &Rc<Node>, chance: &mut Chance) {
    loop {
        sleep(Duration::from_millis(chance.between(500, 20_000))).await;
        let now = world.truth();
        world.check(world.oracle.lock().check_expected(now));
        if world.is_calm() {
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

/// What an operator does.
fn release(world: &World, node: &Node) {
    for (session, _) in node.coordinator.quarantined() {
        world.oracle.lock().harmed(session.as_str(), world.truth());
        node.coordinator.release(&session);
    }
}

/// Nothing goes wrong any more: everything that waits comes to its end.
async fn rest(world: &Arc<World>, node: &Node) {
    release(world, node);
    world.jump(0);
    sleep(Duration::from_secs(200)).await;
    world.check(world.oracle.lock().check_expected(world.truth()));
    world.check(world.oracle.lock().check_rest());
    let outboxes = node.outboxes();
    if !outboxes.is_empty() {
        world.fail(format!("{outboxes:?} have something left to deliver"));
    }
    node.check_recovered(world);
    sleep(Duration::from_secs(700)).await;
    let open = node.pushes_under_way(world);
    if let Some(one) = open.first() {
        world.fail(format!("{} pushes are not at their end: {one}", open.len()));
    }
    world.check(world.oracle.lock().check_timers(world.truth()));
    node.stop(world).await;
}
