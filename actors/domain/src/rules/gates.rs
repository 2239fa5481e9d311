//! Gates: what a partner has to do in a stage before the partner may advance. They are computed from the state, so that
//! they cannot disagree with it.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::gate::Gate;
use crate::{
    agreement::AgreementStatus,
    member::Member,
    needs::NeedCategory,
    session::Session,
    side::Side,
    stage::{SessionStatus, Stage, StageStatus},
};

/// One partner's own gates of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gates {
    Onboarding {
        compact_signed: bool,
    },
    Witness {
        feel_heard: bool,
    },
    PerspectiveStretch {
        draft_ready: bool,
        consented: bool,
        validated: bool,
    },
    /// The third gate is satisfied by confirming the common ground or by validating the needs of both. Each generation
    /// of clients does one of the two, and both can occur in one session.
    NeedMapping {
        confirmed: bool,
        shared: bool,
        common_ground: bool,
        validated: bool,
    },
    StrategicRepair {
        submitted: bool,
        ranked: bool,
        overlap: bool,
        agreement: bool,
    },
}

impl Gates {
    pub(crate) fn satisfied(self) -> bool {
        match self {
            Gates::Onboarding { compact_signed } => compact_signed,
            Gates::Witness { feel_heard } => feel_heard,
            Gates::PerspectiveStretch { draft_ready, consented, validated } => draft_ready && consented && validated,
            Gates::NeedMapping { confirmed, shared, common_ground, validated } => {
                confirmed && shared && (common_ground || validated)
            }
            Gates::StrategicRepair { submitted, ranked, overlap, agreement } => {
                submitted && ranked && overlap && agreement
            }
        }
    }

    pub(crate) fn each(self) -> Vec<(Gate, bool)> {
        match self {
            Gates::Onboarding { compact_signed } => vec![(Gate::CompactSigned, compact_signed)],
            Gates::Witness { feel_heard } => vec![(Gate::FeelHeardConfirmed, feel_heard)],
            Gates::PerspectiveStretch { draft_ready, consented, validated } => vec![
                (Gate::EmpathyDraftReady, draft_ready),
                (Gate::EmpathyConsented, consented),
                (Gate::EmpathyValidated, validated),
            ],
            Gates::NeedMapping { confirmed, shared, common_ground, validated } => vec![
                (Gate::NeedsConfirmed, confirmed),
                (Gate::NeedsShared, shared),
                (Gate::CommonGroundConfirmed, common_ground || validated),
            ],
            Gates::StrategicRepair { submitted, ranked, overlap, agreement } => vec![
                (Gate::StrategiesSubmitted, submitted),
                (Gate::RankingsSubmitted, ranked),
                (Gate::OverlapIdentified, overlap),
                (Gate::AgreementCreated, agreement),
            ],
        }
    }

    pub(crate) fn unsatisfied(self) -> Vec<&'static str> {
        self.each().into_iter().filter(|(_, satisfied)| !satisfied).map(|(gate, _)| gate.as_str()).collect()
    }
}

/// Why a partner cannot advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BlockedReason {
    /// The partner's own gates are not all satisfied.
    GatesNotSatisfied,
    /// The other partner's gates are not.
    PartnerNotReady,
    /// The session is not active.
    SessionNotActive,
    /// There is no next stage.
    InvalidStageTransition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) reason: BlockedReason,
    /// The names of the caller's own gates. Of the partner's, only the derived keys that the caller may see.
    pub(crate) unsatisfied: Vec<&'static str>,
}

impl Blocked {
    pub(crate) fn because(reason: BlockedReason) -> Self {
        Self { reason, unsatisfied: Vec::new() }
    }
}

impl Session {
    /// A partner's own gates of a stage. None is satisfied if there is no such partner.
    pub(crate) fn gates(&self, side: Side, stage: Stage) -> Gates {
        let me = self.member(side);
        let partner = self.member(side.other());
        let of_me = |test: fn(&Member) -> bool| me.is_some_and(test);
        let of_partner = |test: fn(&Member) -> bool| partner.is_some_and(test);
        match stage {
            Stage::Onboarding => Gates::Onboarding { compact_signed: of_me(|me| me.compact_signed_at.is_some()) },
            Stage::Witness => Gates::Witness { feel_heard: of_me(|me| me.feel_heard_at.is_some()) },
            Stage::PerspectiveStretch => Gates::PerspectiveStretch {
                draft_ready: of_me(|me| {
                    me.empathy.shared().is_some() || me.empathy.draft.as_ref().is_some_and(|draft| draft.ready)
                }),
                consented: of_me(|me| me.empathy.shared().is_some()),
                validated: of_partner(|partner| partner.empathy.is_validated())
                    || of_me(|me| me.empathy.skipped_refinement()),
            },
            Stage::NeedMapping => Gates::NeedMapping {
                confirmed: of_me(|me| me.needs.any_confirmed()),
                shared: of_me(|me| me.needs.consent_stands()),
                common_ground: me.is_some_and(|me| self.common_ground_confirmed(me, partner)),
                validated: me.is_some_and(|me| self.needs_validated(me, partner)),
            },
            Stage::StrategicRepair => {
                let revealed = self.pool.reveal.is_some();
                let handed_in = self.latest_submission(side).is_some();
                Gates::StrategicRepair {
                    submitted: revealed || handed_in || of_me(|me| me.round.ready_at.is_some()),
                    ranked: revealed || handed_in,
                    overlap: revealed || self.round_overlap().is_some_and(|overlap| !overlap.is_empty()),
                    agreement: self.has_agreed(),
                }
            }
        }
    }

    /// The common ground has to be confirmed as it is now. When the partner has completed the stage, a revoked consent
    /// no longer holds this partner back.
    fn common_ground_confirmed(&self, me: &Member, partner: Option<&Member>) -> bool {
        me.needs.common_ground_at.is_some()
            && (partner.is_some_and(|partner| partner.has_left(Stage::NeedMapping))
                || self.common_ground().is_some_and(|categories| {
                    categories.iter().all(|category| me.needs.common_ground.contains_key(category))
                }))
    }

    /// Whether the gate is satisfied by validation. See [`Session::common_ground_confirmed`] for the alternative.
    fn needs_validated(&self, me: &Member, partner: Option<&Member>) -> bool {
        me.needs.validated_at.is_some()
            && partner.is_some_and(|partner| {
                partner.has_left(Stage::NeedMapping) || (partner.needs.consent_stands() && me.needs.consent_stands())
            })
    }

    /// The categories that both have shared. None before both have consented.
    pub(crate) fn common_ground(&self) -> Option<Vec<NeedCategory>> {
        let partner = self.invitee.as_ref()?;
        if !self.creator.needs.consent_stands() || !partner.needs.consent_stands() {
            return None;
        }
        let shares = |member: &Member, category| member.needs.shared().any(|need| need.category == category);
        let mut categories = NeedCategory::VARIANTS.to_vec();
        categories.retain(|category| shares(&self.creator, *category) && shares(partner, *category));
        Some(categories)
    }

    pub(crate) fn has_agreed(&self) -> bool {
        self.agreements.iter().any(|agreement| agreement.status == AgreementStatus::Agreed)
    }

    /// Whether a partner has satisfied the gates of a stage, or has completed it.
    pub(crate) fn is_done_with(&self, side: Side, stage: Stage) -> bool {
        self.member(side).is_some_and(|member| member.has_left(stage)) || self.gates(side, stage).satisfied()
    }

    pub(crate) fn stage_of(&self, side: Side) -> Stage {
        self.member(side).map_or(Stage::Onboarding, Member::stage)
    }

    pub(crate) fn stage_status(&self, side: Side, stage: Stage) -> StageStatus {
        match self.member(side).and_then(|member| member.record(stage)) {
            None => StageStatus::NotStarted,
            Some(record) if record.completed_at.is_some() => StageStatus::Completed,
            Some(_) if self.gates(side, stage).satisfied() && self.needs_partner(side, stage) => {
                StageStatus::GatePending
            }
            Some(_) => StageStatus::InProgress,
        }
    }

    /// The stage that the partner can advance to, or what blocks the advance. The checks are, in this order: session,
    /// transition, own gates, partner.
    pub(crate) fn next_stage(&self, side: Side) -> Result<Stage, Blocked> {
        let stage = self.stage_of(side);
        if self.status != SessionStatus::Active && !self.works_ahead(side, stage) {
            return Err(Blocked::because(BlockedReason::SessionNotActive));
        }
        let next = stage.next().ok_or_else(|| Blocked::because(BlockedReason::InvalidStageTransition))?;
        let gates = self.gates(side, stage);
        if !gates.satisfied() {
            return Err(Blocked { reason: BlockedReason::GatesNotSatisfied, unsatisfied: gates.unsatisfied() });
        }
        if self.needs_partner(side, stage) {
            let unsatisfied = self.partner_keys(side, stage);
            return Err(Blocked { reason: BlockedReason::PartnerNotReady, unsatisfied });
        }
        Ok(next)
    }

    /// Whether the advance has to wait for the partner's gates.
    fn needs_partner(&self, side: Side, stage: Stage) -> bool {
        let alone = match stage {
            Stage::Witness => true,
            // The creator in app mode does not wait, since the invited person may never join.
            Stage::Onboarding => side == Side::Creator && self.creator.in_app_mode(),
            Stage::PerspectiveStretch | Stage::NeedMapping | Stage::StrategicRepair => false,
        };
        !alone && !self.is_done_with(side.other(), stage)
    }

    /// A creator in app mode may work up to stage 2 before the partner has joined.
    fn works_ahead(&self, side: Side, stage: Stage) -> bool {
        let has_begun = match stage {
            Stage::Onboarding => self.invitation.sent_at.is_some(),
            Stage::Witness => true,
            Stage::PerspectiveStretch | Stage::NeedMapping | Stage::StrategicRepair => false,
        };
        side == Side::Creator && self.status == SessionStatus::Invited && self.creator.in_app_mode() && has_begun
    }

    /// The partner's missing gates, as the derived keys that a viewer may see.
    fn partner_keys(&self, side: Side, stage: Stage) -> Vec<&'static str> {
        let mut keys = Vec::new();
        match self.gates(side.other(), stage) {
            Gates::Onboarding { compact_signed: false } => keys.push("partnerCompactSigned"),
            Gates::PerspectiveStretch { consented, validated, .. } => {
                if !consented {
                    keys.push("partnerConsented");
                }
                if !validated {
                    keys.push("partnerValidated");
                }
            }
            Gates::NeedMapping { confirmed: false, .. } => keys.push("partnerNeedsConfirmed"),
            Gates::NeedMapping { confirmed: true, .. }
            | Gates::Onboarding { compact_signed: true }
            | Gates::Witness { .. }
            | Gates::StrategicRepair { .. } => {}
        }
        if keys.is_empty() {
            keys.push(PARTNER_READY);
        }
        keys
    }

    /// Whether this partner only waits for the other one.
    pub(crate) fn is_waiting(&self, side: Side) -> bool {
        matches!(self.next_stage(side), Err(Blocked { reason: BlockedReason::PartnerNotReady, .. }))
    }
}

/// The derived key when no other key may be shown.
pub(crate) const PARTNER_READY: &str = "partnerReady";
