//! The progress of both partners: the viewer's own in detail, the partner's as stage and status.

use serde::Serialize;

use super::{GatesView, Viewer};
use crate::{
    command::Advance,
    event::{Event, EventBody},
    ids::{Seq, SessionId},
    rules::BlockedReason,
    stage::{SessionStatus, Stage, StageStatus},
    time::Timestamp,
};

/// The answer to `GET /sessions/{id}/progress`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    session_id: SessionId,
    session_status: SessionStatus,
    my_progress: MyProgress,
    partner_progress: PartnerProgress,
    can_advance: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    advance_blocked_reason: Option<BlockedReason>,
    milestones: Milestones,
    seq: Seq,
}

/// The viewer's current stage, in detail.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct MyProgress {
    stage: Stage,
    status: StageStatus,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    gates: GatesView,
    /// The same as `gates`, with what only the app reads.
    gates_satisfied: GatesView,
}

/// The partner's current stage. The partner's gates stay private.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct PartnerProgress {
    pub(super) stage: Stage,
    pub(super) status: StageStatus,
}

/// When the viewer reached each milestone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Milestones {
    compact_signed_at: Option<Timestamp>,
    /// When stage 1 was opened; null before.
    witness_started_at: Option<Timestamp>,
    feel_heard_confirmed_at: Option<Timestamp>,
    empathy_shared_at: Option<Timestamp>,
    needs_shared_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
}

/// The answer to `GET /sessions/{id}/stages/{stage}/gates`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GatesAnswer {
    stage: Stage,
    gates: GatesView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/stages/advance`. A blocked advance is an answer, too.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    success: bool,
    /// The same as `success`.
    advanced: bool,
    /// The caller's progress after the call, whether advanced or not.
    new_progress: MyProgress,
    new_stage: Stage,
    new_status: StageStatus,
    /// When the stage that the caller is in was opened.
    advanced_at: Option<Timestamp>,
    /// Left out if the caller has advanced.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_reason: Option<BlockedReason>,
    /// The keys of the caller's missing gates. Left out if the caller has advanced.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsatisfied_gates: Option<Vec<&'static str>>,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/compact/sign`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CompactSigned {
    signed: bool,
    signed_at: Option<Timestamp>,
    partner_signed: bool,
    can_advance: bool,
    seq: Seq,
}

/// The answer to `GET /sessions/{id}/compact/status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CompactStatus {
    my_signed: bool,
    my_signed_at: Option<Timestamp>,
    /// False until the viewer has signed.
    partner_signed: bool,
    /// Null until the viewer has signed.
    partner_signed_at: Option<Timestamp>,
    can_advance: bool,
    /// Always true.
    is_first_session: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/feel-heard`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeelHeard {
    confirmed: bool,
    confirmed_at: Option<Timestamp>,
    can_advance: bool,
    /// The partner is past this stage.
    partner_completed: bool,
    /// Always null: another service keeps the emotional barometer.
    final_emotional_reading: Option<u8>,
    /// 2 if the coordinator has advanced the caller, else null.
    advanced_to_stage: Option<Stage>,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn can_advance(&self) -> bool {
        self.session.next_stage(self.side).is_ok()
    }

    /// The stored one, or `WAITING` for a viewer who has done everything while the partner has not.
    pub(super) fn status(&self) -> SessionStatus {
        if self.session.is_waiting(self.side) { SessionStatus::Waiting } else { self.session.status }
    }

    pub(super) fn my_progress(&self) -> MyProgress {
        let stage = self.me.stage();
        let record = self.me.record(stage);
        MyProgress {
            stage,
            status: self.session.stage_status(self.side, stage),
            started_at: record.map(|record| record.started_at),
            completed_at: record.and_then(|record| record.completed_at),
            gates: self.gates(stage),
            gates_satisfied: self.gates_satisfied(stage),
        }
    }

    /// Stage 0 has one gate. That the partner has satisfied it is hidden until the viewer has signed, too.
    pub(super) fn partner_progress(&self) -> PartnerProgress {
        let side = self.side.other();
        let has_signed = self.partner.is_some_and(|partner| partner.compact_signed_at.is_some());
        if has_signed && self.me.compact_signed_at.is_none() {
            return PartnerProgress { stage: Stage::Onboarding, status: StageStatus::InProgress };
        }
        let stage = self.session.stage_of(side);
        PartnerProgress { stage, status: self.session.stage_status(side, stage) }
    }

    pub(super) fn progress(&self) -> Progress {
        let next = self.session.next_stage(self.side);
        let me = self.me;
        Progress {
            session_id: self.session.id.clone(),
            session_status: self.status(),
            my_progress: self.my_progress(),
            partner_progress: self.partner_progress(),
            can_advance: next.is_ok(),
            advance_blocked_reason: next.err().map(|blocked| blocked.reason),
            milestones: Milestones {
                compact_signed_at: me.compact_signed_at,
                witness_started_at: me.record(Stage::Witness).map(|record| record.started_at),
                feel_heard_confirmed_at: me.feel_heard_at,
                empathy_shared_at: me.empathy.shared().map(|attempt| attempt.shared_at),
                needs_shared_at: me.needs.shared_at.filter(|_| me.needs.consent_stands()),
                resolved_at: self.session.resolved_at,
            },
            seq: self.session.seq,
        }
    }

    pub(super) fn gates_answer(&self, stage: Stage) -> GatesAnswer {
        GatesAnswer { stage, gates: self.gates(stage), seq: self.session.seq }
    }

    pub(super) fn advanced(&self, advance: &Advance, events: &[Event]) -> Advanced {
        let moved = events.iter().any(|event| matches!(event.body, EventBody::Advanced { .. }));
        let blocked = if moved { None } else { self.session.advance_outcome(self.side, advance).into_blocked() };
        let progress = self.my_progress();
        Advanced {
            success: blocked.is_none(),
            advanced: blocked.is_none(),
            new_stage: progress.stage,
            new_status: progress.status,
            advanced_at: progress.started_at,
            new_progress: progress,
            blocked_reason: blocked.as_ref().map(|blocked| blocked.reason),
            unsatisfied_gates: blocked.map(|blocked| blocked.unsatisfied),
            seq: self.session.seq,
        }
    }

    pub(super) fn compact_signed(&self) -> CompactSigned {
        CompactSigned {
            signed: self.me.compact_signed_at.is_some(),
            signed_at: self.me.compact_signed_at,
            partner_signed: self.partner_signed_at().is_some(),
            can_advance: self.can_advance(),
            seq: self.session.seq,
        }
    }

    pub(super) fn compact_status(&self) -> CompactStatus {
        CompactStatus {
            my_signed: self.me.compact_signed_at.is_some(),
            my_signed_at: self.me.compact_signed_at,
            partner_signed: self.partner_signed_at().is_some(),
            partner_signed_at: self.partner_signed_at(),
            can_advance: self.me.stage() == Stage::Onboarding && self.can_advance(),
            is_first_session: true,
            seq: self.session.seq,
        }
    }

    pub(super) fn feel_heard(&self) -> FeelHeard {
        FeelHeard {
            confirmed: self.me.feel_heard_at.is_some(),
            confirmed_at: self.me.feel_heard_at,
            can_advance: self.can_advance(),
            partner_completed: self.partner.is_some_and(|partner| partner.has_left(Stage::Witness)),
            final_emotional_reading: None,
            advanced_to_stage: (self.me.in_app_mode() && self.me.has_left(Stage::Witness))
                .then_some(Stage::PerspectiveStretch),
            seq: self.session.seq,
        }
    }
}
