//! How much of the session a partner has seen. The value never decreases.

use serde::Deserialize;

use super::{Command, action::MemberAction, fields};
use crate::{event::EventBody, ids::Seq, private_text::PrivateText, rejection::Rejection};

/// The body of `POST /sessions/{id}/viewed`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "lastSeenSeq": 42, "lastSeenChatItemId": "message-1767225600000" }
)))]
pub struct ViewedRequest {
    /// Everything so far, if left out.
    last_seen_seq: Option<Seq>,
    /// The chat item that the client saw last, at most 200 characters. Given back in the session's state.
    #[cfg_attr(feature = "schema", schema(max_length = 200))]
    last_seen_chat_item_id: Option<String>,
}

/// What a partner has seen: events up to a `seq`, and a chat item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewed {
    last_seen: Option<Seq>,
    chat_item: Option<PrivateText>,
}

impl Viewed {
    /// Sets what "everything so far" is.
    pub fn everything_is(&mut self, seq: Seq) {
        self.last_seen.get_or_insert(seq);
    }
}

impl TryFrom<ViewedRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ViewedRequest) -> Result<Self, Rejection> {
        let chat_item = fields::optional_text("lastSeenChatItemId", request.last_seen_chat_item_id, 200)?;
        Ok(Command::Viewed(Viewed { last_seen: request.last_seen_seq, chat_item }))
    }
}

/// A look is recorded only if there is something to see other than looks. Otherwise two partners who look in turn would
/// write events without end.
pub(super) fn decide(action: &mut MemberAction<'_>, viewed: &Viewed) -> Result<(), Rejection> {
    let session = action.session;
    let last_seen = viewed.last_seen.unwrap_or(session.seq).min(session.seq);
    let moves_on = viewed.chat_item.is_some() && viewed.chat_item != action.me.chat_item;
    if action.me.last_seen < last_seen.min(session.changed) || moves_on {
        action.record(EventBody::Viewed { last_seen, chat_item: viewed.chat_item.clone() });
    }
    Ok(())
}

/// A look at the share tab of the app. It is recorded once for all changes since the last one.
pub(super) fn saw_share_tab(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    if action.me.share_tab_seen_at.is_none_or(|at| at <= action.session.updated_at) {
        action.record(EventBody::SawShareTab {});
    }
    Ok(())
}
