//! Stage 4: one pool of strategies, which each partner ranks in private.

use tandem_actors::domain::{
    Command, Query,
    command::{ProposeStrategyRequest, SubmitRankingRequest},
    view::{Overlap, RankingSubmitted, ReadyToRank, StrategiesList, StrategyProposed},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// The pool
///
/// Without authors and times, in an order that reveals neither.
#[utoipa::path(
    get, path = "/sessions/{id}/strategies", tag = "strategies",
    responses((status = 200, body = Success<StrategiesList>))
)]
pub async fn list(call: Call) -> HandlerResult {
    call.query(Query::Strategies).await
}

/// Add a strategy to the pool
#[utoipa::path(
    post, path = "/sessions/{id}/strategies", tag = "strategies", request_body = ProposeStrategyRequest,
    responses((status = 201, body = Success<StrategyProposed>))
)]
pub async fn propose(call: JsonCall<ProposeStrategyRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Declare the pool complete
///
/// The pool is locked when both partners have done so.
#[utoipa::path(
    post, path = "/sessions/{id}/strategies/ready", tag = "strategies",
    responses((status = 200, body = Success<ReadyToRank>))
)]
pub async fn ready(call: Call) -> HandlerResult {
    call.execute(Command::ReadyToRank).await
}

/// Rank the strategies
///
/// Private. It can be replaced until both rankings are submitted.
#[utoipa::path(
    post, path = "/sessions/{id}/strategies/rank", tag = "strategies", request_body = SubmitRankingRequest,
    responses((status = 200, body = Success<RankingSubmitted>))
)]
pub async fn rank(call: JsonCall<SubmitRankingRequest>) -> HandlerResult {
    call.execute_body().await
}

/// The strategies that both ranked high
///
/// Revealed to both partners when both rankings are submitted.
#[utoipa::path(
    get, path = "/sessions/{id}/strategies/overlap", tag = "strategies",
    responses((status = 200, body = Success<Overlap>))
)]
pub async fn overlap(call: Call) -> HandlerResult {
    call.query(Query::Overlap).await
}
