//! Stage 4 on the proposal path, for one viewer. Proposals have no visible author. The partner's stances are visible
//! once both have submitted. Declined needs, the walkthrough and sub-chats are visible to their owner only.

mod cards;
mod closing;
mod sub_chats;
mod walkthrough;

pub(super) use cards::{ProposalCard, SelectionView};
pub use closing::Stage4Closed;
pub(super) use closing::Stage4Outcome;
use serde::Serialize;

pub use sub_chats::{SubChatAnswer, SubChatResolved};
pub(super) use walkthrough::{CoverageAudit, UnaddressedNeed, Walkthrough};

use super::{Answer, TendingPreview, Viewer};
use crate::{command::Stage4Command, event::Event, ids::Seq, stage4::ClosureKind, time::Timestamp};

/// Where the viewer is on the proposal path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Stage4Phase {
    InventoryBuilding,
    CoverageReview,
    Selection,
    OutcomeReview,
    Closing,
    ClosedSharedAgreement,
    ClosedNoSharedAgreement,
}

/// Whether a partner has handed in all stances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum SelectionStatus {
    NotStarted,
    Submitted,
}

impl SelectionStatus {
    fn of(is_submitted: bool) -> Self {
        if is_submitted { SelectionStatus::Submitted } else { SelectionStatus::NotStarted }
    }
}

/// The proposals, and the needs that none of them addresses.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Inventory {
    shared_proposals: Vec<ProposalCard>,
    /// Always empty.
    individual_commitments: Vec<ProposalCard>,
    unaddressed_needs: Vec<UnaddressedNeed>,
    /// Always 0.
    removed_proposal_count: usize,
    updated_at: Timestamp,
}

/// The answer to `GET /sessions/{id}/stage4`: the proposal path as the viewer sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage4State {
    phase: Stage4Phase,
    walkthrough: Walkthrough,
    inventory: Inventory,
    coverage_audit: CoverageAudit,
    my_selections: Vec<SelectionView>,
    /// Empty until both have shared.
    partner_selections: Vec<SelectionView>,
    my_selection_status: SelectionStatus,
    partner_selection_status: SelectionStatus,
    /// Null until one of the two has closed the stage.
    outcome: Option<Stage4Outcome>,
    /// Null until the session is resolved.
    tending_preview: Option<TendingPreview>,
    seq: Seq,
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage4Changed {
    state: Stage4State,
    seq: Seq,
}

/// The answer to a stance: one proposal, or several.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SelectionSubmitted {
    submitted: bool,
    submitted_at: Option<Timestamp>,
    /// The partner has handed in all stances.
    partner_submitted: bool,
    state: Stage4State,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn stage4_answer(&self, command: &Stage4Command, events: &[Event]) -> Answer {
        match command {
            Stage4Command::Look => Answer::Stage4(Box::new(self.stage4())),
            Stage4Command::Select(_) => Answer::SelectionSubmitted(Box::new(self.selection_submitted())),
            Stage4Command::Share
            | Stage4Command::Unshare
            | Stage4Command::DeclineNeed(_)
            | Stage4Command::WalkNeed(_) => {
                Answer::Stage4Changed(Box::new(Stage4Changed { state: self.stage4(), seq: self.session.seq }))
            }
            Stage4Command::Close(_) => self.stage4_closed(),
            Stage4Command::OpenSubChat(open) => self.sub_chat_opened(open),
            Stage4Command::ReadSubChat(id) => self.sub_chat(id),
            Stage4Command::SayInSubChat(say) => self.sub_chat(&say.chat),
            Stage4Command::ResolveSubChat(resolve) => self.sub_chat_resolved(&resolve.chat, events),
        }
    }

    pub(super) fn stage4(&self) -> Stage4State {
        let (session, side) = (self.session, self.side);
        let is_submitted = |side| SelectionStatus::of(session.latest_submission(side).is_some());
        let rows = session.coverage(side);
        Stage4State {
            phase: self.stage4_phase(!rows.is_empty()),
            walkthrough: self.walkthrough(&rows),
            inventory: Inventory {
                shared_proposals: self.cards(),
                individual_commitments: Vec::new(),
                unaddressed_needs: self.unaddressed(&rows),
                removed_proposal_count: 0,
                updated_at: session.updated_at,
            },
            coverage_audit: self.coverage_audit(&rows),
            my_selections: self.selections_of(side),
            partner_selections: self.partner_selections(),
            my_selection_status: is_submitted(side),
            partner_selection_status: is_submitted(side.other()),
            outcome: self.stage4_outcome(&rows),
            tending_preview: self.tending_preview(),
            seq: session.seq,
        }
    }

    /// It reveals only that the partner has submitted.
    fn stage4_phase(&self, is_audited: bool) -> Stage4Phase {
        let (session, side) = (self.session, self.side);
        let mine = session.latest_submission(side).is_some();
        let theirs = session.latest_submission(side.other()).is_some();
        match &session.closure {
            Some(closure) if closure.kind == ClosureKind::SharedAgreement => Stage4Phase::ClosedSharedAgreement,
            Some(_) => Stage4Phase::ClosedNoSharedAgreement,
            None if session.has_proposal() => Stage4Phase::Closing,
            None if mine && theirs => Stage4Phase::OutcomeReview,
            None if mine || theirs || !self.me.stage4.stances.is_empty() => Stage4Phase::Selection,
            None if is_audited => Stage4Phase::CoverageReview,
            None => Stage4Phase::InventoryBuilding,
        }
    }

    fn selection_submitted(&self) -> SelectionSubmitted {
        let stances = self.me.stage4.stances.values();
        SelectionSubmitted {
            submitted: true,
            submitted_at: stances.map(|stance| stance.updated_at).max(),
            partner_submitted: self.session.latest_submission(self.side.other()).is_some(),
            state: self.stage4(),
            seq: self.session.seq,
        }
    }
}
