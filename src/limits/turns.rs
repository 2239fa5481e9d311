//! Whose request a worker begins next. A worker takes up what is ready in the order of arrival: a user with 256
//! connections would be ahead of everybody else with 256 requests. So requests are begun in rounds: a few in a round,
//! and of each user fewer. The others begin in the next round, by turns of their users, after the worker has looked for
//! what else has come.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
};

use tokio::sync::oneshot;

/// Requests that a worker begins in one round. A round of them takes about a millisecond.
const IN_A_ROUND: u32 = 16;
/// Of one user.
const OF_ONE: u32 = 4;

thread_local! {
    static WORKER: RefCell<Rounds> = RefCell::default();
}

#[derive(Default)]
struct Rounds {
    begun: u32,
    /// In this round, by user.
    begun_by: HashMap<u64, u32>,
    waiting: HashMap<u64, VecDeque<oneshot::Sender<()>>>,
    /// Users of whom a request waits, the next first. Each is here once.
    turns: VecDeque<u64>,
    /// Whether somebody sees to the next round.
    is_driven: bool,
}

/// Waits for the turn of a user's request on this worker.
pub(super) async fn turn(user: u64) {
    let turn = WORKER.with_borrow_mut(|rounds| {
        if !std::mem::replace(&mut rounds.is_driven, true) {
            actix_web::rt::spawn(drive());
        }
        rounds.begin(user)
    });
    if let Some(turn) = turn {
        // It is dropped only with the worker.
        let _ = turn.await;
    }
}

async fn drive() {
    loop {
        // Comes back when all that was ready has been polled, and new arrivals have been looked for.
        tokio::task::yield_now().await;
        if WORKER.with_borrow_mut(Rounds::next) {
            break;
        }
    }
}

impl Rounds {
    fn begin(&mut self, user: u64) -> Option<oneshot::Receiver<()>> {
        let begun_by = self.begun_by.entry(user).or_default();
        if self.begun < IN_A_ROUND && *begun_by < OF_ONE && !self.waiting.contains_key(&user) {
            *begun_by += 1;
            self.begun += 1;
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

    /// Begins a round. True if there is nothing to see to any more.
    fn next(&mut self) -> bool {
        let was_idle = self.begun == 0;
        self.begun = 0;
        self.begun_by.clear();
        // Who has had all of a round waits at the end of the line for the next.
        for _ in 0..self.turns.len() {
            let Some(user) = self.turns.pop_front() else { break };
            let share = OF_ONE.min(IN_A_ROUND - self.begun);
            let Some(waiting) = self.waiting.get_mut(&user) else { continue };
            let begun = tell_some(waiting, share);
            if begun > 0 {
                self.begun += begun;
                self.begun_by.insert(user, begun);
            }
            if waiting.is_empty() {
                self.waiting.remove(&user);
            } else {
                self.turns.push_back(user);
            }
            if self.begun == IN_A_ROUND {
                break;
            }
        }
        self.is_driven = !(was_idle && self.begun == 0 && self.turns.is_empty());
        !self.is_driven
    }
}

/// Those that nobody waits for any more do not count.
fn tell_some(waiting: &mut VecDeque<oneshot::Sender<()>>, most: u32) -> u32 {
    let mut told = 0;
    while told < most
        && let Some(next) = waiting.pop_front()
    {
        told += u32::from(next.send(()).is_ok());
    }
    told
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    /// The order in which requests of these users begin, all ready at once.
    async fn order(users: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let order = Rc::new(RefCell::new(Vec::new()));
        let asked = users.into_iter().map(|user| {
            let order = order.clone();
            actix_web::rt::spawn(async move {
                turn(user).await;
                order.borrow_mut().push(user);
            })
        });
        for asked in asked.collect::<Vec<_>>() {
            asked.await.unwrap();
        }
        order.take()
    }

    #[actix_web::test]
    async fn a_user_with_many_requests_begins_few_in_a_round() {
        let order = order([1; 256].into_iter().chain([2])).await;
        let place = order.iter().position(|user| *user == 2).unwrap();
        assert!(place <= 8, "the other user comes in place {place} of {}", order.len());
        assert_eq!(order.len(), 257);
        // The worker has nothing to see to any more.
        tokio::task::yield_now().await;
        while WORKER.with_borrow(|rounds| rounds.is_driven) {
            tokio::task::yield_now().await;
        }
        WORKER.with_borrow(|rounds| assert!(rounds.waiting.is_empty() && rounds.turns.is_empty()));
    }

    #[test]
    fn many_users_begin_by_turns() {
        let mut rounds = Rounds::default();
        let mut turns: Vec<_> = (0..50).flat_map(|user| [user; 20]).filter_map(|user| rounds.begin(user)).collect();
        let mut last = rounds.begin(99).unwrap();
        let until_all_have_had_one = 51 * OF_ONE / IN_A_ROUND + 1;
        let begun = (0..until_all_have_had_one).find(|_| {
            assert!(!rounds.next() && rounds.begun <= IN_A_ROUND);
            last.try_recv().is_ok()
        });
        assert!(begun.is_some(), "not within {until_all_have_had_one} rounds");
        while !rounds.next() {}
        assert!(turns.iter_mut().all(|turn| turn.try_recv().is_ok()));
    }

    #[actix_web::test]
    async fn what_has_gone_away_takes_no_turn() {
        let crowd: Vec<_> = (0..64).map(|_| actix_web::rt::spawn(turn(1))).collect();
        tokio::task::yield_now().await;
        crowd.iter().for_each(|request| request.abort());
        let after = order([1, 2]).await;
        assert_eq!(after.len(), 2);
    }
}
