//! Admission of requests. The node runs a limited number of requests at a time. Waiting requests take turns by user,
//! not by arrival, so that a user with many connections delays only themselves. A full queue refuses requests at once,
//! beginning with those of the user who has the most in it. A client that retries earlier than it was told to waits
//! before it is refused again.

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
    fair_queue::{FairQueue, Joined},
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
    /// When each user was last refused.
    refused: Mutex<HashMap<u64, Instant>>,
}

/// The permission to run one request. Dropping it ends the request.
pub struct Slot {
    admission: Arc<Admission>,
    user: u64,
}

/// A request in the queue. Dropping it takes the request out, or ends it if it runs already.
struct QueuedRequest<'a> {
    admission: &'a Admission,
    user: u64,
    ticket: u64,
    turn: oneshot::Receiver<()>,
}

impl Admission {
    pub fn new(config: &LimitSettings) -> Arc<Self> {
        Arc::new(Self {
            patience: config.request_patience,
            hasher: RandomState::new(),
            queue: Mutex::new(FairQueue::new(config.into())),
            refused: Mutex::default(),
        })
    }

    /// The numbers of running and of waiting requests.
    pub fn load(&self) -> (usize, usize) {
        self.queue.lock().load()
    }

    /// Delays a client that retries too early, before anything is done for it.
    pub async fn delay_early_retry(&self, user: &str) {
        let user = self.hasher.hash_one(user);
        let refused_at = self.refused.lock().get(&user).copied();
        let Some(wait) = refused_at.and_then(|at| RETRY_AFTER.checked_sub(at.elapsed())) else { return };
        if self.queue.lock().is_full_for(user) {
            tokio::time::sleep(wait).await;
        }
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
                let reason = if overload == Overload::Node { "node" } else { "user" };
                metrics::counter!("tandem_http_requests_shed_total", "reason" => reason).increment(1);
                self.remember_refusal(user);
                Err(overload)
            }
        }
    }

    async fn wait(self: &Arc<Self>, user: u64) -> Result<Slot, Overload> {
        let slot = || Slot { admission: self.clone(), user };
        let joined = self.queue.lock().join(user);
        let mut queued = match joined {
            Joined::Running => return Ok(slot()),
            Joined::Refused(overload) => return Err(overload),
            Joined::Waiting(ticket, turn) => QueuedRequest { admission: self, user, ticket, turn },
        };
        match tokio::time::timeout(self.patience, &mut queued.turn).await {
            Ok(Ok(())) => Ok(slot()),
            Ok(Err(_)) | Err(_) => {
                let overload = self.queue.lock().overload_of(user);
                Err(overload)
            }
        }
    }

    fn remember_refusal(&self, user: u64) {
        let refused = &mut *self.refused.lock();
        if refused.len() >= PRUNE_ABOVE {
            refused.retain(|_, at| at.elapsed() < RETRY_AFTER);
        }
        refused.insert(user, Instant::now());
    }
}

impl Drop for QueuedRequest<'_> {
    fn drop(&mut self) {
        let queue = &mut *self.admission.queue.lock();
        // The request may have been started without having read the message: then it ends here.
        if !queue.cancel(self.user, self.ticket) && self.turn.try_recv().is_ok() {
            queue.finish(self.user);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.queue.lock().finish(self.user);
    }
}

#[cfg(test)]
mod tests;
