//! How long an event stays in the log.
//!
//! An event that is announced stays: members can read it with `events?after=`. So does an event that later ones build
//! on. Any other event says only which parts of the state it wrote. Once later events have written all of them again,
//! the state is the same without it, and the log can do without it.

use serde::{Deserialize, Serialize};

use crate::ids::NeedId;

/// A part of the state that belongs to the author of an event, and that the last event to write it decides alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Activity,
    ChatItem,
    DeclinedNeed(NeedId),
    Draft,
    FeelHeardOffer,
    InvitationMessage,
    Name,
    NeedsValidation,
    Path,
    Ranking,
    Seen,
    ShareTab,
    Topic,
    TopicFrame,
    WalkedNeed(NeedId),
}

/// How long an event stays in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Always,
    /// Until later events have written these parts again, and everything else that the event has changed: the times of
    /// the last change and the last event.
    UntilRewritten(Vec<Part>),
}
