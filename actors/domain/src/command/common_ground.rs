//! Stage 3, its end: what both have in common, and whether the two lists side by side are right. Either answer opens the gate of
//! the partner who gives it.

use serde::Deserialize;

use super::{Command, fields, turn::Turn};
use crate::{
    event::EventBody,
    member::Member,
    needs::{CommonGroundConfirmation, NeedCategory},
    private_text::PrivateText,
    rejection::{Code, Rejection},
    rules::Gates,
    stage::Stage,
};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "confirmations": [{"commonGroundId": "cground0000000000000000001", "confirmed": true}] }
)))]
pub struct ConfirmCommonGroundRequest {
    /// Empty if there is nothing in common.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<CommonGroundConfirmationRequest>))]
    pub confirmations: Option<Vec<CommonGroundConfirmationRequest>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommonGroundConfirmationRequest {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub common_ground_id: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    pub confirmed: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmCommonGround {
    confirmations: Vec<(PrivateText, bool)>,
}

impl TryFrom<ConfirmCommonGroundRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ConfirmCommonGroundRequest) -> Result<Self, Rejection> {
        let list =
            fields::required("confirmations", request.confirmations, "a list, empty if there is nothing in common")?;
        let mut confirmations: Vec<(PrivateText, bool)> = Vec::with_capacity(list.len());
        for item in list {
            let id = fields::required("confirmations.commonGroundId", item.common_ground_id, "an id of common ground")?;
            let id = PrivateText::new(id);
            let confirmed = fields::required("confirmations.confirmed", item.confirmed, "true or false")?;
            if confirmations.iter().any(|(known, _)| *known == id) {
                return Err(Rejection::invalid("confirmations", "the same id twice", "a list of different ids"));
            }
            confirmations.push((id, confirmed));
        }
        Ok(Command::ConfirmCommonGround(ConfirmCommonGround { confirmations }))
    }
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "validated": true })))]
pub struct ValidateNeedsRequest {
    /// True, if left out.
    pub validated: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateNeeds {
    validated: bool,
}

impl TryFrom<ValidateNeedsRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ValidateNeedsRequest) -> Result<Self, Rejection> {
        Ok(Command::ValidateNeeds(ValidateNeeds { validated: request.validated.unwrap_or(true) }))
    }
}

pub(super) fn confirm(turn: &mut Turn<'_>, confirm: &ConfirmCommonGround) -> Result<(), Rejection> {
    if turn.me.in_app_mode() && turn.me.has_left(Stage::NeedMapping) && repeats(turn, confirm) {
        return turn.must_be_active();
    }
    turn.must_be_in(Stage::NeedMapping)?;
    if !turn.me.needs.consent_stands() {
        return Err(Rejection::new(Code::ConsentRequired, "share your own needs first"));
    }
    let Some(common) = turn.session.common_ground() else {
        return Err(Rejection::partner_not_ready("your partner has not shared any needs yet"));
    };
    let mut categories = Vec::with_capacity(confirm.confirmations.len());
    for (id, confirmed) in &confirm.confirmations {
        let category = common.iter().find(|category| category.common_ground_id(&turn.session.id) == id.reveal());
        let category = *category.ok_or_else(|| {
            Rejection::invalid("confirmations.commonGroundId", "another id", "an id that GET common-ground names")
        })?;
        categories.push(CommonGroundConfirmation { category, confirmed: *confirmed });
    }
    if categories.is_empty() && !common.is_empty() {
        return Err(Rejection::invalid("confirmations", "an empty list", "a list with what GET common-ground names"));
    }
    let confirms = |category: &NeedCategory| match categories.iter().find(|answer| answer.category == *category) {
        Some(answer) => answer.confirmed,
        None => turn.me.needs.common_ground.contains_key(category),
    };
    let all = common.iter().all(confirms);
    let gates = turn.session.gates(turn.side, Stage::NeedMapping);
    let satisfied = all && matches!(gates, Gates::NeedMapping { confirmed: true, shared: true, .. });
    turn.record(EventBody::CommonGroundConfirmed { categories });
    turn.complete_stage(Stage::NeedMapping, satisfied);
    Ok(())
}

/// The app repeats a request whose answer was lost, also when its first arrival has moved the session on.
fn repeats(turn: &Turn<'_>, confirm: &ConfirmCommonGround) -> bool {
    let Member { needs: mine, .. } = turn.me;
    let known = |id: &PrivateText| {
        mine.common_ground.keys().any(|known| known.common_ground_id(&turn.session.id) == id.reveal())
    };
    mine.common_ground_at.is_some() && confirm.confirmations.iter().all(|(id, confirmed)| *confirmed && known(id))
}

/// A validation is a partner's own word, given with both lists in view: sharing alone never stands for it.
pub(super) fn validate(turn: &mut Turn<'_>, validate: &ValidateNeeds) -> Result<(), Rejection> {
    let mine = &turn.me.needs;
    if validate.validated && turn.me.has_left(Stage::NeedMapping) {
        // The app repeats a request whose answer was lost, also when its first arrival has moved the session on.
        return turn.must_be_active();
    }
    turn.must_be_in(Stage::NeedMapping)?;
    if !mine.consent_stands() {
        return Err(Rejection::gate("share your own needs first; then you see your partner's"));
    }
    if !turn.partner().is_some_and(|partner| partner.needs.consent_stands()) {
        return Err(Rejection::partner_not_ready("your partner has not shared any needs yet"));
    }
    if validate.validated != mine.validated_at.is_some() {
        turn.record(EventBody::NeedsValidated { validated: validate.validated });
        turn.complete_stage(Stage::NeedMapping, validate.validated && mine.any_confirmed());
    }
    Ok(())
}
