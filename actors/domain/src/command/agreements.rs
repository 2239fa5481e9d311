//! Stage 4: agreements.

use serde::Deserialize;

use super::{Command, action::MemberAction, fields};
use crate::{
    agreement::{AgreementStatus, AgreementType, MAX_LIVE},
    event::EventBody,
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    rejection::{Code, Rejection},
    stage::Stage,
    time::Timestamp,
};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "strategyId": "cstrategy00000000000000001",
    "description": "ten quiet minutes every evening",
    "type": "MICRO_EXPERIMENT",
    "duration": "two weeks",
    "measureOfSuccess": "we did it on most days",
    "followUpDate": "2030-02-01"
})))]
/// The body of `POST /sessions/{id}/agreements`. The proposer counts as having agreed.
pub struct ProposeAgreementRequest {
    /// One of the overlap or of the candidates.
    #[cfg_attr(feature = "schema", schema(value_type = Option<StrategyId>))]
    strategy_id: Option<String>,
    /// 1 to 1000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 1000, pattern = r"\S"))]
    description: Option<String>,
    /// One of MICRO_EXPERIMENT, COMMITMENT, CHECK_IN, HYBRID.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schema(value_type = AgreementType))]
    kind: Option<String>,
    /// At most 100 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 100))]
    duration: Option<String>,
    /// At most 500 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    measure_of_success: Option<String>,
    /// RFC 3339 date or time.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::date_or_time))]
    follow_up_date: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposeAgreement {
    strategy: Option<StrategyId>,
    description: PrivateText,
    kind: AgreementType,
    duration: Option<PrivateText>,
    measure_of_success: Option<PrivateText>,
    follow_up_at: Option<Timestamp>,
}

impl TryFrom<ProposeAgreementRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ProposeAgreementRequest) -> Result<Self, Rejection> {
        Ok(Command::ProposeAgreement(ProposeAgreement {
            strategy: request.strategy_id.map(|id| fields::id("strategyId", &id)).transpose()?,
            description: fields::text("description", request.description, 1..=1_000)?,
            kind: fields::variant("type", request.kind)?,
            duration: fields::optional_text("duration", request.duration, 100)?,
            measure_of_success: fields::optional_text("measureOfSuccess", request.measure_of_success, 500)?,
            follow_up_at: fields::date_or_time("followUpDate", request.follow_up_date)?,
        }))
    }
}

/// The body of `POST /sessions/{id}/agreements/{agreementId}/confirm`: the answer to a proposal.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "confirmed": false, "modification": "five minutes, and not on Fridays" }
)))]
pub struct ConfirmAgreementRequest {
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    confirmed: Option<bool>,
    /// What you would rather have, when `confirmed` is false; at most 1000 characters; your partner sees it.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    modification: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerAgreement {
    pub(crate) agreement: AgreementId,
    pub(crate) confirmed: bool,
    modification: Option<PrivateText>,
}

impl TryFrom<(AgreementId, ConfirmAgreementRequest)> for Command {
    type Error = Rejection;
    fn try_from((agreement, request): (AgreementId, ConfirmAgreementRequest)) -> Result<Self, Rejection> {
        let confirmed = fields::required("confirmed", request.confirmed, "true or false")?;
        let modification = fields::optional_text("modification", request.modification, 1_000)?;
        Ok(Command::AnswerAgreement(AnswerAgreement { agreement, confirmed, modification }))
    }
}

pub(super) fn propose(action: &mut MemberAction<'_>, propose: &ProposeAgreement) -> Result<(), Rejection> {
    action.must_be_in(Stage::StrategicRepair)?;
    let session = action.session;
    let Some(candidates) = session.candidates() else {
        return Err(Rejection::gate("agreements can be proposed when both of you have ranked the strategies"));
    };
    let mut live = session.agreements.iter().filter(|agreement| agreement.status.is_live());
    if let Some(strategy) = &propose.strategy {
        if !candidates.contains(strategy) {
            return Err(Rejection::invalid("strategyId", "another id", "one of the overlap or of the candidates"));
        }
        if live.clone().any(|agreement| agreement.strategy.as_ref() == Some(strategy)) {
            return Err(Rejection::conflict("there is an agreement for this strategy already"));
        }
    }
    if live.nth(MAX_LIVE - 1).is_some() {
        return Err(Rejection::conflict(format!(
            "a session can have {MAX_LIVE} agreements at most; one has to be declined first"
        )));
    }
    action.record(EventBody::AgreementProposed {
        id: action.ctx.fresh(),
        strategy: propose.strategy.clone(),
        description: propose.description.clone(),
        kind: propose.kind,
        duration: propose.duration.clone(),
        measure_of_success: propose.measure_of_success.clone(),
        follow_up_at: propose.follow_up_at,
    });
    Ok(())
}

/// Confirming twice, or confirming one's own proposal, changes nothing. Declining one's own proposal withdraws it.
pub(super) fn answer(action: &mut MemberAction<'_>, answer: &AnswerAgreement) -> Result<(), Rejection> {
    action.must_be_in(Stage::StrategicRepair)?;
    let agreement = action.session.agreements.iter().find(|agreement| agreement.id == answer.agreement);
    let agreement =
        agreement.ok_or_else(|| Rejection::new(Code::NotFound, "there is no such agreement in this session"))?;
    let id = agreement.id.clone();
    match (agreement.status, answer.confirmed) {
        (AgreementStatus::Proposed, true) if agreement.proposer == action.side => {}
        (AgreementStatus::Proposed, true) => action.record(EventBody::AgreementConfirmed { id }),
        (AgreementStatus::Proposed, false) => {
            action.record(EventBody::AgreementDeclined { id, modification: answer.modification.clone() });
        }
        (AgreementStatus::Abandoned, _) => {
            return Err(Rejection::conflict("the proposal was declined; propose another one"));
        }
        (_, true) => {}
        (_, false) => return Err(Rejection::conflict("you have both agreed already; it cannot be declined any more")),
    }
    Ok(())
}
