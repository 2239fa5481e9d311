//! The line of requests before the node: who runs, who waits, and whose turn is next.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::LimitSettings;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// The node has as much to do as it can.
    Node,
    /// The user asks for too much at a time.
    User,
}

/// How many may run and wait.
pub(super) struct Bounds {
    running: usize,
    waiting: usize,
    running_of_one: usize,
    waiting_of_one: usize,
}

impl From<&LimitSettings> for Bounds {
    fn from(config: &LimitSettings) -> Self {
        Self {
            running: config.requests,
            waiting: config.requests_waiting,
            running_of_one: config.requests_per_user,
            waiting_of_one: config.requests_per_user_waiting,
        }
    }
}

pub(super) struct Line {
    bounds: Bounds,
    running: usize,
    waiting: usize,
    users: HashMap<u64, User>,
    /// Users of whom a request waits and may run, the next first. Each is here once.
    turns: VecDeque<u64>,
    last: u64,
}

#[derive(Default)]
struct User {
    running: usize,
    /// Numbered, so that one that has gone away can be taken out.
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
    in_turn: bool,
}

/// What becomes of a request that comes.
pub(super) enum Place {
    Runs,
    /// Its number, and what tells that it runs. It is dropped if another user needs the place more.
    Waits(u64, oneshot::Receiver<()>),
    Refused(Overload),
}

impl Line {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, running: 0, waiting: 0, users: HashMap::new(), turns: VecDeque::new(), last: 0 }
    }

    /// Requests that run, and that wait.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.running, self.waiting)
    }

    pub(super) fn join(&mut self, user: u64) -> Place {
        let own = self.users.entry(user).or_default();
        let may_run = own.running < self.bounds.running_of_one;
        if may_run && own.waiting.is_empty() && self.running < self.bounds.running && self.turns.is_empty() {
            own.running += 1;
            self.running += 1;
            return Place::Runs;
        }
        let waiting = own.waiting.len();
        let overload = match () {
            () if waiting >= self.bounds.waiting_of_one => Some(Overload::User),
            () if self.waiting < self.bounds.waiting || self.displace_for(waiting) => None,
            () => Some(if may_run { Overload::Node } else { Overload::User }),
        };
        if let Some(overload) = overload {
            self.tidy(user);
            return Place::Refused(overload);
        }
        self.last += 1;
        let (tell, turn) = oneshot::channel();
        let own = self.users.entry(user).or_default();
        own.waiting.push_back((self.last, tell));
        self.waiting += 1;
        let number = self.last;
        self.take_turns(user);
        self.start_next();
        Place::Waits(number, turn)
    }

    /// Takes the newest request out of the line of the user with the most, if that are more than another user would
    /// have with one more.
    fn displace_for(&mut self, waiting: usize) -> bool {
        let Some((&user, longest)) = self.users.iter_mut().max_by_key(|(_, user)| user.waiting.len()) else {
            return false;
        };
        if longest.waiting.len() <= waiting + 1 {
            return false;
        }
        longest.waiting.pop_back();
        self.waiting -= 1;
        self.tidy(user);
        true
    }

    /// A request does not wait any more: nobody wants its answer, or it has waited for too long. False if it did not
    /// wait: it runs, or was displaced.
    pub(super) fn give_up(&mut self, user: u64, number: u64) -> bool {
        let Some(own) = self.users.get_mut(&user) else { return false };
        let Some(place) = own.waiting.iter().position(|(waiting, _)| *waiting == number) else { return false };
        own.waiting.remove(place);
        self.waiting -= 1;
        self.tidy(user);
        true
    }

    /// Whether a request of this user would be refused at present.
    pub(super) fn is_full_for(&self, user: u64) -> bool {
        let waiting = self.users.get(&user).map_or(0, |own| own.waiting.len());
        waiting >= self.bounds.waiting_of_one || self.waiting >= self.bounds.waiting
    }

    /// A request is done.
    pub(super) fn leave(&mut self, user: u64) {
        self.running -= 1;
        if let Some(own) = self.users.get_mut(&user) {
            own.running -= 1;
        }
        self.take_turns(user);
        self.tidy(user);
        self.start_next();
    }

    pub(super) fn overload_of(&self, user: u64) -> Overload {
        let at_their_share = self.users.get(&user).is_some_and(|own| own.running >= self.bounds.running_of_one);
        if at_their_share { Overload::User } else { Overload::Node }
    }

    fn take_turns(&mut self, user: u64) {
        let Some(own) = self.users.get_mut(&user) else { return };
        if !own.waiting.is_empty() && !own.in_turn && own.running < self.bounds.running_of_one {
            own.in_turn = true;
            self.turns.push_back(user);
        }
    }

    /// Lets those begin whose turn it is.
    fn start_next(&mut self) {
        while self.running < self.bounds.running
            && let Some(user) = self.turns.pop_front()
        {
            let Some(own) = self.users.get_mut(&user) else { continue };
            own.in_turn = false;
            while let Some((_, waiting)) = own.waiting.pop_front() {
                self.waiting -= 1;
                if waiting.send(()).is_ok() {
                    own.running += 1;
                    self.running += 1;
                    break;
                }
            }
            self.take_turns(user);
            self.tidy(user);
        }
    }

    /// Forgets a user of whom there is nothing to know.
    fn tidy(&mut self, user: u64) {
        if self.users.get(&user).is_some_and(|own| own.running == 0 && own.waiting.is_empty() && !own.in_turn) {
            self.users.remove(&user);
        }
    }

    #[cfg(test)]
    pub(super) fn is_forgotten(&self) -> bool {
        self.users.is_empty() && self.turns.is_empty()
    }
}
