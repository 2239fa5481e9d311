//! How far a partner has seen. Never goes back.

use serde::Deserialize;

use super::{Command, fields, turn::Turn};
use crate::{event::EventBody, ids::Seq, private_text::PrivateText, rejection::Rejection};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "lastSeenSeq": 42, "lastSeenChatItemId": "message-1767225600000" }
)))]
pub struct ViewedRequest {
    /// Everything so far, if left out.
    pub last_seen_seq: Option<Seq>,
    /// The chat item that the client saw last, at most 200 characters. Given back in the session's state.
    #[cfg_attr(feature = "schema", schema(max_length = 200))]
    pub last_seen_chat_item_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewed {
    pub last_seen: Option<Seq>,
    chat_item: Option<PrivateText>,
}

impl TryFrom<ViewedRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ViewedRequest) -> Result<Self, Rejection> {
        let chat_item = fields::optional_text("lastSeenChatItemId", request.last_seen_chat_item_id, 200)?;
        Ok(Command::Viewed(Viewed { last_seen: request.last_seen_seq, chat_item }))
    }
}

/// Looking is an event, but no news: whoever has seen all that is neither its own look nor the partner's has nothing to add,
/// so that two partners who look in turn do not write for ever.
pub(super) fn decide(turn: &mut Turn<'_>, viewed: &Viewed) -> Result<(), Rejection> {
    let session = turn.session;
    let last_seen = viewed.last_seen.unwrap_or(session.seq).min(session.seq);
    let moves_on = viewed.chat_item.is_some() && viewed.chat_item != turn.me.chat_item;
    if turn.me.last_seen < last_seen.min(session.changed) || moves_on {
        turn.record(EventBody::Viewed { last_seen, chat_item: viewed.chat_item.clone() });
    }
    Ok(())
}

/// The share tab of the app. Written once for all that has changed since.
pub(super) fn saw_share_tab(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    if turn.me.share_tab_seen_at.is_none_or(|at| at <= turn.session.updated_at) {
        turn.record(EventBody::SawShareTab {});
    }
    Ok(())
}
