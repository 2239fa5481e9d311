//! Test doubles of the realtime provider and of the users' devices.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tandem_actors::{
    domain::ids::{SessionId, UserId},
    ports::{BoxFuture, Devices, PresenceMember, Publication, Realtime, RealtimeError},
};

/// A provider that records what is published and answers as it was told.
#[derive(Default)]
pub struct RecordingRealtime {
    /// The messages in the order in which they were published.
    pub published: Mutex<Vec<Publication>>,
    /// The members that a query returns. Without them the provider never answers.
    pub members: Mutex<Option<Result<Vec<PresenceMember>, RealtimeError>>>,
    /// How many of the next publications fail.
    pub refusals: AtomicU64,
    /// How many of the next publications are refused permanently.
    pub rejections: AtomicU64,
}

/// Whether one was left, which is used up.
fn use_up(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl RecordingRealtime {
    /// A provider that answers at once that nobody is present.
    pub fn with_nobody_present() -> Self {
        Self { members: Mutex::new(Some(Ok(Vec::new()))), ..Self::default() }
    }

    /// The names of the events that were published on session channels.
    pub fn names(&self) -> Vec<&'static str> {
        let published = self.published.lock();
        published.iter().map(|publication| publication.name).filter(|name| *name != "session.updated").collect()
    }
}

impl Realtime for RecordingRealtime {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        if use_up(&self.rejections) {
            return Box::pin(async { Err(RealtimeError::Refused { reason: "told to refuse".into() }) });
        }
        if use_up(&self.refusals) {
            let error = RealtimeError::Unavailable { reason: "told to fail".into(), retry_after: None };
            return Box::pin(async { Err(error) });
        }
        self.published.lock().extend(batch);
        Box::pin(async { Ok(()) })
    }

    fn members(&self, _: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>> {
        match self.members.lock().clone() {
            Some(answer) => Box::pin(async { answer }),
            None => Box::pin(std::future::pending()),
        }
    }

    fn members_in_memory(&self, _: &SessionId) -> Option<Vec<PresenceMember>> {
        self.members.lock().clone().and_then(Result::ok)
    }
}

/// The users who have a device that takes pushes.
#[derive(Default)]
pub struct UsersWithDevices(pub Mutex<HashSet<UserId>>);

impl Devices for UsersWithDevices {
    fn has_push_token(&self, user: &UserId) -> bool {
        self.0.lock().contains(user)
    }
}
