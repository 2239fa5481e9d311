//! The end of stage 3: confirming the common ground, or validating both lists of needs. Either satisfies the third gate
//! of the partner who does it.

use serde::Deserialize;

use super::{Command, action::MemberAction, fields};
use crate::{
    event::EventBody,
    member::Member,
    needs::{CommonGroundConfirmation, NeedCategory},
    private_text::PrivateText,
    rejection::{Code, Rejection},
    rules::Gates,
    stage::Stage,
};

/// The body of `POST /sessions/{id}/common-ground/confirm`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "confirmations": [{"commonGroundId": "cground0000000000000000001", "confirmed": true}] }
)))]
pub struct ConfirmCommonGroundRequest {
    /// Empty if there is nothing in common.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<CommonGroundConfirmationRequest>))]
    confirmations: Option<Vec<CommonGroundConfirmationRequest>>,
}

/// The caller's answer on one category of the common ground.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct CommonGroundConfirmationRequest {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    common_ground_id: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    confirmed: Option<bool>,
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

/// The body of `POST /sessions/{id}/needs/validate`: whether both lists, seen side by side, are right.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "validated": true })))]
pub struct ValidateNeedsRequest {
    /// True, if left out.
    validated: Option<bool>,
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

pub(super) fn confirm(action: &mut MemberAction<'_>, confirm: &ConfirmCommonGround) -> Result<(), Rejection> {
    if action.me.in_app_mode() && action.me.has_left(Stage::NeedMapping) && repeats(action, confirm) {
        return action.must_be_active();
    }
    action.must_be_in(Stage::NeedMapping)?;
    if !action.me.needs.consent_stands() {
        return Err(Rejection::new(Code::ConsentRequired, "share your own needs first"));
    }
    let Some(common) = action.session.common_ground() else {
        return Err(Rejection::partner_not_ready("your partner has not shared any needs yet"));
    };
    let mut categories = Vec::with_capacity(confirm.confirmations.len());
    for (id, confirmed) in &confirm.confirmations {
        let category = common.iter().find(|category| category.common_ground_id(&action.session.id) == id.reveal());
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
        None => action.me.needs.common_ground.contains_key(category),
    };
    let all = common.iter().all(confirms);
    let gates = action.session.gates(action.side, Stage::NeedMapping);
    let satisfied = all && matches!(gates, Gates::NeedMapping { confirmed: true, shared: true, .. });
    action.record(EventBody::CommonGroundConfirmed { categories });
    if satisfied {
        action.complete_stage(Stage::NeedMapping);
    }
    Ok(())
}

/// The app repeats a request whose answer was lost, even if the first request has changed the session.
fn repeats(action: &MemberAction<'_>, confirm: &ConfirmCommonGround) -> bool {
    let Member { needs: mine, .. } = action.me;
    let known = |id: &PrivateText| {
        mine.common_ground.keys().any(|known| known.common_ground_id(&action.session.id) == id.reveal())
    };
    mine.common_ground_at.is_some() && confirm.confirmations.iter().all(|(id, confirmed)| *confirmed && known(id))
}

/// A partner validates with both lists in view. Sharing needs does not count as a validation.
pub(super) fn validate(action: &mut MemberAction<'_>, validate: &ValidateNeeds) -> Result<(), Rejection> {
    let mine = &action.me.needs;
    if validate.validated && action.me.has_left(Stage::NeedMapping) {
        // The app repeats a request whose answer was lost, even if the first request has changed the session.
        return action.must_be_active();
    }
    action.must_be_in(Stage::NeedMapping)?;
    if !mine.consent_stands() {
        return Err(Rejection::gate("share your own needs first; then you see your partner's"));
    }
    if !action.partner().is_some_and(|partner| partner.needs.consent_stands()) {
        return Err(Rejection::partner_not_ready("your partner has not shared any needs yet"));
    }
    if validate.validated != mine.validated_at.is_some() {
        action.record(EventBody::NeedsValidated { validated: validate.validated });
        if validate.validated && mine.any_confirmed() {
            action.complete_stage(Stage::NeedMapping);
        }
    }
    Ok(())
}
