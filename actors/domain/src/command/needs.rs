//! Stage 3: adding, confirming and sharing one's own needs.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Command, action::MemberAction, fields};
use crate::{
    event::EventBody,
    ids::NeedId,
    needs::{NeedCategory, NeedConfirmation},
    private_text::PrivateText,
    rejection::Rejection,
    stage::Stage,
};

/// The most needs of one partner. The limit keeps a session small.
pub(super) const MOST: usize = 50;
pub(super) const LONGEST_DESCRIPTION: usize = 1_000;

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "need": "to be heard before decisions",
    "category": "RECOGNITION",
    "description": "also when it is late"
})))]
/// The body of `POST /sessions/{id}/needs`.
pub struct AddNeedRequest {
    /// 1 to 200 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 200, pattern = r"\S"))]
    need: Option<String>,
    /// One of SAFETY, CONNECTION, AUTONOMY, RECOGNITION, MEANING, FAIRNESS.
    #[cfg_attr(feature = "schema", schema(value_type = NeedCategory))]
    category: Option<String>,
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddNeed {
    need: PrivateText,
    category: NeedCategory,
    description: Option<PrivateText>,
}

impl TryFrom<AddNeedRequest> for Command {
    type Error = Rejection;
    fn try_from(request: AddNeedRequest) -> Result<Self, Rejection> {
        Ok(Command::AddNeed(AddNeed {
            need: fields::text("need", request.need, 1..=200)?,
            category: category("category", request.category)?,
            description: fields::optional_text("description", request.description, LONGEST_DESCRIPTION)?,
        }))
    }
}

pub(super) fn category(field: &str, name: Option<String>) -> Result<NeedCategory, Rejection> {
    fields::variant(field, name)
}

/// The body of `POST /sessions/{id}/needs/confirm`: either `needIds`, all of which are confirmed, or `confirmations`.
/// `adjustments` holds confirmations, too. They replace those of the same need in `needIds`, and may name other needs.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "needIds": ["cneed00000000000000000001"] })))]
pub struct ConfirmNeedsRequest {
    #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<NeedId>>, min_items = 1))]
    need_ids: Option<Vec<String>>,
    #[cfg_attr(feature = "schema", schema(min_items = 1))]
    confirmations: Option<Vec<NeedConfirmationRequest>>,
    adjustments: Option<Vec<NeedConfirmationRequest>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedConfirmationRequest {
    #[cfg_attr(feature = "schema", schema(value_type = NeedId))]
    need_id: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    confirmed: Option<bool>,
    /// A new description, at most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    adjustment: Option<String>,
    /// Another name of `adjustment`.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    correction: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmNeeds {
    pub(crate) needs: Vec<NeedConfirmation>,
}

impl TryFrom<ConfirmNeedsRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ConfirmNeedsRequest) -> Result<Self, Rejection> {
        let each = |list: Vec<NeedConfirmationRequest>| -> Result<Vec<_>, Rejection> {
            list.into_iter().map(NeedConfirmation::try_from).collect()
        };
        let adjustments = each(request.adjustments.unwrap_or_default())?;
        let mut needs: Vec<_> = match (request.need_ids, request.confirmations) {
            (Some(ids), _) => fields::ids("needIds", &ids)?
                .into_iter()
                .filter(|id| !adjustments.iter().any(|adjusted| adjusted.need == *id))
                .map(|need| NeedConfirmation { need, confirmed: true, adjustment: None })
                .collect(),
            (None, Some(confirmations)) => each(confirmations)?,
            (None, None) if !adjustments.is_empty() => Vec::new(),
            (None, None) => {
                return Err(Rejection::invalid(
                    "needIds",
                    "nothing",
                    "a list of need ids, or confirmations given instead",
                ));
            }
        };
        needs.extend(adjustments);
        let different: BTreeSet<&NeedId> = needs.iter().map(|need| &need.need).collect();
        if needs.is_empty() || different.len() != needs.len() {
            let found = if needs.is_empty() { "an empty list" } else { "the same need twice" };
            return Err(Rejection::invalid("confirmations", found, "at least one of your needs, each of them once"));
        }
        Ok(Command::ConfirmNeeds(ConfirmNeeds { needs }))
    }
}

impl TryFrom<NeedConfirmationRequest> for NeedConfirmation {
    type Error = Rejection;
    fn try_from(request: NeedConfirmationRequest) -> Result<Self, Rejection> {
        let id = fields::required("confirmations.needId", request.need_id, "the id of one of your needs")?;
        Ok(Self {
            need: fields::id("confirmations.needId", &id)?,
            confirmed: fields::required("confirmations.confirmed", request.confirmed, "true or false")?,
            adjustment: fields::optional_text(
                "confirmations.adjustment",
                request.adjustment.or(request.correction),
                LONGEST_DESCRIPTION,
            )?,
        })
    }
}

/// The body of `POST /sessions/{id}/needs/consent`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "needIds": ["cneed00000000000000000001"] })))]
pub struct ShareNeedsRequest {
    /// At least one, of your own confirmed needs.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<NeedId>, min_items = 1))]
    need_ids: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareNeeds {
    needs: Vec<NeedId>,
}

impl TryFrom<ShareNeedsRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ShareNeedsRequest) -> Result<Self, Rejection> {
        let expected = "a list with at least one of your confirmed needs";
        let ids = fields::required("needIds", request.need_ids, expected)?;
        if ids.is_empty() {
            return Err(Rejection::invalid("needIds", "an empty list", expected));
        }
        Ok(Command::ShareNeeds(ShareNeeds { needs: fields::ids("needIds", &ids)? }))
    }
}

pub(super) fn add(action: &mut MemberAction<'_>, add: &AddNeed) -> Result<(), Rejection> {
    action.must_be_in(Stage::NeedMapping)?;
    if action.me.needs.list.len() >= MOST {
        return Err(Rejection::conflict(format!("you can have {MOST} needs at most")));
    }
    action.record(EventBody::NeedAdded {
        id: action.ctx.fresh(),
        need: add.need.clone(),
        category: add.category,
        description: add.description.clone(),
    });
    Ok(())
}

/// Shared needs cannot be changed, since the partner has seen them. The consent has to be revoked first.
pub(super) fn confirm(action: &mut MemberAction<'_>, confirm: &ConfirmNeeds) -> Result<(), Rejection> {
    action.must_be_in(Stage::NeedMapping)?;
    let mine = &action.me.needs;
    for change in &confirm.needs {
        let need = mine.find(&change.need).ok_or_else(|| not_own_need("needIds"))?;
        let is_frozen = need.shared && mine.consent_stands();
        if is_frozen && (!change.confirmed || change.adjustment.is_some()) {
            return Err(Rejection::conflict("a need that you share cannot be changed; revoke your consent first"));
        }
    }
    let is_known = |change: &NeedConfirmation| {
        change.adjustment.is_none() && mine.find(&change.need).is_some_and(|need| need.confirmed == change.confirmed)
    };
    if mine.confirmed_at.is_some() && confirm.needs.iter().all(is_known) {
        return Ok(());
    }
    let any_confirmed = confirm.needs.iter().any(|change| change.confirmed);
    action.record(EventBody::NeedsConfirmed {
        needs: confirm.needs.clone(),
        first: any_confirmed && mine.confirmed_at.is_none(),
    });
    Ok(())
}

/// A revoked consent can be given again even after the stage.
pub(super) fn share(action: &mut MemberAction<'_>, share: &ShareNeeds) -> Result<(), Rejection> {
    let mine = &action.me.needs;
    if action.me.in_app_mode() && mine.shares_exactly(&share.needs) {
        // The app repeats a request whose answer was lost.
        return Ok(());
    }
    if mine.revoked_at.is_some() && action.me.has_left(Stage::NeedMapping) {
        action.must_be_active()?;
    } else {
        action.must_be_in(Stage::NeedMapping)?;
    }
    if mine.consent_stands() {
        return Err(Rejection::conflict(
            "you have shared your needs already; revoke your consent first to share others",
        ));
    }
    for id in &share.needs {
        if !mine.find(id).ok_or_else(|| not_own_need("needIds"))?.confirmed {
            return Err(Rejection::gate("confirm your needs before you share them"));
        }
    }
    record_sharing(action, &share.needs);
    Ok(())
}

/// Records that the caller shares these needs. The caller of this function has checked that they are confirmed.
pub(super) fn record_sharing(action: &mut MemberAction<'_>, chosen: &[NeedId]) {
    let mine = &action.me.needs;
    let reveals = action.partner().is_some_and(|partner| partner.needs.consent_stands());
    let completes = action.partner().is_some_and(|partner| {
        let shares = |category| {
            let mut chosen = chosen.iter().filter_map(|id| mine.find(id));
            chosen.any(|need| need.category == category)
        };
        mine.common_ground_at.is_some()
            && partner.needs.consent_stands()
            && partner
                .needs
                .shared()
                .map(|need| need.category)
                .filter(|category| shares(*category))
                .all(|category| mine.common_ground.contains_key(&category))
    });
    action.record(EventBody::NeedsShared { needs: chosen.to_vec(), reveals });
    if completes {
        action.complete_stage(Stage::NeedMapping);
    }
}

/// For an id that is not among the caller's needs.
pub(super) fn not_own_need(field: &str) -> Rejection {
    Rejection::invalid(field, "another id", "ids of your own needs")
}
