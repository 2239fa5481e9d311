//! How the stage ended.

use serde::Serialize;

use super::{ProposalCard, Stage4State, walkthrough::UnaddressedNeed};
use crate::{
    ids::Seq,
    rules::CoverageRow,
    stage4::{ClosureKind, ClosureReason},
    time::Timestamp,
    view::{AgreementView, Answer, Viewer},
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stage4Outcome {
    kind: ClosureKind,
    reason: ClosureReason,
    /// The words of the partner who closed, or a general sentence.
    summary: String,
    agreements: Vec<AgreementView>,
    individual_commitments: Vec<ProposalCard>,
    open_needs: Vec<UnaddressedNeed>,
    closed_at: Timestamp,
    check_in_at: Option<Timestamp>,
}

/// The answer to `POST /sessions/{id}/stage4/close`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage4Closed {
    closed: bool,
    closed_at: Timestamp,
    outcome: Stage4Outcome,
    state: Stage4State,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn stage4_outcome(&self, rows: &[CoverageRow<'_>]) -> Option<Stage4Outcome> {
        let closure = self.session.closure.as_ref()?;
        let general = match closure.kind {
            ClosureKind::SharedAgreement => "You both agreed on what to try.",
            ClosureKind::NoSharedAgreement => "You closed without a shared agreement.",
        };
        let agreed = self.session.agreements.iter().filter(|agreement| closure.agreements.contains(&agreement.id));
        Some(Stage4Outcome {
            kind: closure.kind,
            reason: closure.reason,
            summary: closure.summary.as_ref().map_or(general, |summary| summary.reveal()).to_owned(),
            agreements: agreed.map(|agreement| self.agreement(agreement)).collect(),
            individual_commitments: Vec::new(),
            open_needs: self.unaddressed(rows),
            closed_at: closure.at,
            check_in_at: Some(closure.check_in_at),
        })
    }

    pub(super) fn stage4_closed(&self) -> Answer {
        let state = self.stage4();
        match state.outcome.clone() {
            Some(outcome) => Answer::Stage4Closed(Box::new(Stage4Closed {
                closed: true,
                closed_at: outcome.closed_at,
                outcome,
                state,
                seq: self.session.seq,
            })),
            None => Answer::done(self.session.seq),
        }
    }
}
