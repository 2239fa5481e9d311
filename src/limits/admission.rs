//! Whose request is worked on next. So many are worked on at a time; those that wait take turns by user, not by
//! arrival, so that a user with many connections waits for themselves. What cannot be worked on soon is refused at
//! once: first of those who have the most in the line. Clients who come again before they were told to are refused
//! again, and not faster than they were told.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use super::line::Overload;
use super::{
    LimitSettings,
    line::{Line, Place},
    turns,
};

/// What a refused client is told to wait.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// Refusals that are remembered without looking for old ones among them.
const REMEMBERED: usize = 1_024;

pub struct Admission {
    patience: Duration,
    hasher: RandomState,
    line: Mutex<Line>,
    /// When a user was refused last.
    refused: Mutex<HashMap<u64, Instant>>,
}

/// The right to work on one request; given back by dropping it.
pub struct Slot {
    admission: Arc<Admission>,
    user: u64,
}

/// A place in the line. Dropped, it is free, or the right that it came to is given back.
struct Waiting<'a> {
    admission: &'a Admission,
    user: u64,
    number: u64,
    turn: oneshot::Receiver<()>,
}

impl Admission {
    pub fn new(config: &LimitSettings) -> Arc<Self> {
        Arc::new(Self {
            patience: config.request_patience,
            hasher: RandomState::new(),
            line: Mutex::new(Line::new(config.into())),
            refused: Mutex::default(),
        })
    }

    /// Requests that are worked on, and that wait.
    pub fn load(&self) -> (usize, usize) {
        self.line.lock().load()
    }

    /// Makes a client that comes again too early wait before anything is done for it.
    pub async fn hold_back(&self, user: &str) {
        let user = self.hasher.hash_one(user);
        let refused_at = self.refused.lock().get(&user).copied();
        let Some(wait) = refused_at.and_then(|at| COME_AGAIN.checked_sub(at.elapsed())) else { return };
        if self.line.lock().is_full_for(user) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for the turn of a user's request.
    ///
    /// # Errors
    /// At once if too many wait, or later if the wait is too long or another user has less in the line.
    pub async fn enter(self: &Arc<Self>, user: &str) -> Result<Slot, Overload> {
        let user = self.hasher.hash_one(user);
        match self.wait(user).await {
            Ok(slot) => {
                turns::turn(user).await;
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
        let place = self.line.lock().join(user);
        let mut waiting = match place {
            Place::Runs => return Ok(slot()),
            Place::Refused(overload) => return Err(overload),
            Place::Waits(number, turn) => Waiting { admission: self, user, number, turn },
        };
        match tokio::time::timeout(self.patience, &mut waiting.turn).await {
            Ok(Ok(())) => Ok(slot()),
            _ => {
                let overload = self.line.lock().overload_of(user);
                Err(overload)
            }
        }
    }

    fn remember_refusal(&self, user: u64) {
        let refused = &mut *self.refused.lock();
        if refused.len() >= REMEMBERED {
            refused.retain(|_, at| at.elapsed() < COME_AGAIN);
        }
        refused.insert(user, Instant::now());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let line = &mut *self.admission.line.lock();
        // What was told that it runs and never heard of it runs no more.
        if !line.give_up(self.user, self.number) && self.turn.try_recv().is_ok() {
            line.leave(self.user);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.line.lock().leave(self.user);
    }
}

#[cfg(test)]
mod tests;
