//! Stage 2 after a request for a revision: the author writes the attempt anew, or keeps it.

use serde::Deserialize;

use super::{Command, action::MemberAction, empathy, fields};
use crate::{
    empathy::AttemptStatus,
    event::EventBody,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    rules::Gates,
    stage::Stage,
};

/// The body of `POST /sessions/{id}/empathy/resubmit`: the revision that the partner asked for.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "content": "you may have felt tired and alone" })))]
pub struct ResubmitEmpathyRequest {
    /// 1 to 2000 characters. Sending it is the consent to share it.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 2000, pattern = r"\S"))]
    content: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResubmitEmpathy {
    content: PrivateText,
}

impl TryFrom<ResubmitEmpathyRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ResubmitEmpathyRequest) -> Result<Self, Rejection> {
        let content = fields::text("content", request.content, 1..=empathy::LONGEST)?;
        Ok(Command::ResubmitEmpathy(ResubmitEmpathy { content }))
    }
}

/// The body of `POST /sessions/{id}/empathy/skip-refinement`: the attempt stays as it is.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "willingToAccept": true, "reason": "we see it differently" })))]
pub struct SkipRefinementRequest {
    /// Whether the author accepts that the partner sees it differently.
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    willing_to_accept: Option<bool>,
    /// At most 500 characters; stays with its author.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipRefinement {
    willing_to_accept: bool,
    reason: Option<PrivateText>,
}

impl TryFrom<SkipRefinementRequest> for Command {
    type Error = Rejection;
    fn try_from(request: SkipRefinementRequest) -> Result<Self, Rejection> {
        Ok(Command::SkipRefinement(SkipRefinement {
            willing_to_accept: fields::required("willingToAccept", request.willing_to_accept, "true or false")?,
            reason: fields::optional_text("reason", request.reason, 500)?,
        }))
    }
}

/// The revised text replaces the attempt, and the partner judges again.
///
/// The June client never sends its old text, and its own server refuses it. The April client does: its user may have
/// nothing to add. So the old text is refused only for members that are known to use the June client.
pub(super) fn resubmit(action: &mut MemberAction<'_>, resubmit: &ResubmitEmpathy) -> Result<(), Rejection> {
    let is_repeat = |content: &PrivateText| *content == resubmit.content;
    let mine = &action.me.empathy;
    let attempt = mine.shared().ok_or_else(no_attempt)?;
    if !mine.awaits_revision() && attempt.revision > 0 && action.me.in_app_mode() && is_repeat(&attempt.content) {
        return Ok(());
    }
    action.must_be_in(Stage::PerspectiveStretch)?;
    if !mine.awaits_revision() {
        return Err(not_refining(mine.status(action.partner_shares_empathy())));
    }
    if action.me.is_june() && is_repeat(&attempt.content) {
        return Err(Rejection::invalid("content", "the text that was shared before", "a revised text"));
    }
    empathy::share(action, resubmit.content.clone());
    Ok(())
}

/// The author keeps the attempt. Neither partner waits for a verdict after this.
pub(super) fn skip(action: &mut MemberAction<'_>, skip: &SkipRefinement) -> Result<(), Rejection> {
    let mine = &action.me.empathy;
    mine.shared().ok_or_else(no_attempt)?;
    if mine.skipped_refinement() {
        return Ok(());
    }
    action.must_be_in(Stage::PerspectiveStretch)?;
    if !mine.awaits_revision() {
        return Err(not_refining(mine.status(action.partner_shares_empathy())));
    }
    action.record(EventBody::RefinementSkipped {
        willing_to_accept: skip.willing_to_accept,
        reason: skip.reason.clone(),
    });
    let gates = action.session.gates(action.side, Stage::PerspectiveStretch);
    let satisfied = matches!(gates, Gates::PerspectiveStretch { draft_ready: true, consented: true, .. });
    if satisfied {
        action.complete_stage(Stage::PerspectiveStretch);
    }
    Ok(())
}

fn no_attempt() -> Rejection {
    Rejection::new(Code::NotFound, "you share no attempt at present")
}

fn not_refining(status: Option<AttemptStatus>) -> Rejection {
    let message = match status {
        Some(AttemptStatus::Validated) => "your partner has validated your attempt; there is nothing to revise",
        _ => "your partner has not asked for a revision",
    };
    Rejection::new(Code::ValidationError, message)
}
