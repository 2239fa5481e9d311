//! What a partner is asked to do on somebody's behalf, for the April client's list.

use serde::Serialize;

use super::Viewer;
use crate::{
    empathy::AttemptStatus,
    ids::{Seq, UserId},
    private_text::PrivateText,
};

/// The answer to `GET /sessions/{id}/pending-actions`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PendingActions {
    /// Empty when the session is over.
    actions: Vec<PendingAction>,
    sent_tab_updates: u32,
    seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct PendingAction {
    /// `validate_empathy`: the partner's attempt is there to judge.
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    data: AttemptToJudge,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptToJudge {
    content: PrivateText,
    source_user_id: UserId,
}

impl Viewer<'_> {
    pub(super) fn pending_actions(&self) -> PendingActions {
        let attempt = self.partner_attempt_view().filter(|attempt| attempt.status == AttemptStatus::Revealed);
        let attempt = attempt.filter(|_| self.session.status.is_live());
        let action = attempt.map(|attempt| PendingAction {
            kind: "validate_empathy",
            id: attempt.id,
            data: AttemptToJudge { content: attempt.content, source_user_id: attempt.source_user_id },
        });
        PendingActions { actions: action.into_iter().collect(), sent_tab_updates: 0, seq: self.session.seq }
    }
}
