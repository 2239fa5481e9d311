//! How long an event stays in the log.
//!
//! An announced event stays, because members can read it with `events?after=`. An event that later events depend on
//! stays, too. Each other event lists the parts of the state that it writes. When later events have written all of
//! these parts, the state does not depend on the event any more, and it can be taken out of the log.

use serde::{Deserialize, Serialize};

use crate::ids::NeedId;

/// A part of the state of one member. Only the last event that writes it determines its value.
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
    /// Until later events have written these parts, and also the times of the last change and of the last event.
    UntilRewritten(Vec<Part>),
}
