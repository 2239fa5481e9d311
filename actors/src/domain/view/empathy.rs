//! Empathy: one's own draft; the partner's attempt once both have consented, and as long as both consents stand.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Done, Eyes};
use crate::domain::{
    command::ConsentEmpathy,
    empathy::{Attempt, Draft},
    ids::{self, DraftId, Seq, UserId},
    member::Member,
    time::Timestamp,
    words::Words,
};

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DraftView {
    pub id: DraftId,
    pub content: Words,
    pub version: u32,
    pub ready_to_share: bool,
    pub updated_at: Timestamp,
}

/// `{}`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NoDraft {}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MaybeDraft {
    Draft(DraftView),
    None(NoDraft),
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmpathyDraftSaved {
    pub draft: DraftView,
    pub ready_to_share: bool,
    pub draft_id: DraftId,
    pub saved_at: Timestamp,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmpathyDraft {
    pub draft: MaybeDraft,
    pub can_consent: bool,
    pub already_consented: bool,
    /// The partner's verdict on one's own attempt.
    pub partner_validated: bool,
    pub awaiting_revision: bool,
    /// If the partner has agreed to share it.
    pub partner_feedback: Option<Words>,
    pub seq: Seq,
}

/// A shared attempt.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    pub id: String,
    pub source_user_id: UserId,
    pub content: Words,
    pub shared_at: Timestamp,
    pub revision_count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmpathyConsented {
    pub consented: bool,
    pub consented_at: Option<Timestamp>,
    pub waiting_for_partner: bool,
    pub partner_consented: bool,
    pub can_reveal: bool,
    pub partner_attempt: Option<AttemptView>,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerEmpathy {
    pub attempt: Option<AttemptView>,
    pub waiting_for_partner: bool,
    /// The viewer's own verdict.
    pub validated: bool,
    pub validated_at: Option<Timestamp>,
    /// The viewer has asked for a revision that has not come yet.
    pub awaiting_revision: bool,
    /// The viewer's own.
    pub feedback: Option<Words>,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmpathyValidated {
    pub validated: bool,
    pub validated_at: Option<Timestamp>,
    pub feedback_shared: bool,
    pub awaiting_revision: bool,
    pub can_advance: bool,
    pub partner_validated: bool,
    pub seq: Seq,
}

impl Draft {
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

impl Eyes<'_> {
    /// The partner's attempt, while both consents stand.
    fn partner_attempt(&self) -> Option<(&Member, &Attempt)> {
        self.me.empathy.shared()?;
        let partner = self.partner?;
        Some((partner, partner.empathy.shared()?))
    }

    fn partner_attempt_view(&self) -> Option<AttemptView> {
        let (partner, attempt) = self.partner_attempt()?;
        let parts = [b"attempt".as_slice(), self.session.id.as_str().as_bytes(), partner.id.as_str().as_bytes()];
        Some(AttemptView {
            id: ids::derived(&parts),
            source_user_id: partner.id.clone(),
            content: attempt.content.clone(),
            shared_at: attempt.shared_at,
            revision_count: attempt.revision,
        })
    }

    fn partner_has_consented(&self) -> bool {
        self.partner.is_some_and(|partner| partner.empathy.shared().is_some())
    }

    pub(super) fn empathy_draft_saved(&self) -> Answer {
        let Some(draft) = &self.me.empathy.draft else {
            return Answer::Done(Done { done: true, seq: self.session.seq });
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
        let verdict = mine.verdict.as_ref();
        EmpathyDraft {
            draft: mine.draft.as_ref().map_or(MaybeDraft::None(NoDraft {}), |draft| MaybeDraft::Draft(draft.view())),
            can_consent: mine.may_be_edited() && mine.draft.as_ref().is_some_and(|draft| draft.ready),
            already_consented: mine.shared().is_some(),
            partner_validated: mine.is_validated(),
            awaiting_revision: mine.awaits_revision(),
            partner_feedback: verdict.filter(|verdict| verdict.feedback_shared).and_then(|v| v.feedback.clone()),
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
            partner_attempt: self.partner_attempt_view(),
            seq: self.session.seq,
        }
    }

    pub(super) fn partner_empathy(&self) -> PartnerEmpathy {
        let verdict = self.partner.and_then(|partner| partner.empathy.verdict.as_ref());
        PartnerEmpathy {
            attempt: self.partner_attempt_view(),
            waiting_for_partner: !self.partner_has_consented(),
            validated: verdict.is_some_and(|verdict| verdict.validated),
            validated_at: verdict.filter(|verdict| verdict.validated).map(|verdict| verdict.at),
            awaiting_revision: self.partner.is_some_and(|partner| partner.empathy.awaits_revision()),
            feedback: verdict.and_then(|verdict| verdict.feedback.clone()),
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
