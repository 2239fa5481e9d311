//! Agreements. Both partners see all of them.

use serde::Serialize;

use super::{Answer, Viewer};
use crate::{
    agreement::{Agreement, AgreementStatus, AgreementType, MAX_LIVE},
    command::AnswerAgreement,
    event::{Event, EventBody},
    ids::{AgreementId, Seq, StrategyId},
    private_text::PrivateText,
    time::Timestamp,
};

/// An agreement, as both partners see it. "Me" is the viewer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct AgreementView {
    id: AgreementId,
    strategy_id: Option<StrategyId>,
    description: PrivateText,
    #[serde(rename = "type")]
    kind: AgreementType,
    duration: Option<PrivateText>,
    measure_of_success: Option<PrivateText>,
    status: AgreementStatus,
    proposed_by_me: bool,
    proposed_at: Timestamp,
    agreed_by_me: bool,
    agreed_by_partner: bool,
    /// When both had agreed.
    agreed_at: Option<Timestamp>,
    /// When both are reminded; null if never.
    follow_up_date: Option<Timestamp>,
    /// What the partner who declined would rather have.
    modification: Option<PrivateText>,
    /// A partner has withdrawn content that the agreement was based on.
    has_stale_inputs: bool,
}

/// The answer to `GET /sessions/{id}/agreements`, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementsList {
    agreements: Vec<AgreementView>,
    /// How many agreements of a session can be proposed or agreed at a time.
    max_agreements: usize,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/agreements`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementProposed {
    agreement: AgreementView,
    /// False if a repeated request finds the proposal answered.
    awaiting_partner_confirmation: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/agreements/{agreementId}/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementAnswered {
    agreement: AgreementView,
    confirmed: bool,
    confirmed_at: Option<Timestamp>,
    /// The partner stands behind it: as the proposer, or by confirming.
    partner_confirmed: bool,
    /// There is an agreement of both.
    session_can_resolve: bool,
    /// Resolving is explicit, so this is true only after it.
    session_complete: bool,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn agreement(&self, agreement: &Agreement) -> AgreementView {
        let both = agreement.agreed_at.is_some();
        let is_open = agreement.status == AgreementStatus::Proposed;
        let is_mine = agreement.proposer == self.side;
        AgreementView {
            id: agreement.id.clone(),
            strategy_id: agreement.strategy.clone(),
            description: agreement.description.clone(),
            kind: agreement.kind,
            duration: agreement.duration.clone(),
            measure_of_success: agreement.measure_of_success.clone(),
            status: agreement.status,
            proposed_by_me: is_mine,
            proposed_at: agreement.proposed_at,
            agreed_by_me: both || (is_open && is_mine),
            agreed_by_partner: both || (is_open && !is_mine),
            agreed_at: agreement.agreed_at,
            follow_up_date: agreement.follow_up_at,
            modification: agreement.modification.clone(),
            has_stale_inputs: agreement.has_stale_inputs,
        }
    }

    pub(super) fn agreement_views(&self) -> Vec<AgreementView> {
        self.session.agreements.iter().map(|agreement| self.agreement(agreement)).collect()
    }

    pub(super) fn agreements(&self) -> AgreementsList {
        AgreementsList { agreements: self.agreement_views(), max_agreements: MAX_LIVE, seq: self.session.seq }
    }

    pub(super) fn agreement_proposed(&self, events: &[Event]) -> Answer {
        let proposed = events.iter().find_map(|event| {
            let EventBody::AgreementProposed { id, .. } = &event.body else { return None };
            self.session.agreements.iter().find(|one| one.id == *id)
        });
        match proposed {
            Some(agreement) => Answer::AgreementProposed(AgreementProposed {
                agreement: self.agreement(agreement),
                awaiting_partner_confirmation: agreement.status == AgreementStatus::Proposed,
                seq: self.session.seq,
            }),
            None => Answer::done(self.session.seq),
        }
    }

    pub(super) fn agreement_answered(&self, answer: &AnswerAgreement) -> Answer {
        let agreement = self.session.agreements.iter().find(|agreement| agreement.id == answer.agreement);
        let Some(agreement) = agreement else { return Answer::done(self.session.seq) };
        let view = self.agreement(agreement);
        Answer::AgreementAnswered(AgreementAnswered {
            confirmed: view.agreed_by_me,
            confirmed_at: if view.agreed_by_me { view.agreed_at.or(Some(view.proposed_at)) } else { None },
            partner_confirmed: view.agreed_by_partner,
            session_can_resolve: self.session.has_agreed(),
            session_complete: self.session.resolved_at.is_some(),
            agreement: view,
            seq: self.session.seq,
        })
    }
}
