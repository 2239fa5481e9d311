//! How far a partner has seen. Never goes back.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{Command, turn::Turn};
use crate::domain::{event::EventBody, ids::Seq, rejection::Rejection};

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewedRequest {
    /// Everything so far, if left out.
    pub last_seen_seq: Option<Seq>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewed {
    pub last_seen: Option<Seq>,
}

impl TryFrom<ViewedRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ViewedRequest) -> Result<Self, Rejection> {
        Ok(Command::Viewed(Viewed { last_seen: request.last_seen_seq }))
    }
}

/// Looking is an event, but no news: whoever has seen all that is neither its own look nor the partner's has nothing to add,
/// so that two partners who look in turn do not write for ever.
pub(super) fn decide(turn: &mut Turn<'_>, viewed: &Viewed) -> Result<(), Rejection> {
    let session = turn.session;
    let last_seen = viewed.last_seen.unwrap_or(session.seq).min(session.seq);
    if turn.me.last_seen < last_seen.min(session.changed) {
        turn.record(EventBody::Viewed { last_seen });
    }
    Ok(())
}
