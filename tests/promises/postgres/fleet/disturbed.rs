//! The owner is killed, stands still, or is cut off from the database, under load. A checker compares what was answered
//! with what is there afterwards.
//!
//! `TANDEM_FLEET_KILLS`, `TANDEM_FLEET_STALE` and `TANDEM_FLEET_RESTARTS` say how often, for a long run.

use super::*;

/// Needs of two conversations, from two lanes for each partner.
const A_LOAD: usize = 80;

fn signal(name: &str, server: &Server) {
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Load on a fleet, for one round.
struct Load {
    history: History,
    all: Vec<Conversation>,
    /// Needs that are sent in all.
    wanted: usize,
    lanes: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Nothing is sent before [`Load::goes_on`].
    async fn prepare(fleet: &Fleet) -> Self {
        let all = conversations(fleet.node(fleet.other().await), 2).await;
        Self { history: History::default(), all, wanted: 0, lanes: Vec::new() }
    }

    /// May be called twice: a partner has room for so many needs.
    fn goes_on(&mut self, fleet: &Fleet) {
        let round = format!("round {}", self.wanted / A_LOAD);
        self.lanes.extend(self.history.send_anywhere(&self.all, &round, &fleet.origins));
        self.wanted += A_LOAD;
    }

    /// Waits for more answers. Returns how long that took: on a busy machine it says little about the promise.
    async fn answers(&self, more: usize) -> Duration {
        let (begun, wanted) = (Instant::now(), (self.history.count() + more).min(self.wanted));
        eventually("more is answered", || async { (self.history.count() >= wanted).then_some(()) }).await;
        begun.elapsed()
    }

    /// Everything is answered, and the database has it.
    async fn ends(self, fleet: &Fleet) {
        for lane in self.lanes {
            in_time("every need is answered", lane).await.expect("a lane does not panic");
        }
        assert_eq!(self.history.count(), self.wanted, "each of them");
        let server = fleet.node(fleet.owner().await);
        assert_eq!(self.history.faults(server, &self.all).await, [""; 0]);
    }
}

fn told(what: &str, mut gaps: Vec<Duration>) {
    gaps.sort();
    let middle = gaps[gaps.len() / 2];
    println!("{what}: {} times, answers after {middle:?}, at most {:?}", gaps.len(), gaps.last().unwrap());
}

#[tokio::test]
async fn owners_that_are_killed_again_and_again_lose_nothing_and_others_take_over() {
    let Some(shared) = Postgres::shared() else { return };
    let mut fleet = Fleet::start(&shared.database(), "").await;
    let (mut gaps, times) = (Vec::new(), times(2, "TANDEM_FLEET_KILLS"));
    while gaps.len() < times {
        let mut load = Load::prepare(&fleet).await;
        for _ in 0..2 {
            let owner = fleet.owner().await;
            load.goes_on(&fleet);
            load.answers(8).await;
            let killed = fleet.take(owner);
            let origin = killed.origin.clone();
            let setup = killed.kill();
            gaps.push(load.answers(1).await);
            fleet.origins.remove(&origin);
            fleet.begin(owner, setup).await;
        }
        load.ends(&fleet).await;
    }
    told("an owner was killed", gaps);
}

/// An owner that stands still for longer than its lease, while another one takes over. Returns what the checker finds.
async fn stale_owner(address: &str, debug: &str, times: usize) -> Vec<String> {
    let mut fleet = Fleet::start(address, debug).await;
    let (mut gaps, mut faults) = (Vec::new(), Vec::new());
    while gaps.len() < times {
        let mut load = Load::prepare(&fleet).await;
        let owner = fleet.owner().await;
        load.goes_on(&fleet);
        load.answers(8).await;
        let mut stale = fleet.take(owner);
        signal("STOP", &stale);
        let stood_still = Instant::now();
        let asked = tokio::spawn(state_or_none(state_of(&load.all[0], &stale)));
        fleet.owner().await;
        load.answers(1).await;
        gaps.push(stood_still.elapsed());
        signal("CONT", &stale);
        if !debug.is_empty() {
            // It believes that it still owns the database.
            let is_ready = || async { (fleet.status(&stale, "/ready").await? == "ready").then_some(()) };
            eventually("the stale owner goes on", is_ready).await;
        }
        load.goes_on(&fleet);
        let origin = stale.origin.clone();
        let setup = if debug.is_empty() {
            let code = in_time("the stale owner ends", stale.ended()).await.code();
            let logs = stale.logs();
            assert_eq!(code, Some(70), "{logs}");
            let last = last_words(&logs);
            assert!(
                last.contains("another node has taken the database over") && last.contains("it stands by"),
                "{logs}"
            );
            // What was in its memory is old.
            let answer = in_time("the connection ends", asked).await.expect("it does not panic");
            assert!(answer.is_none_or(|status| status == 503), "a stale owner answered {answer:?}");
            stale.setup()
        } else {
            load.answers(A_LOAD).await;
            stale.kill()
        };
        fleet.origins.remove(&origin);
        fleet.begin(owner, setup).await;
        if debug.is_empty() {
            load.ends(&fleet).await;
        } else {
            for lane in load.lanes {
                in_time("a lane ends", lane).await.expect("a lane does not panic");
            }
            // From the database, not from memory.
            let owner = fleet.owner().await;
            drop(fleet.take(owner).kill());
            let owner = fleet.owner().await;
            faults.extend(load.history.faults(fleet.node(owner), &load.all).await);
        }
    }
    told("an owner stood still", gaps);
    faults
}

fn state_of(both: &Conversation, server: &Server) -> crate::harness::Request {
    let anna = both.anna.back_at(server);
    anna.request(reqwest::Method::GET, &anna.path("/state"))
}

async fn state_or_none(request: crate::harness::Request) -> Option<u16> {
    request.attempt().await.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn an_owner_that_stood_still_is_fenced_and_answers_nothing_old() {
    let Some(shared) = Postgres::shared() else { return };
    stale_owner(&shared.database(), "", times(1, "TANDEM_FLEET_STALE")).await;
}

/// The same without the fence: the checker must notice.
#[tokio::test]
async fn the_checker_notices_a_fleet_without_a_fence() {
    let Some(shared) = Postgres::shared() else { return };
    let faults = stale_owner(&shared.database(), "unfenced", 1).await;
    assert!(!faults.is_empty());
}

#[tokio::test]
async fn a_fleet_goes_on_when_its_database_has_restarted() {
    let Some(mut postgres) = own_server().await else { return };
    let fleet = Fleet::start(&postgres.database(), "").await;
    let (mut gaps, times) = (Vec::new(), times(1, "TANDEM_FLEET_RESTARTS"));
    while gaps.len() < times {
        let mut load = Load::prepare(&fleet).await;
        load.goes_on(&fleet);
        load.answers(8).await;
        postgres = tokio::task::spawn_blocking(move || {
            postgres.crash();
            postgres
        })
        .await
        .expect("it stops");
        if gaps.is_empty() {
            // Longer than the lease: no node answers, and each says so.
            for node in 0..3 {
                let anna = load.all[0].anna.back_at(fleet.node(node));
                let path = anna.path("/state");
                eventually("a node without a lease says so", || async {
                    let answer = anna.request(reqwest::Method::GET, &path).attempt().await.ok()?;
                    (answer.status == 503 && answer.header("retry-after").is_some()).then_some(())
                })
                .await;
                assert_eq!(fleet.status(fleet.node(node), "/health").await.as_deref(), Some("ok"));
            }
        }
        postgres = tokio::task::spawn_blocking(move || {
            postgres.start_again();
            postgres
        })
        .await
        .expect("it starts");
        gaps.push(load.answers(1).await);
        load.ends(&fleet).await;
    }
    told("the database was restarted", gaps);
    drop(fleet);
    drop(postgres);
}

#[tokio::test]
async fn nodes_are_restarted_one_after_the_other_without_a_lost_answer() {
    let Some(shared) = Postgres::shared() else { return };
    let mut fleet = Fleet::start(&shared.database(), "").await;
    let mut gaps = Vec::new();
    for node in 0..3 {
        let mut load = Load::prepare(&fleet).await;
        load.goes_on(&fleet);
        load.answers(8).await;
        // As a load balancer does before an upgrade, or soon after.
        let stopping = fleet.take(node);
        fleet.origins.remove(&stopping.origin);
        let (stopped, gap) = tokio::join!(stopping.stop(), load.answers(8));
        gaps.push(gap);
        fleet.begin(node, stopped).await;
        fleet.owner().await;
        println!("requests whose connection ended without an answer: {}", load.history.failed());
        load.ends(&fleet).await;
    }
    told("a node was restarted", gaps);
}
