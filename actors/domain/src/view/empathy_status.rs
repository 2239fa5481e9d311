//! Empathy: both attempts and their status. The partner's attempt is visible while both consents stand. Every read
//! checks them.

use serde::Serialize;

use super::Viewer;
use crate::{
    consents::ConsentKind,
    empathy::{Attempt, AttemptStatus, DeliveryStatus},
    ids::{self, Seq, UserId},
    member::Member,
    private_text::PrivateText,
    stage::Stage,
    time::Timestamp,
};

/// A shared attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptView {
    pub(super) id: String,
    pub(super) source_user_id: UserId,
    pub(super) content: PrivateText,
    shared_at: Timestamp,
    pub(super) status: AttemptStatus,
    /// Since when both can see what the other wrote.
    revealed_at: Option<Timestamp>,
    /// The consent that its author has given.
    consent_record_id: Option<String>,
    /// How often it was shared anew.
    revision_count: u32,
    delivery_status: DeliveryStatus,
    validated_at: Option<Timestamp>,
}

/// The answer to `GET /sessions/{id}/empathy/partner`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PartnerEmpathy {
    attempt: Option<AttemptView>,
    waiting_for_partner: bool,
    /// Also of an attempt that is not revealed yet.
    partner_status: Option<AttemptStatus>,
    /// Whether the viewer has validated the partner's attempt.
    validated: bool,
    validated_at: Option<Timestamp>,
    /// The viewer has asked for a revision that has not come yet.
    awaiting_revision: bool,
    /// The viewer's feedback on the partner's attempt.
    feedback: Option<PrivateText>,
    seq: Seq,
}

/// Stage 2 at one glance. Fields that belong to other services are there and empty.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EmpathyStatus {
    my_attempt: Option<AttemptView>,
    /// Only what there is to judge, or what was judged right.
    partner_attempt: Option<AttemptView>,
    partner_completed_stage1: bool,
    /// Always false: nothing is analysed.
    analyzing: bool,
    /// Always false.
    awaiting_sharing: bool,
    /// The viewer is asked for a revision.
    has_new_shared_context: bool,
    /// Always false.
    has_unviewed_shared_context: bool,
    /// Always null: another service shares context.
    shared_context: Option<PrivateText>,
    /// Always null.
    refinement_hint: Option<PrivateText>,
    /// The viewer has left stage 2, or can leave it.
    ready_for_stage3: bool,
    /// 1 while a revision is asked for.
    message_count_since_shared_context: u32,
    /// Always null.
    shared_content_delivery_status: Option<DeliveryStatus>,
    /// Always null.
    my_shared_context: Option<PrivateText>,
    /// Always null.
    my_shared_at: Option<Timestamp>,
    /// Always null.
    my_reconciler_result: Option<PrivateText>,
    /// The partner's consent stands.
    partner_has_submitted_empathy: bool,
    /// The status of the partner's attempt; null while it is not shared.
    partner_empathy_held_status: Option<AttemptStatus>,
    partner_empathy_submitted_at: Option<Timestamp>,
    /// What the partner said of the viewer's attempt, if the partner has agreed to share it.
    partner_feedback: Option<PrivateText>,
    /// The same as `seq`.
    status_version: Seq,
    seq: Seq,
}

/// Another service offers context to share. There is none here.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShareOffer {
    /// Always false.
    has_suggestion: bool,
    /// Always null.
    suggestion: Option<PrivateText>,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn partner_has_consented(&self) -> bool {
        self.partner.is_some_and(|partner| partner.empathy.shared().is_some())
    }

    pub(super) fn my_attempt_status(&self) -> Option<AttemptStatus> {
        self.me.empathy.status(self.partner_has_consented())
    }

    fn partner_attempt_status(&self) -> Option<AttemptStatus> {
        self.partner?.empathy.status(self.me.empathy.shared().is_some())
    }

    /// The partner's attempt, while both consents stand.
    pub(super) fn partner_attempt_view(&self) -> Option<AttemptView> {
        self.me.empathy.shared()?;
        let partner = self.partner?;
        self.attempt_view(partner, partner.empathy.shared()?, true)
    }

    fn attempt_view(&self, author: &Member, attempt: &Attempt, other_shares: bool) -> Option<AttemptView> {
        let parts = [b"attempt".as_slice(), self.session.id.as_str().as_bytes(), author.id.as_str().as_bytes()];
        let consent = author.consents.in_force(ConsentKind::Empathy);
        let verdict = author.empathy.verdict.as_ref().filter(|verdict| verdict.validated);
        Some(AttemptView {
            id: ids::derived(&parts),
            source_user_id: author.id.clone(),
            content: attempt.content.clone(),
            shared_at: attempt.shared_at,
            status: author.empathy.status(other_shares)?,
            revealed_at: attempt.revealed_at.filter(|_| other_shares),
            consent_record_id: consent.map(|record| record.id(&self.session.id, &author.id)),
            revision_count: attempt.revision,
            delivery_status: author.empathy.delivery_status(other_shares),
            validated_at: verdict.map(|verdict| verdict.at),
        })
    }

    pub(super) fn partner_empathy(&self) -> PartnerEmpathy {
        let verdict = self.partner.and_then(|partner| partner.empathy.verdict.as_ref());
        PartnerEmpathy {
            attempt: self.partner_attempt_view(),
            waiting_for_partner: !self.partner_has_consented(),
            partner_status: self.partner_attempt_status(),
            validated: verdict.is_some_and(|verdict| verdict.validated),
            validated_at: verdict.filter(|verdict| verdict.validated).map(|verdict| verdict.at),
            awaiting_revision: self.partner.is_some_and(|partner| partner.empathy.awaits_revision()),
            feedback: verdict.and_then(|verdict| verdict.feedback.clone()),
            seq: self.session.seq,
        }
    }

    pub(super) fn empathy_status(&self) -> EmpathyStatus {
        let partner_shares = self.partner_has_consented();
        let mine = &self.me.empathy;
        let partner_attempt = self.partner_attempt_view();
        let is_shown =
            |attempt: &AttemptView| matches!(attempt.status, AttemptStatus::Revealed | AttemptStatus::Validated);
        let is_asked_to_refine = mine.awaits_revision();
        let left = self.me.has_left(Stage::PerspectiveStretch);
        EmpathyStatus {
            my_attempt: mine.shared().and_then(|attempt| self.attempt_view(self.me, attempt, partner_shares)),
            partner_attempt: partner_attempt.filter(is_shown),
            partner_completed_stage1: self.partner.is_some_and(|partner| partner.stage() > Stage::Witness),
            analyzing: false,
            awaiting_sharing: false,
            has_new_shared_context: is_asked_to_refine,
            has_unviewed_shared_context: false,
            shared_context: None,
            refinement_hint: None,
            ready_for_stage3: left || (self.me.stage() == Stage::PerspectiveStretch && self.can_advance()),
            message_count_since_shared_context: u32::from(is_asked_to_refine),
            shared_content_delivery_status: None,
            my_shared_context: None,
            my_shared_at: None,
            my_reconciler_result: None,
            partner_has_submitted_empathy: partner_shares,
            partner_empathy_held_status: self.partner_attempt_status(),
            partner_empathy_submitted_at: self
                .partner
                .and_then(|partner| partner.empathy.shared())
                .map(|attempt| attempt.shared_at),
            partner_feedback: self.partner_feedback(),
            status_version: self.session.seq,
            seq: self.session.seq,
        }
    }

    /// What the partner said of one's own attempt, if the partner has agreed to share it.
    pub(super) fn partner_feedback(&self) -> Option<PrivateText> {
        let verdict = self.me.empathy.verdict.as_ref().filter(|verdict| verdict.feedback_shared)?;
        verdict.feedback.clone()
    }

    pub(super) fn share_offer(&self) -> ShareOffer {
        ShareOffer { has_suggestion: false, suggestion: None, seq: self.session.seq }
    }
}
