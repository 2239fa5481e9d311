//! What was sent and what was answered, and a checker that compares it with what is there afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::harness::{Answer, Conversation, Member, Request, Server, items, text};

/// A node that does not answer for this long is left for another one.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where the nodes of a fleet are at the moment. Each request goes to the next one.
#[derive(Clone, Default)]
pub struct Origins(Arc<Mutex<(usize, Vec<String>)>>);

impl Origins {
    pub fn add(&self, origin: &str) {
        self.0.lock().unwrap().1.push(origin.to_owned());
    }

    pub fn remove(&self, origin: &str) {
        self.0.lock().unwrap().1.retain(|known| known != origin);
    }

    fn next(&self) -> String {
        let (turn, origins) = &mut *self.0.lock().unwrap();
        *turn += 1;
        origins[*turn % origins.len()].clone()
    }
}

/// Needs of one partner: a session takes 50 from each.
const MOST: usize = 40;

/// A need that was answered with 201.
#[derive(Clone, Debug)]
struct Answered {
    session: String,
    user: String,
    /// One request after the other: round and number.
    lane: String,
    need: String,
    /// Of the session, when it was answered. The answer to a repetition has the `seq` of that moment.
    seq: u64,
    repeated: bool,
}

/// Clients that add needs, each the next one when the last one is answered, and what they were told.
#[derive(Clone, Default)]
pub struct History {
    answered: Arc<Mutex<Vec<Answered>>>,
    stop: Arc<AtomicBool>,
    /// Requests whose connection ended without an answer.
    failed: Arc<AtomicUsize>,
}

/// `None` if it takes too long.
async fn attempt(request: Request, may_hang: bool) -> Option<Result<Answer, reqwest::Error>> {
    let patience = if may_hang { PATIENCE } else { Duration::MAX };
    tokio::time::timeout(patience, request.attempt()).await.ok()
}

impl History {
    /// Begins to send, two lanes for each partner. A lane ends when it has sent all, when it is told to stop, or when
    /// nobody answers at `origin` any more and `goes_on` is false.
    pub fn send(&self, all: &[Conversation], round: &str, goes_on: bool) -> Vec<tokio::task::JoinHandle<()>> {
        let members = all.iter().flat_map(Conversation::members).cloned();
        members
            .flat_map(|member| (0..2).map(move |lane| (member.clone(), lane)))
            .map(|(member, lane)| {
                let (history, round) = (self.clone(), round.to_owned());
                tokio::spawn(async move { history.lane(member, lane, &round, goes_on, None).await })
            })
            .collect()
    }

    /// As [`History::send`], with each request to another node, until all are answered.
    pub fn send_anywhere(
        &self,
        all: &[Conversation],
        round: &str,
        nodes: &Origins,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let members = all.iter().flat_map(Conversation::members).cloned();
        members
            .flat_map(|member| (0..2).map(move |lane| (member.clone(), lane)))
            .map(|(member, lane)| {
                let (history, round, nodes) = (self.clone(), round.to_owned(), nodes.clone());
                tokio::spawn(async move { history.lane(member, lane, &round, true, Some(nodes)).await })
            })
            .collect()
    }

    async fn lane(&self, member: Member, lane: usize, round: &str, goes_on: bool, nodes: Option<Origins>) {
        for number in 0..MOST / 4 {
            let need = format!("{round} {number} of lane {lane} of {}", member.id);
            // The same key again until it is answered: it must not count twice.
            let key = need.replace(' ', "-");
            let mut repeated = false;
            loop {
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                let body = json!({ "need": need, "category": "SAFETY" });
                let there = nodes.as_ref().map_or_else(|| member.clone(), |nodes| member.moved_to(&nodes.next()));
                let request = there.request(reqwest::Method::POST, &member.path("/needs"));
                match attempt(request.header("idempotency-key", &key).json(&body), nodes.is_some()).await {
                    Some(Ok(answer)) if answer.status == 201 => {
                        let seq = answer.done()["seq"].as_u64().expect("checked");
                        let (session, user) = (member.session.clone(), member.id.clone());
                        let lane = format!("{round} {lane}");
                        self.answered.lock().unwrap().push(Answered { session, user, lane, need, seq, repeated });
                        break;
                    }
                    // A node that stood still finds the request late, and has not done it.
                    Some(Ok(answer)) if nodes.is_some() && answer.status == 408 => {}
                    Some(Ok(answer)) => assert_eq!(answer.status, 503, "{}", answer.body),
                    None => {}
                    Some(Err(_)) if goes_on => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
                    Some(Err(_)) => return,
                }
                repeated = true;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // So that there is load for as long as something is disturbed.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Requests whose connection ended without an answer.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    pub fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// What is wrong with what is there now: lost, doubled, or in another order than it was answered.
    pub async fn faults(&self, server: &Server, all: &[Conversation]) -> Vec<String> {
        let mut faults = Vec::new();
        for member in all.iter().flat_map(Conversation::members) {
            let member = member.back_at(server);
            let answer = member.read("/needs").await;
            if answer.status != 200 {
                faults.push(format!("the session of {} cannot be read: {}", member.id, answer.body));
                continue;
            }
            let there: Vec<String> = items(&answer.ok()["needs"]).iter().map(|need| text(&need["need"])).collect();
            let once: BTreeSet<_> = there.iter().collect();
            if once.len() != there.len() {
                faults.push(format!("doubled: {} of {} needs of {}", there.len() - once.len(), there.len(), member.id));
            }
            let head = member.seq().await;
            let answered = self.answered.lock().unwrap().clone();
            let of_member = answered.iter().filter(|need| need.user == member.id);
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            for Answered { need, seq, lane, .. } in of_member {
                if !there.contains(need) {
                    faults.push(format!("lost: {need}, answered with seq {seq}"));
                }
                if *seq > head {
                    faults.push(format!("lost: seq {seq} was answered, the session is at {head}"));
                }
                if last.insert(lane.clone(), *seq).is_some_and(|before| before >= *seq) {
                    faults.push(format!("out of order: {need} has seq {seq}"));
                }
            }
        }
        let answered = self.answered.lock().unwrap();
        let mut seqs = BTreeMap::new();
        for Answered { session, need, seq, .. } in answered.iter().filter(|need| !need.repeated) {
            if let Some(other) = seqs.insert((session, seq), need) {
                faults.push(format!("seq {seq} of one session was given to {other} and to {need}"));
            }
        }
        faults
    }
}
