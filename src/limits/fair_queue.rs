//! The queue of requests: which requests run, which wait, and which user's request runs next.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    LimitSettings,
    concurrency::ConcurrencyLimit,
    late_users::LateUsers,
    turns::{Turn, Turns},
};

/// A request that has run for longer waits for something else than the machine, such as a frozen session. Others then
/// run in its place, up to `limits.requests`.
pub(super) const STUCK_AFTER: Duration = Duration::from_millis(500);
/// Requests of one user that may run, unless the machine is busy with those of many users.
const FEWEST_OF_USER: usize = 4;
/// While more users than this have requests, or had some lately, none of them has more running.
const OTHERS: usize = 4;
/// Requests that may wait where the node runs as few as it can.
const FEWEST_WAITING: usize = 16;
/// The part of the running requests that one of few users may have.
const USERS_PART: usize = 16;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// The node runs and queues as many requests as it may.
    Node,
    /// The user runs and queues as many requests as one user may.
    User,
}

/// How many requests may run and wait.
pub(super) struct Bounds {
    running: usize,
    waiting: usize,
    running_per_user: usize,
    waiting_per_user: usize,
}

impl From<&LimitSettings> for Bounds {
    fn from(config: &LimitSettings) -> Self {
        Self {
            running: config.requests,
            waiting: config.requests_waiting,
            running_per_user: config.requests_per_user,
            waiting_per_user: config.requests_per_user_waiting,
        }
    }
}

pub(super) struct FairQueue {
    bounds: Bounds,
    pub(super) concurrency: ConcurrencyLimit,
    /// When each running request began, but for those that are stuck.
    running: BTreeMap<Run, Instant>,
    stuck: usize,
    last_run: u64,
    waiting: usize,
    users: HashMap<u64, User>,
    lately: LateUsers,
    turns: Turns,
    last_ticket: u64,
}

#[derive(Default)]
struct User {
    running: usize,
    /// Each request has a ticket, by which a client that goes away takes it out.
    waiting: VecDeque<(u64, oneshot::Sender<Run>)>,
    in_turn: bool,
}

/// The number of a running request, in the order in which they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run(u64);

/// What the queue does with an arriving request.
pub(super) enum JoinOutcome {
    /// The request runs at once.
    Running(Run),
    /// The request waits. It has a ticket, and the receiver tells when it runs. The sender is dropped if the request
    /// loses its place to another user.
    Waiting(u64, oneshot::Receiver<Run>),
    Refused(Overload),
}

impl FairQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            concurrency: ConcurrencyLimit::new(bounds.running),
            bounds,
            running: BTreeMap::new(),
            stuck: 0,
            last_run: 0,
            waiting: 0,
            users: HashMap::new(),
            lately: LateUsers::new(OTHERS),
            turns: Turns::default(),
            last_ticket: 0,
        }
    }

    /// The numbers of running and of waiting requests.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.running.len() + self.stuck, self.waiting)
    }

    /// How many requests may run at present, apart from those that are stuck.
    pub(super) fn limit(&self) -> usize {
        self.concurrency.get()
    }

    /// How many requests may wait at present.
    fn most_waiting(&self) -> usize {
        self.bounds.waiting.min(FEWEST_WAITING.max(self.limit()))
    }

    /// How many requests of one user may run at present. All that run share the machine, so the requests of a user who
    /// sends many make those of others slow.
    fn most_of_user(&self) -> usize {
        let is_busy = self.limit() < self.bounds.running;
        let most = match () {
            () if self.users.len() <= OTHERS && !self.lately.are_many() => {
                FEWEST_OF_USER.max(self.limit() / USERS_PART)
            }
            () if is_busy => 1,
            () => FEWEST_OF_USER,
        };
        self.bounds.running_per_user.min(most)
    }

    fn has_room(&mut self, now: Instant) -> bool {
        while let Some(oldest) = self.running.first_entry()
            && now.duration_since(*oldest.get()) >= STUCK_AFTER
        {
            oldest.remove();
            self.stuck += 1;
        }
        let running = self.running.len();
        running < self.limit() && running + self.stuck < self.bounds.running
    }

    fn begin(&mut self, now: Instant) -> Run {
        self.last_run += 1;
        self.running.insert(Run(self.last_run), now);
        Run(self.last_run)
    }

    pub(super) fn join(&mut self, user: u64) -> JoinOutcome {
        let now = Instant::now();
        self.lately.note(user, now);
        let (has_room, most) = (self.has_room(now) && self.turns.is_empty(), self.most_of_user());
        let own = self.users.entry(user).or_default();
        let may_run = own.running < most;
        if has_room && may_run && own.waiting.is_empty() {
            own.running += 1;
            return JoinOutcome::Running(self.begin(now));
        }
        if may_run {
            self.concurrency.reached();
        }
        let waiting = own.waiting.len();
        let overload = match () {
            () if waiting >= self.bounds.waiting_per_user => Some(Overload::User),
            () if self.waiting < self.most_waiting() || self.displace_for(waiting, now) => None,
            () => Some(if may_run { Overload::Node } else { Overload::User }),
        };
        if let Some(overload) = overload {
            self.forget_if_idle(user);
            return JoinOutcome::Refused(overload);
        }
        self.last_ticket += 1;
        let (start, turn) = oneshot::channel();
        let own = self.users.entry(user).or_default();
        own.waiting.push_back((self.last_ticket, start));
        self.waiting += 1;
        let ticket = self.last_ticket;
        self.queue_user(user, Turn::Newcomer);
        self.start_next();
        JoinOutcome::Waiting(ticket, turn)
    }

    /// Makes room for a user who has `waiting` requests in the queue: drops the newest request of the user with the
    /// most, or, if all have as few, the one that has waited for longest. Returns whether there is room.
    fn displace_for(&mut self, waiting: usize, now: Instant) -> bool {
        self.turns.note_full(now);
        let Some((&most, longest)) = self.users.iter_mut().max_by_key(|(_, user)| user.waiting.len()) else {
            return false;
        };
        if longest.waiting.len() > waiting + 1 {
            longest.waiting.pop_back();
            self.waiting -= 1;
            self.forget_if_idle(most);
            return true;
        }
        if waiting > 0 {
            return false;
        }
        while let Some(oldest) = self.turns.pop_oldest() {
            let Some(own) = self.users.get_mut(&oldest) else { continue };
            own.in_turn = false;
            let was_waiting = own.waiting.pop_front().is_some();
            self.waiting -= usize::from(was_waiting);
            self.queue_user(oldest, Turn::Another);
            self.forget_if_idle(oldest);
            if was_waiting {
                return true;
            }
        }
        false
    }

    /// Takes a waiting request out of the queue. Returns false if the request is not in it: it runs, or it has lost its
    /// place.
    pub(super) fn cancel(&mut self, user: u64, ticket: u64) -> bool {
        let Some(own) = self.users.get_mut(&user) else { return false };
        let Some(position) = own.waiting.iter().position(|(waiting, _)| *waiting == ticket) else { return false };
        own.waiting.remove(position);
        self.waiting -= 1;
        self.forget_if_idle(user);
        true
    }

    /// Whether another request of this user would be refused.
    pub(super) fn is_full_for(&self, user: u64) -> bool {
        let waiting = self.users.get(&user).map_or(0, |own| own.waiting.len());
        waiting >= self.bounds.waiting_per_user || self.waiting >= self.most_waiting()
    }

    /// A running request has ended.
    pub(super) fn finish(&mut self, user: u64, run: Run) {
        match self.running.remove(&run) {
            Some(began) => {
                let now = Instant::now();
                self.concurrency.record(now.duration_since(began), now);
            }
            None => self.stuck -= 1,
        }
        if let Some(own) = self.users.get_mut(&user) {
            own.running -= 1;
        }
        self.queue_user(user, Turn::Another);
        self.forget_if_idle(user);
        self.start_next();
    }

    /// Why a request of this user has to wait: the user's share is used up, or the node's.
    pub(super) fn overload_of(&self, user: u64) -> Overload {
        let has_full_share = self.users.get(&user).is_some_and(|own| own.running >= self.most_of_user());
        if has_full_share { Overload::User } else { Overload::Node }
    }

    /// Gives the user a turn, if a request of the user waits and may run.
    fn queue_user(&mut self, user: u64, turn: Turn) {
        let most = self.most_of_user();
        let Some(own) = self.users.get_mut(&user) else { return };
        if !own.waiting.is_empty() && !own.in_turn && own.running < most {
            own.in_turn = true;
            self.turns.push(user, turn, Instant::now());
        }
    }

    /// Starts waiting requests, one for each turn, while the node may run more.
    pub(super) fn start_next(&mut self) {
        let now = Instant::now();
        while self.has_room(now)
            && let Some(user) = self.turns.next(now)
        {
            let run = Run(self.last_run + 1);
            let Some(own) = self.users.get_mut(&user) else { continue };
            own.in_turn = false;
            while let Some((_, waiting)) = own.waiting.pop_front() {
                self.waiting -= 1;
                if waiting.send(run).is_ok() {
                    own.running += 1;
                    self.begin(now);
                    break;
                }
            }
            self.queue_user(user, Turn::Another);
            self.forget_if_idle(user);
        }
    }

    /// Forgets a user without requests.
    fn forget_if_idle(&mut self, user: u64) {
        if self.users.get(&user).is_some_and(|own| own.running == 0 && own.waiting.is_empty() && !own.in_turn) {
            self.users.remove(&user);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.turns.is_empty()
    }
}
