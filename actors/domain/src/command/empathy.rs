//! Stage 2: draft, consent, verdict.

use serde::Deserialize;

use super::{Command, action::MemberAction, fields};
use crate::{
    empathy::Empathy,
    event::EventBody,
    ids::DraftId,
    member::Member,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    rules::Gates,
    stage::Stage,
};

pub(super) const LONGEST: usize = 2_000;

/// The body of `POST /sessions/{id}/empathy/draft`. It replaces the caller's draft.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "content": "you may have felt alone with the children", "readyToShare": true }
)))]
pub struct SaveEmpathyDraftRequest {
    /// 1 to 2000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 2000, pattern = r"\S"))]
    pub content: Option<String>,
    /// Whether the draft satisfies the gate `empathyDraftReady`; false, if left out.
    pub ready_to_share: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveEmpathyDraft {
    content: PrivateText,
    ready: Option<bool>,
}

impl TryFrom<SaveEmpathyDraftRequest> for Command {
    type Error = Rejection;
    fn try_from(request: SaveEmpathyDraftRequest) -> Result<Self, Rejection> {
        let content = fields::text("content", request.content, 1..=LONGEST)?;
        Ok(Command::SaveEmpathyDraft(SaveEmpathyDraft { content, ready: request.ready_to_share }))
    }
}

/// Either `consent`, or `draftId` (which is a consent to that draft), with the text as it shall be shared if it
/// differs.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "consent": true })))]
pub struct ConsentEmpathyRequest {
    consent: Option<bool>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<DraftId>))]
    draft_id: Option<String>,
    /// 1 to 2000 characters.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 2000, pattern = r"\S"))]
    final_content: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentEmpathy {
    pub(crate) consent: bool,
    draft: Option<DraftId>,
    final_content: Option<PrivateText>,
}

impl TryFrom<ConsentEmpathyRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ConsentEmpathyRequest) -> Result<Self, Rejection> {
        let draft = request.draft_id.map(|id| fields::id("draftId", &id)).transpose()?;
        let implied = draft.as_ref().map(|_| true);
        let consent =
            fields::required("consent", request.consent.or(implied), "true or false, or draftId given instead")?;
        let text =
            request.final_content.map(|text| fields::text("finalContent", Some(text), 1..=LONGEST)).transpose()?;
        Ok(Command::ConsentEmpathy(ConsentEmpathy { consent, draft, final_content: text }))
    }
}

/// The body of `POST /sessions/{id}/empathy/validate`: whether the partner's attempt is right.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "validated": false, "feedback": "it was not anger", "consentToShareFeedback": true }
)))]
pub struct ValidateEmpathyRequest {
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    validated: Option<bool>,
    /// At most 1000 characters; needed when `validated` is false.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    feedback: Option<String>,
    /// Without it the feedback stays with its author.
    consent_to_share_feedback: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateEmpathy {
    validated: bool,
    feedback: Option<PrivateText>,
    share_feedback: bool,
}

impl TryFrom<ValidateEmpathyRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ValidateEmpathyRequest) -> Result<Self, Rejection> {
        let validated = fields::required("validated", request.validated, "true or false")?;
        let feedback = fields::optional_text("feedback", request.feedback, 1_000)?;
        if !validated && feedback.is_none() {
            let expected = "a text of 1 to 1000 characters when validated is false";
            return Err(Rejection::invalid("feedback", "nothing", expected));
        }
        let share_feedback = request.consent_to_share_feedback.unwrap_or(false) && feedback.is_some();
        Ok(Command::ValidateEmpathy(ValidateEmpathy { validated, feedback, share_feedback }))
    }
}

pub(super) fn save_draft(action: &mut MemberAction<'_>, save: &SaveEmpathyDraft) -> Result<(), Rejection> {
    action.must_be_in(Stage::PerspectiveStretch)?;
    let mine = &action.me.empathy;
    if !mine.may_be_edited() {
        return Err(Rejection::conflict(
            "your attempt is shared; it can be changed when your partner asks for a revision, or after you revoke your consent",
        ));
    }
    let draft = mine.draft.as_ref().map_or_else(|| action.ctx.fresh(), |draft| draft.id.clone());
    action.record(EventBody::EmpathyDraftSaved {
        draft,
        content: save.content.clone(),
        ready: save.ready.unwrap_or(false),
        version: Some(mine.next_version()),
    });
    Ok(())
}

/// A revoked consent can be given again even after the stage: it only shows what was hidden.
pub(super) fn consent(action: &mut MemberAction<'_>, consent: &ConsentEmpathy) -> Result<(), Rejection> {
    let mine = &action.me.empathy;
    if consent.consent && action.me.in_app_mode() && is_shared_as(mine, consent.final_content.as_ref()) {
        return Ok(());
    }
    if mine.was_revoked() && action.me.has_left(Stage::PerspectiveStretch) {
        action.must_be_active()?;
    } else {
        action.must_be_in(Stage::PerspectiveStretch)?;
    }
    if !consent.consent {
        return Ok(());
    }
    if !mine.may_be_edited() {
        return Err(Rejection::conflict("you have shared your attempt already"));
    }
    let Some(draft) = mine.draft.as_ref() else {
        return Err(Rejection::gate("save a draft that is ready to share first"));
    };
    if consent.draft.as_ref().is_some_and(|id| *id != draft.id) {
        return Err(Rejection::new(Code::NotFound, "draftId must be the id of your own draft"));
    }
    if !draft.ready {
        return Err(Rejection::gate("save your draft with readyToShare set to true first"));
    }
    let content = consent.final_content.as_ref().unwrap_or(&draft.content).clone();
    share(action, content);
    Ok(())
}

/// The app repeats a request whose answer was lost, even if the first request has changed the session.
fn is_shared_as(mine: &Empathy, text: Option<&PrivateText>) -> bool {
    let Some(attempt) = mine.shared().filter(|_| !mine.awaits_revision()) else { return false };
    text.is_none_or(|text| *text == attempt.content)
}

/// The caller has consented to sharing this text.
pub(super) fn share(action: &mut MemberAction<'_>, content: PrivateText) {
    let resubmits = action.me.empathy.awaits_revision();
    let partner_shares = action.partner_shares_empathy();
    action.record(EventBody::EmpathyShared { content, reveals: partner_shares && !resubmits, resubmits });
    let gates = action.session.gates(action.side, Stage::PerspectiveStretch);
    let satisfied = matches!(gates, Gates::PerspectiveStretch { validated: true, .. });
    if satisfied {
        action.complete_stage(Stage::PerspectiveStretch);
    }
}

pub(super) fn validate(action: &mut MemberAction<'_>, validate: &ValidateEmpathy) -> Result<(), Rejection> {
    let theirs = action.partner().map(|partner| &partner.empathy).filter(|theirs| theirs.shared().is_some());
    let is_repeat = validate.validated && theirs.is_some_and(Empathy::is_validated);
    if action.me.in_app_mode() && action.me.empathy.shared().is_some() && is_repeat {
        return Ok(());
    }
    action.must_be_in(Stage::PerspectiveStretch)?;
    let theirs = judged(action.me, theirs)?;
    if theirs.is_validated() {
        return if validate.validated {
            Ok(())
        } else {
            Err(Rejection::conflict("you have validated your partner's attempt already"))
        };
    }
    action.record(EventBody::EmpathyJudged {
        validated: validate.validated,
        feedback: validate.feedback.clone(),
        feedback_shared: validate.share_feedback,
    });
    // The caller has shared, so the verdict is the last of the caller's gates.
    if validate.validated {
        action.complete_stage(Stage::PerspectiveStretch);
    }
    Ok(())
}

/// The attempt to judge. The app expects different codes for "no attempt" and "not revealed".
fn judged<'a>(me: &Member, theirs: Option<&'a Empathy>) -> Result<&'a Empathy, Rejection> {
    let not_shared = "share your own attempt first; then you see your partner's";
    let nothing = "your partner has not shared an attempt yet";
    match theirs {
        Some(theirs) if me.empathy.shared().is_some() => Ok(theirs),
        Some(_) if me.in_app_mode() => Err(Rejection::conflict(not_shared)),
        None if me.in_app_mode() => Err(Rejection::new(Code::NotFound, nothing)),
        _ if me.empathy.shared().is_none() => Err(Rejection::new(Code::ConsentRequired, not_shared)),
        _ => Err(Rejection::partner_not_ready(nothing)),
    }
}
