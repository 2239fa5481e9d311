//! The order in which a worker starts admitted requests. A worker polls what is ready in the order of arrival, so a
//! user with 256 connections would be ahead of all others with 256 requests. So requests start in rounds. A round
//! starts a few requests, and fewer of each user. Between two rounds the worker polls its sockets for new arrivals. The
//! users whose requests wait take turns.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
};

use tokio::sync::oneshot;

/// Requests that a worker starts in one round. They take about a millisecond.
const PER_ROUND: u32 = 16;
/// Requests of one user in one round.
const PER_USER: u32 = 4;

thread_local! {
    static WORKER: RefCell<Rounds> = RefCell::default();
}

#[derive(Default)]
struct Rounds {
    /// Requests started in this round.
    started: u32,
    /// The same, by user.
    started_by: HashMap<u64, u32>,
    waiting: HashMap<u64, VecDeque<oneshot::Sender<()>>>,
    /// Users with a waiting request, each once. The user at the front is next.
    turns: VecDeque<u64>,
    /// Whether a task starts the next round.
    is_driven: bool,
}

/// Waits for the turn of a user's request on this worker.
pub(super) async fn wait_for_turn(user: u64) {
    let turn = WORKER.with_borrow_mut(|rounds| {
        if !std::mem::replace(&mut rounds.is_driven, true) {
            actix_web::rt::spawn(drive());
        }
        rounds.start(user)
    });
    if let Some(turn) = turn {
        // The sender is dropped only with the worker.
        let _ = turn.await;
    }
}

async fn drive() {
    loop {
        // Returns after the worker has polled all ready tasks and its sockets.
        tokio::task::yield_now().await;
        if WORKER.with_borrow_mut(Rounds::start_round) {
            break;
        }
    }
}

impl Rounds {
    /// Starts a request in this round. Otherwise returns a receiver that fires when the request may start.
    fn start(&mut self, user: u64) -> Option<oneshot::Receiver<()>> {
        let started_by = self.started_by.entry(user).or_default();
        if self.started < PER_ROUND && *started_by < PER_USER && !self.waiting.contains_key(&user) {
            *started_by += 1;
            self.started += 1;
            return None;
        }
        let (tell, turn) = oneshot::channel();
        self.waiting
            .entry(user)
            .or_insert_with(|| {
                self.turns.push_back(user);
                VecDeque::new()
            })
            .push_back(tell);
        Some(turn)
    }

    /// Starts the requests of the next round. Returns true if no further round is needed.
    fn start_round(&mut self) -> bool {
        let was_idle = self.started == 0;
        self.started = 0;
        self.started_by.clear();
        // A user who has had a share of this round goes to the end of the turns.
        for _ in 0..self.turns.len() {
            let Some(user) = self.turns.pop_front() else { break };
            let share = PER_USER.min(PER_ROUND - self.started);
            let Some(waiting) = self.waiting.get_mut(&user) else { continue };
            let started = start_some(waiting, share);
            if started > 0 {
                self.started += started;
                self.started_by.insert(user, started);
            }
            if waiting.is_empty() {
                self.waiting.remove(&user);
            } else {
                self.turns.push_back(user);
            }
            if self.started == PER_ROUND {
                break;
            }
        }
        self.is_driven = !(was_idle && self.started == 0 && self.turns.is_empty());
        !self.is_driven
    }
}

/// Starts up to `most` of the waiting requests. Requests whose client has gone away do not count.
fn start_some(waiting: &mut VecDeque<oneshot::Sender<()>>, most: u32) -> u32 {
    let mut started = 0;
    while started < most
        && let Some(next) = waiting.pop_front()
    {
        started += u32::from(next.send(()).is_ok());
    }
    started
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    /// The order in which requests of these users start when all are ready at once.
    async fn order(users: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let order = Rc::new(RefCell::new(Vec::new()));
        let asked = users.into_iter().map(|user| {
            let order = order.clone();
            actix_web::rt::spawn(async move {
                wait_for_turn(user).await;
                order.borrow_mut().push(user);
            })
        });
        for asked in asked.collect::<Vec<_>>() {
            asked.await.unwrap();
        }
        order.take()
    }

    #[actix_web::test]
    async fn a_round_starts_few_requests_of_one_user() {
        let order = order([1; 256].into_iter().chain([2])).await;
        let place = order.iter().position(|user| *user == 2).unwrap();
        assert!(place <= 8, "the other user comes in place {place} of {}", order.len());
        assert_eq!(order.len(), 257);
        // Rounds end when no request waits.
        tokio::task::yield_now().await;
        while WORKER.with_borrow(|rounds| rounds.is_driven) {
            tokio::task::yield_now().await;
        }
        WORKER.with_borrow(|rounds| assert!(rounds.waiting.is_empty() && rounds.turns.is_empty()));
    }

    #[test]
    fn many_users_take_turns() {
        let mut rounds = Rounds::default();
        let mut turns: Vec<_> = (0..50).flat_map(|user| [user; 20]).filter_map(|user| rounds.start(user)).collect();
        let mut last = rounds.start(99).unwrap();
        let until_all_have_had_one = 51 * PER_USER / PER_ROUND + 1;
        let last_started = (0..until_all_have_had_one).find(|_| {
            assert!(!rounds.start_round() && rounds.started <= PER_ROUND);
            last.try_recv().is_ok()
        });
        assert!(last_started.is_some(), "not within {until_all_have_had_one} rounds");
        while !rounds.start_round() {}
        assert!(turns.iter_mut().all(|turn| turn.try_recv().is_ok()));
    }

    #[actix_web::test]
    async fn a_cancelled_request_takes_no_turn() {
        let crowd: Vec<_> = (0..64).map(|_| actix_web::rt::spawn(wait_for_turn(1))).collect();
        tokio::task::yield_now().await;
        crowd.iter().for_each(|request| request.abort());
        let after = order([1, 2]).await;
        assert_eq!(after.len(), 2);
    }
}
