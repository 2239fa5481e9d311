//! Proposals as cards, and stances on them.

use serde::Serialize;

use crate::{
    agreement::AgreementStatus,
    ids::{NeedId, StrategyId},
    private_text::PrivateText,
    rules::Submission,
    side::Side,
    stage4::Decision,
    strategy::Strategy,
    time::Timestamp,
    view::Viewer,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProposalKind {
    SharedProposal,
}

/// `CONVERTED_TO_AGREEMENT`: both have agreed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProposalStatus {
    Active,
    Revised,
    ConvertedToAgreement,
}

/// The owner of a need. Proposals have no visible author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SourceLabel {
    You,
    Partner,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddressedNeed {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<NeedId>,
    pub(crate) label: PrivateText,
    /// COVERED: the proposal names the need.
    coverage: &'static str,
}

/// A strategy of the pool, as the proposal path shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProposalCard {
    id: StrategyId,
    kind: ProposalKind,
    description: PrivateText,
    /// Always UNKNOWN: ideas bear no author.
    source_label: SourceLabel,
    needs_addressed: Vec<AddressedNeed>,
    duration: Option<PrivateText>,
    measure_of_success: Option<PrivateText>,
    status: ProposalStatus,
    /// Left out while the viewer has no stance.
    #[serde(skip_serializing_if = "Option::is_none")]
    my_decision: Option<Decision>,
    /// Absent until both have shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    partner_decision_visible: Option<Decision>,
}

/// A partner's stance on one proposal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct SelectionView {
    proposal_id: StrategyId,
    decision: Decision,
    note: Option<PrivateText>,
    selected_at: Timestamp,
    updated_at: Timestamp,
}

impl Viewer<'_> {
    /// The cards in an order that differs for each viewer and shows neither author nor age.
    pub(super) fn cards(&self) -> Vec<ProposalCard> {
        self.strategies_in_order().into_iter().map(|strategy| self.card(strategy)).collect()
    }

    pub(super) fn strategies_in_order(&self) -> Vec<&Strategy> {
        self.session.pool.in_order_for(&self.me.id, &self.session.salt)
    }

    pub(super) fn card(&self, strategy: &Strategy) -> ProposalCard {
        let session = self.session;
        let is_agreed = session.agreements.iter().any(|agreement| {
            agreement.strategy.as_ref() == Some(&strategy.id)
                && agreement.status.is_live()
                && agreement.status != AgreementStatus::Proposed
        });
        let shows_partner = session.latest_submissions(self.side).is_some();
        ProposalCard {
            id: strategy.id.clone(),
            kind: ProposalKind::SharedProposal,
            description: strategy.description.clone(),
            source_label: SourceLabel::Unknown,
            needs_addressed: self.addressed_needs(strategy),
            duration: strategy.duration.clone(),
            measure_of_success: strategy.measure_of_success.clone(),
            status: match (is_agreed, strategy.revised) {
                (true, _) => ProposalStatus::ConvertedToAgreement,
                (false, true) => ProposalStatus::Revised,
                (false, false) => ProposalStatus::Active,
            },
            my_decision: session.decision_of(self.side, &strategy.id),
            partner_decision_visible: session.decision_of(self.side.other(), &strategy.id).filter(|_| shows_partner),
        }
    }

    /// The needs that a proposal names. Needs that both share have their id and text; other entries have the proposal's
    /// own text. The id of a need that is not shared at present is left out.
    pub(in crate::view) fn addressed_needs(&self, strategy: &Strategy) -> Vec<AddressedNeed> {
        let mut addressed: Vec<AddressedNeed> = Vec::new();
        for words in &strategy.needs_addressed {
            let name = words.reveal().trim();
            let shared = self
                .session
                .shared_needs(self.side)
                .map(|(_, need)| need)
                .find(|need| need.id.as_str() == name || need.need.reveal().trim().eq_ignore_ascii_case(name));
            let is_an_id = self.session.is_need_id(name);
            let item = match shared {
                Some(need) => {
                    AddressedNeed { id: Some(need.id.clone()), label: need.need.clone(), coverage: "COVERED" }
                }
                None if is_an_id => continue,
                None => AddressedNeed { id: None, label: words.clone(), coverage: "COVERED" },
            };
            if !addressed.contains(&item) {
                addressed.push(item);
            }
        }
        addressed
    }

    /// A partner's stances, in the viewer's order. A ranking is shown as stances.
    pub(super) fn selections_of(&self, side: Side) -> Vec<SelectionView> {
        let Some(member) = self.session.member(side) else { return Vec::new() };
        let submission = self.session.latest_submission(side);
        let strategies = self.strategies_in_order().into_iter();
        if let Some(ranking @ Submission::Ranking(_)) = submission {
            let revealed_at = self.session.pool.reveal.as_ref().map(|reveal| reveal.at);
            let at = member.round.ranked_at.or(revealed_at).unwrap_or(self.session.updated_at);
            let view = |strategy: &Strategy| SelectionView {
                proposal_id: strategy.id.clone(),
                decision: if ranking.is_willing(&strategy.id) { Decision::Willing } else { Decision::NotWilling },
                note: None,
                selected_at: at,
                updated_at: at,
            };
            return strategies.map(view).collect();
        }
        let view = |strategy: &Strategy| {
            let stance = member.stage4.stances.get(&strategy.id)?;
            Some(SelectionView {
                proposal_id: strategy.id.clone(),
                decision: stance.decision,
                note: stance.note.clone(),
                selected_at: stance.selected_at,
                updated_at: stance.updated_at,
            })
        };
        strategies.filter_map(view).collect()
    }

    /// Empty until both have submitted.
    pub(super) fn partner_selections(&self) -> Vec<SelectionView> {
        match self.session.latest_submissions(self.side) {
            Some(_) => self.selections_of(self.side.other()),
            None => Vec::new(),
        }
    }
}
