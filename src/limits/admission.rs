//! Admission of requests. The node runs a limited number of requests at a time. Waiting requests take turns by user,
//! not by arrival, so that a user with many connections delays only themselves. A full queue refuses those of the user
//! who has the most in it, and otherwise those that have waited for longest: while more arrive than can be served, the
//! newest are served first. A client that retries earlier than it was told to waits before it is refused again. It is
//! not admitted after the wait, because it would then be served late.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use super::fair_queue::Overload;
use super::{
    LimitSettings,
    fair_queue::{FairQueue, JoinOutcome, Run, STUCK_AFTER},
    rounds,
};

/// The `Retry-After` of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The number of remembered refusals above which old ones are removed.
const PRUNE_ABOVE: usize = 1_024;

pub struct Admission {
    patience: Duration,
    hasher: RandomState,
    queue: Mutex<FairQueue>,
    refused: Mutex<Refusals>,
}

/// When each user was last refused.
struct Refusals {
    at: HashMap<u64, Instant>,
    pruned: Instant,
}

/// The permission to run one request. Dropping it ends the request.
pub struct Slot {
    admission: Arc<Admission>,
    user: u64,
    run: Run,
}

/// A request in the queue. Dropping it takes the request out, or ends it if it runs already.
struct QueuedRequest<'a> {
    admission: &'a Admission,
    user: u64,
    ticket: u64,
    turn: oneshot::Receiver<Run>,
}

impl Admission {
    pub fn new(config: &LimitSettings) -> Arc<Self> {
        Arc::new(Self {
            patience: config.request_patience,
            hasher: RandomState::new(),
            queue: Mutex::new(FairQueue::new(config.into())),
            refused: Mutex::new(Refusals { at: HashMap::new(), pruned: Instant::now() }),
        })
    }

    /// The numbers of running and of waiting requests.
    pub fn load(&self) -> (usize, usize) {
        self.queue.lock().load()
    }

    /// How many requests may run at present.
    pub fn limit(&self) -> usize {
        self.queue.lock().limit()
    }

    /// Delays a client that retries too early, before anything is done for it, and refuses it then.
    ///
    /// # Errors
    /// The queue was full when the client retried too early.
    pub async fn refuse_early_retry(&self, user: &str) -> Result<(), Overload> {
        let user = self.hasher.hash_one(user);
        let refused_at = self.refused.lock().at.get(&user).copied();
        let Some(wait) = refused_at.and_then(|at| RETRY_AFTER.checked_sub(at.elapsed())) else { return Ok(()) };
        if !self.queue.lock().is_full_for(user) {
            return Ok(());
        }
        tokio::time::sleep(wait).await;
        let overload = self.queue.lock().overload_of(user);
        shed(overload);
        Err(overload)
    }

    /// Waits for the turn of a user's request.
    ///
    /// # Errors
    /// At once if the queue is full; later if the request has waited for too long, or has lost its place to a user with
    /// fewer requests in the queue.
    pub async fn enter(self: &Arc<Self>, user: &str) -> Result<Slot, Overload> {
        let user = self.hasher.hash_one(user);
        match self.wait(user).await {
            Ok(slot) => {
                rounds::wait_for_turn(user).await;
                Ok(slot)
            }
            Err(overload) => {
                shed(overload);
                self.remember_refusal(user);
                Err(overload)
            }
        }
    }

    async fn wait(self: &Arc<Self>, user: u64) -> Result<Slot, Overload> {
        let slot = |run| Slot { admission: self.clone(), user, run };
        let joined = self.queue.lock().join(user);
        let mut queued = match joined {
            JoinOutcome::Running(run) => return Ok(slot(run)),
            JoinOutcome::Refused(overload) => return Err(overload),
            JoinOutcome::Waiting(ticket, turn) => QueuedRequest { admission: self, user, ticket, turn },
        };
        let until = tokio::time::Instant::now() + self.patience;
        loop {
            let look = until.min(tokio::time::Instant::now() + STUCK_AFTER);
            match tokio::time::timeout_at(look, &mut queued.turn).await {
                Ok(Ok(run)) => return Ok(slot(run)),
                // Requests that are stuck have made room, and nothing else may have noticed.
                Err(_) if look < until => self.queue.lock().start_next(),
                Ok(Err(_)) | Err(_) => {
                    let overload = self.queue.lock().overload_of(user);
                    return Err(overload);
                }
            }
        }
    }

    fn remember_refusal(&self, user: u64) {
        let (refused, now) = (&mut *self.refused.lock(), Instant::now());
        // Seldom: under overload, each look finds that nearly all are still needed.
        if refused.at.len() >= PRUNE_ABOVE && now.duration_since(refused.pruned) >= RETRY_AFTER {
            refused.at.retain(|_, at| now.duration_since(*at) < RETRY_AFTER);
            refused.pruned = now;
        }
        refused.at.insert(user, now);
    }
}

impl Drop for QueuedRequest<'_> {
    fn drop(&mut self) {
        let queue = &mut *self.admission.queue.lock();
        // The request may have been started without having read the message: then it ends here.
        if !queue.cancel(self.user, self.ticket)
            && let Ok(run) = self.turn.try_recv()
        {
            queue.finish(self.user, run);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.queue.lock().finish(self.user, self.run);
    }
}

/// Counts a refusal.
fn shed(overload: Overload) {
    let reason = if overload == Overload::Node { "node" } else { "user" };
    metrics::counter!("tandem_http_requests_shed_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests;
