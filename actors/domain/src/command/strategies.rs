//! Stage 4 by ranking: strategies in one pool, both partners ready, two private rankings, the overlap.

use serde::Deserialize;

use super::{Command, action::MemberAction, fields, stage4::enter};
use crate::{
    event::EventBody,
    ids::StrategyId,
    private_text::PrivateText,
    rejection::Rejection,
    rules::Submission,
    session::Session,
    stage::Stage,
    stage4::Stage4Path,
    strategy::{self, StrategyPhase},
};

/// The most strategies of one session. The limit keeps a session small.
const MOST: usize = 50;

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "description": "walk together after dinner",
    "needsAddressed": ["to be heard"],
    "duration": "two weeks",
    "measureOfSuccess": "we look forward to it"
})))]
/// The body of `POST /sessions/{id}/strategies`. The partner never sees whose strategy it is.
pub struct ProposeStrategyRequest {
    /// 1 to 1000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 1000, pattern = r"\S"))]
    description: Option<String>,
    /// At most 3.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::three_labels))]
    needs_addressed: Option<Vec<String>>,
    /// At most 100 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 100))]
    duration: Option<String>,
    /// At most 500 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    measure_of_success: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposeStrategy {
    description: PrivateText,
    needs_addressed: Vec<PrivateText>,
    duration: Option<PrivateText>,
    measure_of_success: Option<PrivateText>,
}

impl TryFrom<ProposeStrategyRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ProposeStrategyRequest) -> Result<Self, Rejection> {
        Ok(Command::ProposeStrategy(ProposeStrategy {
            description: fields::text("description", request.description, 1..=1_000)?,
            needs_addressed: needs_addressed("needsAddressed", request.needs_addressed, 3)?,
            duration: fields::optional_text("duration", request.duration, 100)?,
            measure_of_success: fields::optional_text("measureOfSuccess", request.measure_of_success, 500)?,
        }))
    }
}

pub(super) fn needs_addressed(
    field: &str,
    needs: Option<Vec<String>>,
    most: usize,
) -> Result<Vec<PrivateText>, Rejection> {
    let needs = needs.unwrap_or_default();
    if needs.len() > most {
        let found = format_args!("{} needs", needs.len()).to_string();
        return Err(Rejection::invalid(field, found, format_args!("{most} needs at most")));
    }
    needs.into_iter().map(|need| fields::text(field, Some(need), 1..=200)).collect()
}

/// The body of `POST /sessions/{id}/strategies/rank`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "rankedIds": ["cstrategy00000000000000001", "cstrategy00000000000000002"] }
)))]
pub struct SubmitRankingRequest {
    /// Strategies of this session, the best first, each once.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<StrategyId>, min_items = 1))]
    ranked_ids: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitRanking {
    ranking: Vec<StrategyId>,
}

impl TryFrom<SubmitRankingRequest> for Command {
    type Error = Rejection;
    fn try_from(request: SubmitRankingRequest) -> Result<Self, Rejection> {
        let expected = "a list of this session's strategies, the best first";
        let ids = fields::required("rankedIds", request.ranked_ids, expected)?;
        if ids.is_empty() {
            return Err(Rejection::invalid("rankedIds", "an empty list", expected));
        }
        Ok(Command::SubmitRanking(SubmitRanking { ranking: fields::ids("rankedIds", &ids)? }))
    }
}

pub(super) fn propose(action: &mut MemberAction<'_>, propose: &ProposeStrategy) -> Result<(), Rejection> {
    action.must_be_in(Stage::StrategicRepair)?;
    if !action.session.accepts_strategies_of(action.side) {
        return Err(pool_is_closed());
    }
    must_have_room(action.session, 1)?;
    action.record(EventBody::StrategyProposed {
        id: action.ctx.fresh(),
        description: propose.description.clone(),
        needs_addressed: propose.needs_addressed.clone(),
        duration: propose.duration.clone(),
        measure_of_success: propose.measure_of_success.clone(),
    });
    Ok(())
}

pub(super) fn pool_is_closed() -> Rejection {
    Rejection::conflict("the pool of strategies is closed, since both of you were ready to rank")
}

pub(super) fn must_have_room(session: &Session, more: usize) -> Result<(), Rejection> {
    if session.pool.strategies.len() + more > MOST {
        return Err(Rejection::conflict(format!("a session can have {MOST} strategies at most")));
    }
    Ok(())
}

/// A repeated "ready" changes nothing.
pub(super) fn ready(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    action.must_be_in(Stage::StrategicRepair)?;
    if action.me.round.ready_at.is_some() {
        return Ok(());
    }
    if !action.session.pool_is_open() {
        return Err(Rejection::conflict("you have agreed on something; there is nothing more to rank"));
    }
    if action.session.pool.strategies.is_empty() {
        return Err(Rejection::gate("propose at least one strategy first: there is nothing to rank yet"));
    }
    enter(action, Stage4Path::Ranking);
    action.record(EventBody::ReadyToRank {});
    Ok(())
}

/// Whether the client repeats a ranking whose answer was lost. The rankings may have been revealed in the meantime.
fn is_repetition(action: &MemberAction<'_>, submit: &SubmitRanking) -> bool {
    let round = &action.me.round;
    let latest = if round.ranked_at.is_some() { &round.ranking } else { &round.previous };
    let is_closed = action.session.strategy_phase() != StrategyPhase::Ranking && !action.session.is_ready(action.side);
    *latest == submit.ranking && (round.ranked_at.is_some() || is_closed)
}

pub(super) fn rank(action: &mut MemberAction<'_>, submit: &SubmitRanking) -> Result<(), Rejection> {
    action.must_be_in(Stage::StrategicRepair)?;
    let session = action.session;
    if is_repetition(action, submit) {
        return Ok(());
    }
    match session.strategy_phase() {
        StrategyPhase::Ranking => {}
        StrategyPhase::Revealing => {
            return Err(Rejection::conflict("both rankings are in and revealed; they cannot be changed any more"));
        }
        StrategyPhase::Agreed => {
            return Err(Rejection::conflict("you have agreed on something; there is nothing more to rank"));
        }
        StrategyPhase::Collecting | StrategyPhase::Negotiating if !session.is_ready(action.side) => {
            return Err(Rejection::gate("say that you are ready to rank first"));
        }
        StrategyPhase::Collecting | StrategyPhase::Negotiating => {
            return Err(Rejection::partner_not_ready("ranking begins when your partner is ready, too"));
        }
    }
    if submit.ranking.iter().any(|id| session.pool.find(id).is_none()) {
        return Err(Rejection::invalid("rankedIds", "another id", "ids of this session's strategies"));
    }
    action.record(EventBody::RankingSubmitted {
        ranking: submit.ranking.clone(),
        replaces: action.me.round.ranked_at.is_some(),
    });
    if let Some(theirs) = session.submission(action.side.other()) {
        let overlap = Submission::Ranking(&submit.ranking).overlap(theirs);
        let candidates = strategy::candidates(&overlap, &submit.ranking, &theirs.willing());
        action.record(EventBody::OverlapRevealed { overlap, candidates });
    }
    Ok(())
}
