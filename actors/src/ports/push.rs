//! The ports of the push sender and of the users' devices.

use std::collections::BTreeSet;

use super::{BoxFuture, StoreError};
use crate::{
    domain::ids::{Seq, SessionId, UserId},
    trace::RequestId,
};

/// What routing needs to know of the users' devices.
pub trait Devices: Send + Sync + 'static {
    /// Whether the user has a push token that can be used.
    fn has_push_token(&self, user: &UserId) -> bool;
}

/// The push sender. Jobs are rows ([`push_job`](crate::keys::push_job)); this only announces new ones.
pub trait Push: Send + Sync + 'static {
    /// There are new jobs in the store.
    fn jobs_committed(&self);

    /// Deletes what is kept about these removed sessions. Returns the sessions with a push under way. The caller tries
    /// again with them.
    fn forget(&self, sessions: BTreeSet<SessionId>) -> BoxFuture<Result<BTreeSet<SessionId>, StoreError>>;
}

/// Answers whether a push is still wanted, just before it is sent. The coordinator implements it.
pub trait PushCheck: Send + Sync + 'static {
    /// Asks the session about its event `seq`, for this user.
    fn check(&self, session: &SessionId, user: &UserId, seq: Seq) -> BoxFuture<PushVerdict>;
}

/// Whether a push is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushVerdict {
    /// It is sent.
    Send {
        /// The number of the user's sessions with unseen events, for the badge.
        unread: u32,
        /// The request that made the event.
        request_id: Option<RequestId>,
    },
    /// The partner has come back, has seen it, or the session is over.
    Drop {
        /// Why, in stable words.
        reason: &'static str,
    },
    /// The session could not be asked.
    Later,
}
