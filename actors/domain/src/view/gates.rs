//! One's own gates, with the keys that are derived from the partner.

use serde::Serialize;

use super::Viewer;
use crate::{private_text::PrivateText, rules::Gates, stage::Stage, time::Timestamp};

/// One gate of the current stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct GateView {
    /// The key of the gate, as in `gates`, for example `compactSigned`.
    id: &'static str,
    /// What to do, in English, for example "Sign the Curiosity Compact".
    description: &'static str,
    satisfied: bool,
    /// Always true.
    required_for_advance: bool,
}

/// The viewer's gates of one stage. The fields depend on the stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub(super) enum GatesView {
    Stage0(Stage0Gates),
    Stage1(Stage1Gates),
    Stage2(Stage2Gates),
    Stage3(Stage3Gates),
    Stage4(Stage4Gates),
}

/// Onboarding: both sign the compact.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage0Gates {
    stage: Stage,
    compact_signed: bool,
    compact_signed_at: Option<Timestamp>,
    /// False until the viewer has signed.
    partner_compact_signed: bool,
}

/// The Witness: the viewer feels heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage1Gates {
    stage: Stage,
    feel_heard_confirmed: bool,
    feel_heard_confirmed_at: Option<Timestamp>,
    /// Whether the app offers the confirmation to the viewer. It is not a gate, and only the viewer's own progress
    /// shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    feel_heard_check_offered: Option<bool>,
    /// The feedback that the viewer gave on being heard.
    feedback: Option<PrivateText>,
    /// Always null: another service keeps the emotional barometer.
    final_emotional_reading: Option<u8>,
}

/// Perspective Stretch: both share an attempt and validate the other's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage2Gates {
    stage: Stage,
    empathy_draft_ready: bool,
    empathy_consented: bool,
    /// The viewer has validated what the partner wrote.
    empathy_validated: bool,
    partner_consented: bool,
    /// The partner has validated what the viewer wrote.
    partner_validated: bool,
}

/// Need Mapping: both confirm and share needs, and confirm the common ground.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage3Gates {
    stage: Stage,
    needs_confirmed: bool,
    needs_shared: bool,
    common_ground_confirmed: bool,
    /// The viewer finds both lists right. Stands for the gate of the common ground.
    needs_validated: bool,
    partner_needs_confirmed: bool,
}

/// Strategic Repair: the steps to an agreement. The session ends by resolving, without an advance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage4Gates {
    stage: Stage,
    strategies_submitted: bool,
    rankings_submitted: bool,
    overlap_identified: bool,
    agreement_created: bool,
}

impl Viewer<'_> {
    pub(super) fn gates(&self, stage: Stage) -> GatesView {
        match self.session.gates(self.side, stage) {
            Gates::Onboarding { compact_signed } => GatesView::Stage0(Stage0Gates {
                stage,
                compact_signed,
                compact_signed_at: self.me.compact_signed_at,
                partner_compact_signed: self.partner_signed_at().is_some(),
            }),
            Gates::Witness { feel_heard } => GatesView::Stage1(Stage1Gates {
                stage,
                feel_heard_confirmed: feel_heard,
                feel_heard_confirmed_at: self.me.feel_heard_at,
                feel_heard_check_offered: None,
                feedback: self.me.feel_heard_feedback.clone(),
                final_emotional_reading: None,
            }),
            Gates::PerspectiveStretch { draft_ready, consented, validated } => GatesView::Stage2(Stage2Gates {
                stage,
                empathy_draft_ready: draft_ready,
                empathy_consented: consented,
                empathy_validated: validated,
                partner_consented: self.partner.is_some_and(|partner| partner.empathy.shared().is_some()),
                partner_validated: self.me.empathy.is_validated(),
            }),
            Gates::NeedMapping { confirmed, shared, common_ground, validated } => GatesView::Stage3(Stage3Gates {
                stage,
                needs_confirmed: confirmed,
                needs_shared: shared,
                common_ground_confirmed: common_ground,
                needs_validated: validated,
                partner_needs_confirmed: self.partner.is_some_and(|partner| partner.needs.any_confirmed()),
            }),
            Gates::StrategicRepair { submitted, ranked, overlap, agreement } => GatesView::Stage4(Stage4Gates {
                stage,
                strategies_submitted: submitted,
                rankings_submitted: ranked,
                overlap_identified: overlap,
                agreement_created: agreement,
            }),
        }
    }

    /// The gates as the app reads them in one's own progress.
    pub(super) fn gates_satisfied(&self, stage: Stage) -> GatesView {
        let offered = self.settings.app.offer_feel_heard || self.me.feel_heard_offered_at.is_some();
        let mut gates = self.gates(stage);
        if let GatesView::Stage1(gates) = &mut gates {
            gates.feel_heard_check_offered = Some(offered);
        }
        gates
    }

    pub(super) fn current_gates(&self) -> Vec<GateView> {
        let gates = self.session.gates(self.side, self.me.stage()).each();
        let view = |(gate, satisfied): (crate::rules::Gate, bool)| GateView {
            id: gate.as_str(),
            description: gate.description(),
            satisfied,
            required_for_advance: true,
        };
        gates.into_iter().map(view).collect()
    }

    /// When the partner signed the compact: hidden until the viewer has.
    pub(super) fn partner_signed_at(&self) -> Option<Timestamp> {
        self.me.compact_signed_at.and(self.partner?.compact_signed_at)
    }
}
