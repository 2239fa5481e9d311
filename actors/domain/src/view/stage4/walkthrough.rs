//! The walk through the shared needs, one's own first, and the audit of what the proposals answer.

use std::time::Duration;

use serde::Serialize;

use super::{ProposalCard, cards::SourceLabel};
use crate::{
    command::CHECK_IN_AFTER,
    ids::{NeedId, StrategyId},
    private_text::PrivateText,
    rules::{Coverage, CoverageRow},
    side::Side,
    stage4::WalkStep,
    time::Timestamp,
    view::Viewer,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum WalkthroughPhase {
    MyNeeds,
    PartnerNeeds,
    QualityReview,
    Summary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum WalkedNeedStatus {
    NotStarted,
    InProgress,
    Covered,
    Skipped,
    /// No proposal answers it yet.
    NeedsOptions,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct WalkedNeed {
    id: NeedId,
    label: PrivateText,
    source: SourceLabel,
    status: WalkedNeedStatus,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProposalGroup {
    key: &'static str,
    title: &'static str,
    read_only: bool,
    proposals: Vec<ProposalCard>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct QualityWarning {
    proposal_id: StrategyId,
    description: PrivateText,
    warning: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_revision: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Walkthrough {
    phase: WalkthroughPhase,
    current_need: Option<WalkedNeed>,
    current_index: usize,
    total_in_phase: usize,
    own_needs: Vec<WalkedNeed>,
    partner_needs: Vec<WalkedNeed>,
    proposal_groups: Vec<ProposalGroup>,
    /// Always empty: judging the wording is another service's work.
    quality_warnings: Vec<QualityWarning>,
    /// As 2026-02-01.
    default_check_in_date: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageRowView {
    id: NeedId,
    label: PrivateText,
    source: SourceLabel,
    covering_proposal_ids: Vec<StrategyId>,
    note: Option<PrivateText>,
    /// Whether the viewer has declined to address the need.
    user_declined_to_address: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageAudit {
    covered: Vec<CoverageRowView>,
    partial: Vec<CoverageRowView>,
    open: Vec<CoverageRowView>,
    updated_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnaddressedNeed {
    id: NeedId,
    label: PrivateText,
    source: SourceLabel,
    note: &'static str,
}

/// The day in UTC, as 2026-02-01.
pub(in crate::view) fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

impl Viewer<'_> {
    fn source(&self, owner: Side) -> SourceLabel {
        if owner == self.side { SourceLabel::You } else { SourceLabel::Partner }
    }

    pub(super) fn walkthrough(&self, rows: &[CoverageRow<'_>]) -> Walkthrough {
        let of = |side| rows.iter().filter(move |row| row.owner == side);
        let is_left = |row: &&CoverageRow<'_>| !self.me.stage4.walked.contains_key(&row.need.id);
        let (mine, theirs) = (self.side, self.side.other());
        let (phase, owner, current) = match (of(mine).find(is_left), of(theirs).find(is_left)) {
            _ if self.session.resolved_at.is_some() => (WalkthroughPhase::Summary, None, None),
            (Some(row), _) => (WalkthroughPhase::MyNeeds, Some(mine), Some(row)),
            (None, Some(row)) => (WalkthroughPhase::PartnerNeeds, Some(theirs), Some(row)),
            (None, None) => (WalkthroughPhase::QualityReview, None, None),
        };
        let is_current = |row: &CoverageRow<'_>| current.is_some_and(|current| current.need.id == row.need.id);
        let view = |row: &CoverageRow<'_>| WalkedNeed {
            id: row.need.id.clone(),
            label: row.need.need.clone(),
            source: self.source(row.owner),
            status: match self.me.stage4.walked.get(&row.need.id) {
                Some(WalkStep::Covered) => WalkedNeedStatus::Covered,
                Some(WalkStep::Skipped) => WalkedNeedStatus::Skipped,
                None if is_current(row) => WalkedNeedStatus::InProgress,
                None if row.covering.is_empty() => WalkedNeedStatus::NeedsOptions,
                None => WalkedNeedStatus::NotStarted,
            },
        };
        let in_phase = |owner: Option<Side>| rows.iter().filter(move |row| Some(row.owner) == owner);
        Walkthrough {
            phase,
            current_need: current.map(view),
            current_index: in_phase(owner).position(is_current).unwrap_or(0),
            total_in_phase: in_phase(owner).count(),
            own_needs: of(mine).map(view).collect(),
            partner_needs: of(theirs).map(view).collect(),
            proposal_groups: current.into_iter().map(|row| self.group(row)).collect(),
            quality_warnings: Vec::new(),
            default_check_in_date: date(self.now + CHECK_IN_AFTER.max(Duration::ZERO)),
        }
    }

    fn group(&self, row: &CoverageRow<'_>) -> ProposalGroup {
        let covering = self.strategies_in_order().into_iter().filter(|strategy| row.covering.contains(&strategy.id));
        ProposalGroup {
            key: "shared_options",
            title: "What you could do together",
            read_only: false,
            proposals: covering.map(|strategy| self.card(strategy)).collect(),
        }
    }

    pub(super) fn coverage_audit(&self, rows: &[CoverageRow<'_>]) -> CoverageAudit {
        let with = |coverage| {
            let those = rows.iter().filter(move |row| row.coverage == coverage);
            those
                .map(|row| CoverageRowView {
                    id: row.need.id.clone(),
                    label: row.need.need.clone(),
                    source: self.source(row.owner),
                    covering_proposal_ids: row.covering.clone(),
                    note: None,
                    user_declined_to_address: self.me.stage4.declined_needs.contains(&row.need.id),
                })
                .collect()
        };
        CoverageAudit {
            covered: with(Coverage::Covered),
            partial: with(Coverage::Partial),
            open: with(Coverage::Open),
            updated_at: Some(self.session.updated_at).filter(|_| !rows.is_empty()),
        }
    }

    pub(super) fn unaddressed(&self, rows: &[CoverageRow<'_>]) -> Vec<UnaddressedNeed> {
        let open = rows.iter().filter(|row| row.coverage == Coverage::Open);
        open.map(|row| UnaddressedNeed {
            id: row.need.id.clone(),
            label: row.need.need.clone(),
            source: self.source(row.owner),
            note: "No proposal answers it yet",
        })
        .collect()
    }
}
