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

/// Looking is an event, and events have a `seq`: so whoever has seen everything has seen the event that says so, and two
/// partners who look in turn do not make news for each other.
pub(super) fn decide(turn: &mut Turn<'_>, viewed: &Viewed) -> Result<(), Rejection> {
    let session = turn.session;
    let seen = viewed.last_seen.unwrap_or(session.seq).min(session.seq);
    if turn.me.last_seen >= seen.min(session.changed) {
        return Ok(());
    }
    let last_seen = if seen >= session.changed { session.seq + 1 } else { seen };
    turn.record(EventBody::Viewed { last_seen });
    Ok(())
}
