//! One's own gates, with the keys that are derived from the partner.

use serde::Serialize;

use super::Viewer;
use crate::{private_text::PrivateText, rules::Gates, stage::Stage, time::Timestamp};

/// One gate of the current stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    pub id: &'static str,
    pub description: &'static str,
    pub satisfied: bool,
    pub required_for_advance: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum GatesView {
    Stage0(Stage0Gates),
    Stage1(Stage1Gates),
    Stage2(Stage2Gates),
    Stage3(Stage3Gates),
    Stage4(Stage4Gates),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage0Gates {
    pub stage: Stage,
    pub compact_signed: bool,
    pub compact_signed_at: Option<Timestamp>,
    /// False until the viewer has signed.
    pub partner_compact_signed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage1Gates {
    pub stage: Stage,
    pub feel_heard_confirmed: bool,
    pub feel_heard_confirmed_at: Option<Timestamp>,
    /// Whether the app offers the confirmation to the viewer. It is not a gate, and only the viewer's own progress
    /// shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feel_heard_check_offered: Option<bool>,
    /// One's own.
    pub feedback: Option<PrivateText>,
    pub final_emotional_reading: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage2Gates {
    pub stage: Stage,
    pub empathy_draft_ready: bool,
    pub empathy_consented: bool,
    /// The viewer has validated what the partner wrote.
    pub empathy_validated: bool,
    pub partner_consented: bool,
    /// The partner has validated what the viewer wrote.
    pub partner_validated: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage3Gates {
    pub stage: Stage,
    pub needs_confirmed: bool,
    pub needs_shared: bool,
    pub common_ground_confirmed: bool,
    /// The viewer finds both lists right. Stands for the gate of the common ground.
    pub needs_validated: bool,
    pub partner_needs_confirmed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stage4Gates {
    pub stage: Stage,
    pub strategies_submitted: bool,
    pub rankings_submitted: bool,
    pub overlap_identified: bool,
    pub agreement_created: bool,
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
        match self.gates(stage) {
            GatesView::Stage1(gates) => {
                GatesView::Stage1(Stage1Gates { feel_heard_check_offered: Some(offered), ..gates })
            }
            gates => gates,
        }
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
