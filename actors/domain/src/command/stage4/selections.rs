//! Stances on proposals, and sharing them.

use serde::Deserialize;
use serde_json::json;

use super::{Stage4Command, not_found};
use crate::{
    command::{Command, action::MemberAction, fields},
    event::EventBody,
    ids::StrategyId,
    rejection::Rejection,
    rules::{Coverage, Submission},
    stage4::Selection,
    strategy,
};

const DECISION: &str = "WILLING or NOT_WILLING";

/// The body of `POST /sessions/{id}/stage4/proposals/{proposalId}/selection`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "decision": "WILLING", "note": "on weekdays" })))]
pub struct SelectOneRequest {
    /// WILLING or NOT_WILLING.
    #[cfg_attr(feature = "schema", schema(value_type = crate::stage4::Decision))]
    decision: Option<String>,
    /// At most 1000 characters. Your partner sees it when both of you have shared.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    note: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct SelectionRequest {
    #[cfg_attr(feature = "schema", schema(value_type = StrategyId))]
    proposal_id: Option<String>,
    /// WILLING or NOT_WILLING.
    #[cfg_attr(feature = "schema", schema(value_type = crate::stage4::Decision))]
    decision: Option<String>,
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    note: Option<String>,
}

/// The body of `POST /sessions/{id}/stage4/selections`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "selections": [{"proposalId": "cstrategy00000000000000001", "decision": "WILLING"}] }
)))]
pub struct SelectManyRequest {
    /// At least one, each proposal once.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<SelectionRequest>, min_items = 1))]
    selections: Option<Vec<SelectionRequest>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    selections: Vec<Selection>,
}

fn selection(strategy: StrategyId, decision: Option<String>, note: Option<String>) -> Result<Selection, Rejection> {
    let decision = fields::required("decision", decision, DECISION)?;
    Ok(Selection {
        strategy,
        decision: fields::variant("decision", Some(decision))?,
        note: fields::optional_text("note", note, 1_000)?,
    })
}

impl TryFrom<(StrategyId, SelectOneRequest)> for Command {
    type Error = Rejection;
    fn try_from((strategy, request): (StrategyId, SelectOneRequest)) -> Result<Self, Rejection> {
        let selections = vec![selection(strategy, request.decision, request.note)?];
        Ok(Stage4Command::Select(Select { selections }).into())
    }
}

impl TryFrom<SelectManyRequest> for Command {
    type Error = Rejection;
    fn try_from(request: SelectManyRequest) -> Result<Self, Rejection> {
        let expected = "a list of selections, each of another proposal";
        let list = fields::required("selections", request.selections, expected)?;
        if list.is_empty() {
            return Err(Rejection::invalid("selections", "an empty list", expected));
        }
        let mut selections: Vec<Selection> = Vec::with_capacity(list.len());
        for SelectionRequest { proposal_id, decision, note } in list {
            let id = fields::required("selections.proposalId", proposal_id, "the id of a proposal")?;
            let id: StrategyId = fields::id("selections.proposalId", &id)?;
            if selections.iter().any(|known| known.strategy == id) {
                return Err(Rejection::invalid("selections", "the same proposal twice", expected));
            }
            selections.push(selection(id, decision, note)?);
        }
        Ok(Stage4Command::Select(Select { selections }).into())
    }
}

/// A stance that changes after it was shared withdraws the sharing, since the partner must not rely on it. Repeating a
/// stance changes nothing.
pub(super) fn select(action: &mut MemberAction<'_>, select: &Select) -> Result<(), Rejection> {
    let session = action.session;
    if select.selections.iter().any(|selection| session.pool.find(&selection.strategy).is_none()) {
        return Err(not_found("there is no such proposal in this session"));
    }
    let handed_in = session.latest_submission(action.side);
    let is_ranked = matches!(handed_in, Some(Submission::Ranking(_)));
    let is_known = |selection: &Selection| {
        let stance = action.me.stage4.stances.get(&selection.strategy);
        let note = stance.and_then(|stance| stance.note.as_ref());
        session.decision_of(action.side, &selection.strategy) == Some(selection.decision)
            && (note == selection.note.as_ref() || (is_ranked && selection.note.is_none()))
    };
    if select.selections.iter().all(is_known) {
        return Ok(());
    }
    let takes_back = handed_in.is_some() || action.me.stage4.shared_at.is_some();
    action.record(EventBody::SelectionsMade { selections: select.selections.clone(), takes_back });
    Ok(())
}

/// Sharing again changes nothing. The second submission of a round reveals the result.
pub(super) fn share(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    let session = action.session;
    if session.submission(action.side).is_some() {
        return Ok(());
    }
    must_be_complete(action)?;
    action.record(EventBody::SelectionsShared { again: action.me.stage4.shared_before });
    let mine = Submission::Stances(&action.me.stage4.stances);
    let theirs = session.latest_submission(action.side.other());
    let is_of_this_round = session.submission(action.side.other()).is_some();
    if let Some(Submission::Ranking(ranking)) = theirs {
        let theirs = Submission::Ranking(ranking);
        let overlap = theirs.overlap(mine);
        if is_of_this_round || !overlap.is_empty() {
            let candidates = strategy::candidates(&overlap, ranking, &mine.willing());
            action.record(EventBody::OverlapRevealed { overlap, candidates });
        }
    }
    Ok(())
}

fn must_be_complete(action: &MemberAction<'_>) -> Result<(), Rejection> {
    let session = action.session;
    let stances = &action.me.stage4.stances;
    if session.pool.strategies.is_empty() {
        return Err(Rejection::gate("there is no proposal yet; add one, then take a stance on it"));
    }
    let open: Vec<_> =
        session.pool.strategies.iter().map(|strategy| &strategy.id).filter(|id| !stances.contains_key(id)).collect();
    if !open.is_empty() {
        let mut open = open.into_iter().cloned().collect::<Vec<_>>();
        open.sort();
        return Err(Rejection::gate("take a stance on each proposal first: WILLING or NOT_WILLING")
            .with_details(json!({ "proposalIds": open })));
    }
    let open: Vec<_> = session
        .coverage(action.side)
        .into_iter()
        .filter(|row| row.coverage == Coverage::Open && !action.me.stage4.declined_needs.contains(&row.need.id))
        .map(|row| row.need.id.clone())
        .collect();
    if !open.is_empty() {
        return Err(Rejection::gate(
            "some needs are open: choose WILLING for a proposal that names them, or decline to address them",
        )
        .with_details(json!({ "needIds": open })));
    }
    Ok(())
}

/// Unsharing stances that are not shared changes nothing.
pub(super) fn unshare(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    if action.session.latest_submission(action.side).is_some() || action.me.stage4.shared_at.is_some() {
        action.record(EventBody::SelectionsUnshared {});
    }
    Ok(())
}
