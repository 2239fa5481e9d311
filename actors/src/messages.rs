//! The messages of a session's inbox, and their answers.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    domain::{
        Caller, Command, CreateSession, Query, Rejection, Timer,
        ids::{Seq, UserId},
        routing::Presence,
        time::Timestamp,
    },
    journal::Obstacle,
    ports::{PresenceChange, StoreError, StoreFault},
    trace::{RequestId, Trace},
};

/// A caller's `Idempotency-Key`, as digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// SHA-256 of the key itself.
    pub digest: [u8; 32],
    /// SHA-256 of the request: the same key with another request is refused.
    pub request: [u8; 32],
}

/// A durable answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandReply {
    /// Whether something was created (201 rather than 200).
    pub created: bool,
    /// The answer, a JSON object.
    pub data: Bytes,
    /// It is the repeated answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Why a request is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The domain rejects the command.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    /// Not possible now. `reason` may be shown to the caller. The command was not executed, or its outcome is unknown:
    /// a retry with the same idempotency key is safe either way.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// The problem, in words.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A defect of this node; the text is for its operator, not for the caller.
    #[error("internal: {0}")]
    Internal(String),
}

impl Refusal {
    /// A refusal that passes: the caller may try again after `retry_after`.
    pub fn unavailable(reason: impl Into<String>, retry_after: Duration) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after }
    }

    pub(crate) fn stopping() -> Self {
        Self::unavailable("the server is stopping", Duration::from_secs(2))
    }

    /// The actor died with the message, or its commit was never confirmed.
    pub(crate) fn outcome_unknown() -> Self {
        Self::unavailable(
            "the session restarted while this was being done; try again, with the same Idempotency-Key if you sent one",
            Duration::from_secs(1),
        )
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error.fault() {
            StoreFault::NoRoom => Obstacle::NoRoom.into(),
            StoreFault::Busy => Obstacle::Busy.into(),
            StoreFault::Stalled | StoreFault::Stopping => Obstacle::Stalled.into(),
            StoreFault::Failed | StoreFault::Damaged => Self::Internal(error.to_string()),
        }
    }
}

impl From<Obstacle> for Refusal {
    fn from(obstacle: Obstacle) -> Self {
        Self::unavailable(obstacle.reason(), obstacle.retry_after())
    }
}

/// Where an answer is sent. If it is dropped, the caller gets [`Refusal::outcome_unknown`].
pub(crate) type ReplyTo<T> = oneshot::Sender<Result<T, Refusal>>;

/// Who gave a command, how it is found in the log, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Order {
    pub caller: Caller,
    pub key: Option<IdempotencyKey>,
    pub trace: Trace,
    pub reply: ReplyTo<CommandReply>,
}

/// A session's answer to the question whether a push is still wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PushNeed {
    /// With the id of the request that made the event.
    Wanted(Option<RequestId>),
    NotWanted {
        reason: &'static str,
    },
    /// The session could not be asked.
    Unknown,
}

/// What became of the removal of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is durable.
    Removed,
    /// The row had another time than the session. It was replaced.
    Corrected,
    /// It still has something to deliver.
    NotYet,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A client, which shows it: the viewer has seen it.
    Client,
    /// An export: the viewer has seen nothing by it.
    Export,
}

/// Whether a partner is present, as far as the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerPresence {
    /// The partner.
    pub user: UserId,
    /// Present, absent or unknown.
    pub presence: Presence,
    /// Since when. Absent if the session does not remember it.
    pub since: Option<Timestamp>,
}

/// A member's question for the announced events after `after`, at most `limit`.
#[derive(Debug)]
pub(crate) struct EventsRequest {
    pub viewer: UserId,
    pub after: Seq,
    pub limit: usize,
    pub reader: Reader,
    pub reply: ReplyTo<Bytes>,
}

#[derive(Debug)]
pub(crate) enum SessionMessage {
    Create {
        create: CreateSession,
        order: Order,
    },
    Command {
        command: Command,
        order: Order,
    },
    /// Without a viewer, it is the public view of the invitation.
    Query {
        viewer: Option<UserId>,
        query: Query,
        reader: Reader,
        reply: ReplyTo<Bytes>,
    },
    Events(EventsRequest),
    Heartbeat {
        user: UserId,
        active: bool,
        reply: ReplyTo<Bytes>,
    },
    Presence(PresenceChange),
    Delivered {
        user: UserId,
        seq: Seq,
    },
    CheckPush {
        user: UserId,
        seq: Seq,
        reply: oneshot::Sender<PushNeed>,
    },
    /// Who is present, as the session knows it. It does not count as activity.
    WhoIsPresent {
        reply: oneshot::Sender<Vec<PartnerPresence>>,
    },
    /// Any loaded actor answers it.
    Ping {
        reply: ReplyTo<()>,
    },
    /// There are account operations that this session could not carry out before.
    AccountWork,
    /// A stored timer is due at the settled time `now`.
    Due {
        timer: Timer,
        at: Timestamp,
        now: Timestamp,
    },
    /// Removes the session if it was over `before` that time. `known` is the time in the row that was due.
    Remove {
        known: Timestamp,
        before: Timestamp,
        reply: ReplyTo<Removal>,
    },
    /// The session has an outbox of an earlier run: activating it is enough.
    Drain,
}

impl SessionMessage {
    /// Answers with a refusal and does nothing else.
    pub(crate) fn refuse(self, refusal: &Refusal) {
        match self {
            Self::Create { order, .. } | Self::Command { order, .. } => drop(order.reply.send(Err(refusal.clone()))),
            Self::Query { reply, .. } | Self::Events(EventsRequest { reply, .. }) | Self::Heartbeat { reply, .. } => {
                drop(reply.send(Err(refusal.clone())));
            }
            Self::Ping { reply } => drop(reply.send(Err(refusal.clone()))),
            Self::Remove { reply, .. } => drop(reply.send(Err(refusal.clone()))),
            Self::CheckPush { reply, .. } => drop(reply.send(PushNeed::Unknown)),
            Self::WhoIsPresent { reply } => drop(reply),
            Self::Presence(_) | Self::Delivered { .. } | Self::Due { .. } | Self::AccountWork | Self::Drain => {}
        }
    }
}
