//! Stage 3: one's own needs, which of them to share, and what both have in common.

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::ToSchema;

use super::{Command, fields, turn::Turn};
use crate::domain::{
    event::{CommonGroundConfirmation, EventBody, NeedConfirmation},
    gates::Gates,
    ids::NeedId,
    needs::NeedCategory,
    rejection::{Code, Rejection},
    stage::Stage,
    words::Words,
};

/// One partner's needs; keeps a session small.
const MOST: usize = 50;
const LONGEST_DESCRIPTION: usize = 1_000;

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddNeedRequest {
    /// 1 to 200 characters.
    pub need: Option<String>,
    /// One of SAFETY, CONNECTION, AUTONOMY, RECOGNITION, MEANING, FAIRNESS.
    pub category: Option<String>,
    /// At most 1000 characters.
    pub description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddNeed {
    need: Words,
    category: NeedCategory,
    description: Option<Words>,
}

impl TryFrom<AddNeedRequest> for Command {
    type Error = Rejection;
    fn try_from(request: AddNeedRequest) -> Result<Self, Rejection> {
        let categories = NeedCategory::ALL.map(|category| (category.as_str(), category));
        Ok(Command::AddNeed(AddNeed {
            need: fields::text("need", request.need, 1..=200)?,
            category: fields::name("category", request.category, &categories)?,
            description: fields::optional_text("description", request.description, LONGEST_DESCRIPTION)?,
        }))
    }
}

/// Either `needIds`, all of which are confirmed, or `confirmations`.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmNeedsRequest {
    pub need_ids: Option<Vec<String>>,
    pub confirmations: Option<Vec<NeedConfirmationRequest>>,
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedConfirmationRequest {
    pub need_id: Option<String>,
    pub confirmed: Option<bool>,
    /// A new description, at most 1000 characters.
    pub adjustment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmNeeds {
    pub(in crate::domain) needs: Vec<NeedConfirmation>,
}

impl TryFrom<ConfirmNeedsRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ConfirmNeedsRequest) -> Result<Self, Rejection> {
        let needs: Vec<_> = match (request.need_ids, request.confirmations) {
            (Some(ids), _) => fields::ids("needIds", &ids)?
                .into_iter()
                .map(|need| NeedConfirmation { need, confirmed: true, adjustment: None })
                .collect(),
            (None, Some(confirmations)) => {
                confirmations.into_iter().map(NeedConfirmation::try_from).collect::<Result<_, _>>()?
            }
            (None, None) => {
                return Err(Rejection::invalid(
                    "needIds",
                    "nothing",
                    "a list of need ids, or confirmations given instead",
                ));
            }
        };
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
            adjustment: fields::optional_text("confirmations.adjustment", request.adjustment, LONGEST_DESCRIPTION)?,
        })
    }
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareNeedsRequest {
    /// At least one, of your own confirmed needs.
    pub need_ids: Option<Vec<String>>,
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

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmCommonGroundRequest {
    /// Empty if there is nothing in common.
    pub confirmations: Option<Vec<CommonGroundConfirmationRequest>>,
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonGroundConfirmationRequest {
    pub common_ground_id: Option<String>,
    pub confirmed: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmCommonGround {
    confirmations: Vec<(Words, bool)>,
}

impl TryFrom<ConfirmCommonGroundRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ConfirmCommonGroundRequest) -> Result<Self, Rejection> {
        let list =
            fields::required("confirmations", request.confirmations, "a list, empty if there is nothing in common")?;
        let mut confirmations: Vec<(Words, bool)> = Vec::with_capacity(list.len());
        for item in list {
            let id = fields::required("confirmations.commonGroundId", item.common_ground_id, "an id of common ground")?;
            let id = Words::new(id);
            let confirmed = fields::required("confirmations.confirmed", item.confirmed, "true or false")?;
            if confirmations.iter().any(|(known, _)| *known == id) {
                return Err(Rejection::invalid("confirmations", "the same id twice", "a list of different ids"));
            }
            confirmations.push((id, confirmed));
        }
        Ok(Command::ConfirmCommonGround(ConfirmCommonGround { confirmations }))
    }
}

pub(super) fn add(turn: &mut Turn<'_>, add: &AddNeed) -> Result<(), Rejection> {
    turn.must_be_in(Stage::NeedMapping)?;
    if turn.me.needs.list.len() >= MOST {
        return Err(Rejection::conflict(format!("you can have {MOST} needs at most")));
    }
    turn.record(EventBody::NeedAdded {
        id: turn.ctx.fresh(),
        need: add.need.clone(),
        category: add.category,
        description: add.description.clone(),
    });
    Ok(())
}

/// What is shared stays as the partner has seen it: to change it, revoke the consent first.
pub(super) fn confirm(turn: &mut Turn<'_>, confirm: &ConfirmNeeds) -> Result<(), Rejection> {
    turn.must_be_in(Stage::NeedMapping)?;
    let mine = &turn.me.needs;
    for change in &confirm.needs {
        let need = mine.find(&change.need).ok_or_else(not_mine)?;
        let is_frozen = need.shared && mine.consent_stands();
        if is_frozen && (!change.confirmed || change.adjustment.is_some()) {
            return Err(Rejection::conflict("a need that you share cannot be changed; revoke your consent first"));
        }
    }
    let any_confirmed = confirm.needs.iter().any(|change| change.confirmed);
    turn.record(EventBody::NeedsConfirmed {
        needs: confirm.needs.clone(),
        first: any_confirmed && mine.confirmed_at.is_none(),
    });
    Ok(())
}

/// A consent that was revoked can be given again also when the stage is left.
pub(super) fn share(turn: &mut Turn<'_>, share: &ShareNeeds) -> Result<(), Rejection> {
    let mine = &turn.me.needs;
    if mine.revoked_at.is_some() && turn.me.has_left(Stage::NeedMapping) {
        turn.must_be_active()?;
    } else {
        turn.must_be_in(Stage::NeedMapping)?;
    }
    if mine.consent_stands() {
        return Err(Rejection::conflict(
            "you have shared your needs already; revoke your consent first to share others",
        ));
    }
    for id in &share.needs {
        if !mine.find(id).ok_or_else(not_mine)?.confirmed {
            return Err(Rejection::gate("confirm your needs before you share them"));
        }
    }
    let completes = turn.partner().is_some_and(|partner| {
        let shares = |category| {
            let mut chosen = share.needs.iter().filter_map(|id| mine.find(id));
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
    turn.record(EventBody::NeedsShared { needs: share.needs.clone() });
    turn.complete_stage(Stage::NeedMapping, completes);
    Ok(())
}

pub(super) fn confirm_common_ground(turn: &mut Turn<'_>, confirm: &ConfirmCommonGround) -> Result<(), Rejection> {
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

fn not_mine() -> Rejection {
    Rejection::invalid("needIds", "another id", "ids of your own needs")
}
