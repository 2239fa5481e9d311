//! Pushes to absent partners.

use super::BoxFuture;
use crate::{
    domain::ids::{Seq, SessionId, UserId},
    trace::RequestId,
};

/// What the session's actor needs to know of a user to route.
pub trait Devices: Send + Sync + 'static {
    /// Whether the user has a push token that can be used.
    fn has_push_token(&self, user: &UserId) -> bool;
}

/// The push sender. Jobs are rows (`keys::push_job`); this only says that there are some.
pub trait Push: Send + Sync + 'static {
    fn jobs_committed(&self);
}

/// Whether a push is still wanted, asked just before it is sent. Served by the coordinator.
pub trait PushCheck: Send + Sync + 'static {
    fn check(&self, session: &SessionId, user: &UserId, seq: Seq) -> BoxFuture<PushVerdict>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushVerdict {
    /// `unread`: the user's sessions with something unseen, for the badge. `request_id`: of the request that made the event.
    Send { unread: u32, request_id: Option<RequestId> },
    /// The partner has come back, has seen it, or the session is over.
    Drop { reason: &'static str },
    /// The session could not be asked.
    Later,
}
