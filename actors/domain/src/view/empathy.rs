//! The viewer's own draft, and the answers to the commands of stage 2.

use serde::Serialize;

use super::{Answer, AttemptView, Viewer};
use crate::{
    command::ConsentEmpathy,
    empathy::{AttemptDraft, AttemptStatus, DeliveryStatus},
    ids::{self, DraftId, Seq},
    private_text::PrivateText,
    stage::Stage,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct DraftView {
    id: DraftId,
    content: PrivateText,
    /// Counts the saved versions of the draft, from 1.
    version: u32,
    ready_to_share: bool,
    updated_at: Timestamp,
}

/// `{}`
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub(super) struct NoDraft {}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub(super) enum MaybeDraft {
    Draft(DraftView),
    None(NoDraft),
}

/// The answer to `POST /sessions/{id}/empathy/draft`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EmpathyDraftSaved {
    draft: DraftView,
    ready_to_share: bool,
    draft_id: DraftId,
    saved_at: Timestamp,
    seq: Seq,
}

/// The answer to `GET /sessions/{id}/empathy/draft`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EmpathyDraft {
    draft: MaybeDraft,
    /// The draft is ready, and can be shared as it is.
    can_consent: bool,
    /// The caller's consent stands.
    already_consented: bool,
    /// The partner's verdict on one's own attempt.
    partner_validated: bool,
    awaiting_revision: bool,
    /// If the partner has agreed to share it.
    partner_feedback: Option<PrivateText>,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/empathy/consent`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EmpathyConsented {
    consented: bool,
    consented_at: Option<Timestamp>,
    waiting_for_partner: bool,
    partner_consented: bool,
    /// Both partners have shared their attempts.
    can_reveal: bool,
    /// The status of the caller's attempt.
    status: Option<AttemptStatus>,
    /// The caller's attempt, as the chat shows it.
    empathy_message: Option<EmpathyMessage>,
    /// Always null: another service writes it.
    transition_message: Option<PrivateText>,
    partner_attempt: Option<AttemptView>,
    seq: Seq,
}

/// The caller's own attempt as an item of the chat.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct EmpathyMessage {
    id: String,
    content: PrivateText,
    stage: Stage,
    timestamp: Timestamp,
    delivery_status: DeliveryStatus,
}

/// The answer to `POST /sessions/{id}/empathy/resubmit`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EmpathyResubmitted {
    status: Option<AttemptStatus>,
    /// A sentence in English, for the caller.
    message: &'static str,
    empathy_message: Option<EmpathyMessage>,
    transition_message: Option<PrivateText>,
    /// How often the caller's attempt was shared anew.
    revision_count: u32,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/empathy/skip-refinement`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefinementSkipped {
    success: bool,
    status: Option<AttemptStatus>,
    can_advance: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/empathy/validate`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EmpathyValidated {
    validated: bool,
    validated_at: Option<Timestamp>,
    feedback_shared: bool,
    awaiting_revision: bool,
    can_advance: bool,
    partner_validated: bool,
    seq: Seq,
}

impl AttemptDraft {
    fn view(&self) -> DraftView {
        DraftView {
            id: self.id.clone(),
            content: self.content.clone(),
            version: self.version,
            ready_to_share: self.ready,
            updated_at: self.saved_at,
        }
    }
}

impl Viewer<'_> {
    pub(super) fn empathy_draft_saved(&self) -> Answer {
        let Some(draft) = &self.me.empathy.draft else {
            return Answer::done(self.session.seq);
        };
        Answer::EmpathyDraftSaved(EmpathyDraftSaved {
            draft: draft.view(),
            ready_to_share: draft.ready,
            draft_id: draft.id.clone(),
            saved_at: draft.saved_at,
            seq: self.session.seq,
        })
    }

    pub(super) fn empathy_draft(&self) -> EmpathyDraft {
        let mine = &self.me.empathy;
        EmpathyDraft {
            draft: mine.draft.as_ref().map_or(MaybeDraft::None(NoDraft {}), |draft| MaybeDraft::Draft(draft.view())),
            can_consent: mine.may_be_edited() && mine.draft.as_ref().is_some_and(|draft| draft.ready),
            already_consented: mine.shared().is_some(),
            partner_validated: mine.is_validated(),
            awaiting_revision: mine.awaits_revision(),
            partner_feedback: self.partner_feedback(),
            seq: self.session.seq,
        }
    }

    pub(super) fn empathy_consented(&self, consent: &ConsentEmpathy) -> EmpathyConsented {
        let shared = self.me.empathy.shared().filter(|_| consent.consent);
        EmpathyConsented {
            consented: shared.is_some(),
            consented_at: shared.map(|attempt| attempt.shared_at),
            waiting_for_partner: shared.is_some() && !self.partner_has_consented(),
            partner_consented: self.partner_has_consented(),
            can_reveal: shared.is_some() && self.partner_has_consented(),
            status: self.my_attempt_status().filter(|_| shared.is_some()),
            empathy_message: self.empathy_message().filter(|_| shared.is_some()),
            transition_message: None,
            partner_attempt: self.partner_attempt_view(),
            seq: self.session.seq,
        }
    }

    fn empathy_message(&self) -> Option<EmpathyMessage> {
        let attempt = self.me.empathy.shared()?;
        let (session, me) = (self.session.id.as_str().as_bytes(), self.me.id.as_str().as_bytes());
        Some(EmpathyMessage {
            id: ids::derived(&[b"empathy message", session, me, &attempt.revision.to_be_bytes()]),
            content: attempt.content.clone(),
            stage: Stage::PerspectiveStretch,
            timestamp: attempt.shared_at,
            delivery_status: self.me.empathy.delivery_status(self.partner_has_consented()),
        })
    }

    pub(super) fn empathy_resubmitted(&self) -> EmpathyResubmitted {
        EmpathyResubmitted {
            status: self.my_attempt_status(),
            message: "Your partner sees your revised text and judges it again.",
            empathy_message: self.empathy_message(),
            transition_message: None,
            revision_count: self.me.empathy.attempt.as_ref().map_or(0, |attempt| attempt.revision),
            seq: self.session.seq,
        }
    }

    pub(super) fn refinement_skipped(&self) -> RefinementSkipped {
        RefinementSkipped {
            success: true,
            status: self.my_attempt_status(),
            can_advance: self.can_advance(),
            seq: self.session.seq,
        }
    }

    pub(super) fn empathy_validated(&self) -> EmpathyValidated {
        let verdict = self.partner.and_then(|partner| partner.empathy.verdict.as_ref());
        EmpathyValidated {
            validated: verdict.is_some_and(|verdict| verdict.validated),
            validated_at: verdict.filter(|verdict| verdict.validated).map(|verdict| verdict.at),
            feedback_shared: verdict.is_some_and(|verdict| verdict.feedback_shared),
            awaiting_revision: self.partner.is_some_and(|partner| partner.empathy.awaits_revision()),
            can_advance: self.can_advance(),
            partner_validated: self.me.empathy.is_validated(),
            seq: self.session.seq,
        }
    }
}
