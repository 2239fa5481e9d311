//! Agreements. Both partners see all of them.

use serde::Serialize;

use super::{Answer, Done, Viewer};
use crate::{
    agreement::{Agreement, AgreementStatus, AgreementType, MAX_LIVE},
    command::AnswerAgreement,
    event::{Event, EventBody},
    ids::{AgreementId, Seq, StrategyId},
    private_text::PrivateText,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementView {
    pub id: AgreementId,
    pub strategy_id: Option<StrategyId>,
    pub description: PrivateText,
    #[serde(rename = "type")]
    pub kind: AgreementType,
    pub duration: Option<PrivateText>,
    pub measure_of_success: Option<PrivateText>,
    pub status: AgreementStatus,
    pub proposed_by_me: bool,
    pub proposed_at: Timestamp,
    pub agreed_by_me: bool,
    pub agreed_by_partner: bool,
    /// When both had agreed.
    pub agreed_at: Option<Timestamp>,
    pub follow_up_date: Option<Timestamp>,
    /// What the partner who declined would rather have.
    pub modification: Option<PrivateText>,
    pub has_stale_inputs: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementsList {
    pub agreements: Vec<AgreementView>,
    pub max_agreements: usize,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementProposed {
    pub agreement: AgreementView,
    pub awaiting_partner_confirmation: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgreementAnswered {
    pub agreement: AgreementView,
    pub confirmed: bool,
    pub confirmed_at: Option<Timestamp>,
    pub partner_confirmed: bool,
    pub session_can_resolve: bool,
    /// Resolving is explicit, so this is true only after it.
    pub session_complete: bool,
    pub seq: Seq,
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
        let proposed = events.iter().find_map(|event| match &event.body {
            EventBody::AgreementProposed { id, .. } => self.session.agreements.iter().find(|one| one.id == *id),
            _ => None,
        });
        match proposed {
            Some(agreement) => Answer::AgreementProposed(AgreementProposed {
                agreement: self.agreement(agreement),
                awaiting_partner_confirmation: agreement.status == AgreementStatus::Proposed,
                seq: self.session.seq,
            }),
            None => Answer::Done(Done { done: true, seq: self.session.seq }),
        }
    }

    pub(super) fn agreement_answered(&self, answer: &AnswerAgreement) -> Answer {
        let agreement = self.session.agreements.iter().find(|agreement| agreement.id == answer.agreement);
        let Some(agreement) = agreement else { return Answer::Done(Done { done: true, seq: self.session.seq }) };
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
