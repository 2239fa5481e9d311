//! Whose request is worked on next. So many are worked on at a time; those that wait take turns by user, not by arrival, so that a user with many
//! connections waits for themselves. What cannot be worked on soon is refused at once.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Config;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// The node has as much to do as it can.
    Node,
    /// The user asks for too much at a time.
    User,
}

pub struct Admission {
    most: usize,
    most_waiting: usize,
    most_of_one: usize,
    most_waiting_of_one: usize,
    patience: Duration,
    hasher: RandomState,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    running: usize,
    waiting: usize,
    users: HashMap<u64, User>,
    /// Users of whom a request waits and may run, the next first. Each is here once.
    turns: VecDeque<u64>,
}

#[derive(Default)]
struct User {
    running: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
    in_turn: bool,
}

/// The right to work on one request; given back by dropping it.
pub struct Slot {
    admission: Arc<Admission>,
    user: u64,
}

impl Admission {
    pub fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            most: config.requests,
            most_waiting: config.requests_waiting,
            most_of_one: config.requests_per_user,
            most_waiting_of_one: config.requests_per_user_waiting,
            patience: config.request_patience,
            hasher: RandomState::new(),
            line: Mutex::default(),
        })
    }

    /// Requests that are worked on, and that wait.
    pub fn load(&self) -> (usize, usize) {
        let line = self.line.lock();
        (line.running, line.waiting)
    }

    /// Waits for the turn of a user's request.
    ///
    /// # Errors
    /// At once if too many wait, or later if the wait is too long.
    pub async fn enter(self: &Arc<Self>, user: &str) -> Result<Slot, Overload> {
        let outcome = self.wait(self.hasher.hash_one(user)).await;
        if let Err(overload) = outcome {
            let reason = if overload == Overload::Node { "node" } else { "user" };
            metrics::counter!("tandem_http_requests_shed_total", "reason" => reason).increment(1);
            return Err(overload);
        }
        outcome
    }

    async fn wait(self: &Arc<Self>, user: u64) -> Result<Slot, Overload> {
        let slot = || Slot { admission: self.clone(), user };
        let turn = {
            let line = &mut *self.line.lock();
            let own = line.users.entry(user).or_default();
            let may_run = own.running < self.most_of_one;
            if may_run && own.waiting.is_empty() && line.running < self.most && line.turns.is_empty() {
                own.running += 1;
                line.running += 1;
                return Ok(slot());
            }
            let overload = match () {
                () if own.waiting.len() >= self.most_waiting_of_one => Some(Overload::User),
                () if line.waiting >= self.most_waiting => Some(if may_run { Overload::Node } else { Overload::User }),
                () => None,
            };
            if let Some(overload) = overload {
                line.tidy(user);
                return Err(overload);
            }
            let (tell, turn) = oneshot::channel();
            own.waiting.push_back(tell);
            line.waiting += 1;
            if may_run && !own.in_turn {
                own.in_turn = true;
                line.turns.push_back(user);
            }
            self.start_next(line);
            turn
        };
        match tokio::time::timeout(self.patience, turn).await {
            Ok(Ok(())) => Ok(slot()),
            // Its place in the line is passed over when its turn comes.
            _ => Err(self.overload_of(user)),
        }
    }

    fn overload_of(&self, user: u64) -> Overload {
        let line = self.line.lock();
        let at_their_share = line.users.get(&user).is_some_and(|own| own.running >= self.most_of_one);
        if at_their_share { Overload::User } else { Overload::Node }
    }

    /// Lets those begin whose turn it is.
    fn start_next(&self, line: &mut Line) {
        while line.running < self.most
            && let Some(user) = line.turns.pop_front()
        {
            let Some(own) = line.users.get_mut(&user) else { continue };
            own.in_turn = false;
            while let Some(waiting) = own.waiting.pop_front() {
                line.waiting -= 1;
                if waiting.send(()).is_ok() {
                    own.running += 1;
                    line.running += 1;
                    break;
                }
            }
            if !own.waiting.is_empty() && own.running < self.most_of_one {
                own.in_turn = true;
                line.turns.push_back(user);
            }
            line.tidy(user);
        }
    }

    fn leave(&self, user: u64) {
        let line = &mut *self.line.lock();
        line.running -= 1;
        if let Some(own) = line.users.get_mut(&user) {
            own.running -= 1;
            if !own.waiting.is_empty() && !own.in_turn {
                own.in_turn = true;
                line.turns.push_back(user);
            }
        }
        line.tidy(user);
        self.start_next(line);
    }
}

impl Line {
    /// Forgets a user of whom there is nothing to know.
    fn tidy(&mut self, user: u64) {
        if self.users.get(&user).is_some_and(|own| own.running == 0 && own.waiting.is_empty() && !own.in_turn) {
            self.users.remove(&user);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.leave(self.user);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    fn admission(requests: usize, per_user: usize, requests_waiting: usize) -> Arc<Admission> {
        Admission::new(&Config {
            requests,
            requests_waiting,
            requests_per_user: per_user,
            requests_per_user_waiting: 6,
            request_patience: Duration::from_millis(200),
            ..Config::default()
        })
    }

    #[actix_web::test]
    async fn a_user_with_many_requests_waits_for_themselves() {
        let admission = admission(3, 2, 10);
        let first = [admission.enter("flood").await.unwrap(), admission.enter("flood").await.unwrap()];
        let order = Rc::new(RefCell::new(Vec::new()));
        let ask = |user: &'static str| {
            let (admission, order) = (admission.clone(), order.clone());
            actix_web::rt::spawn(async move {
                let slot = admission.enter(user).await.unwrap();
                order.borrow_mut().push(user);
                tokio::task::yield_now().await;
                drop(slot);
            })
        };
        let floods: Vec<_> = (0..6).map(|_| ask("flood")).collect();
        tokio::task::yield_now().await;
        for other in [ask("one"), ask("two"), ask("three")] {
            other.await.unwrap();
        }
        assert_eq!(*order.borrow(), ["one", "two", "three"], "the share of the first is used up");
        drop(first);
        for flood in floods {
            flood.await.unwrap();
        }
        assert_eq!((order.borrow().len(), admission.load()), (9, (0, 0)));
        assert!(admission.line.lock().users.is_empty());
    }

    #[actix_web::test]
    async fn users_take_turns() {
        let admission = admission(1, 1, 10);
        let running = admission.enter("first").await.unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut asking = Vec::new();
        for user in ["a", "a", "a", "b", "c"] {
            let (admission, order) = (admission.clone(), order.clone());
            asking.push(actix_web::rt::spawn(async move {
                let _slot = admission.enter(user).await.unwrap();
                order.borrow_mut().push(user);
            }));
            tokio::task::yield_now().await;
        }
        // The only slot is taken: none has more than one.
        drop(running);
        for asked in asking {
            asked.await.unwrap();
        }
        assert_eq!(*order.borrow(), ["a", "b", "c", "a", "a"]);
    }

    #[actix_web::test]
    async fn what_would_wait_too_long_is_refused() {
        let admission = admission(1, 1, 1);
        let _running = admission.enter("one").await.unwrap();
        let waiting = {
            let admission = admission.clone();
            actix_web::rt::spawn(async move { admission.enter("two").await.err() })
        };
        tokio::task::yield_now().await;
        assert_eq!(admission.enter("three").await.err(), Some(Overload::Node), "as many wait as may");
        assert_eq!(admission.enter("one").await.err(), Some(Overload::User));
        assert_eq!(waiting.await.unwrap(), Some(Overload::Node), "after its patience");
    }
}
