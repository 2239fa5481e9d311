//! Stage 4 by proposals: stances that both share, the walk through the needs, private sub-chats, and closing.

use tandem_actors::domain::{
    Code, Command, Rejection,
    command::{
        CloseStage4Request, DeclineNeed, OpenSubChatRequest, ResolveSubChatRequest, SayInSubChatRequest,
        SelectManyRequest, SelectOneRequest, Stage4Command, WalkNeedRequest,
    },
    ids::{NeedId, StrategyId, SubChatId},
    view::{SelectionSubmitted, Stage4Changed, Stage4Closed, Stage4State, SubChatAnswer, SubChatResolved},
};

use crate::http::{
    body::Json,
    call::{Answered, Call, Posted},
    envelope::Success,
    error::ApiError,
};

/// The stage as it stands for the caller
///
/// Proposals without authors, one's own stances, and the partner's once both have shared.
#[utoipa::path(
    get, path = "/sessions/{id}/stage4", tag = "stage4",
    responses((status = 200, body = Success<Stage4State>))
)]
pub async fn state(call: Call) -> Answered {
    call.execute(Stage4Command::Look.into()).await
}

/// Take a stance on a proposal
///
/// Private until both have shared. A stance that changes later takes the sharing back.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/proposals/{proposalId}/selection", tag = "stage4",
    request_body = SelectOneRequest, responses((status = 200, body = Success<SelectionSubmitted>))
)]
pub async fn select(call: Posted<SelectOneRequest>) -> Answered {
    on::<StrategyId, _>(call, "proposalId", "there is no such proposal in this session").await
}

/// Take a stance on several proposals
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/selections", tag = "stage4", request_body = SelectManyRequest,
    responses((status = 200, body = Success<SelectionSubmitted>))
)]
pub async fn select_many(call: Posted<SelectManyRequest>) -> Answered {
    call.execute_body().await
}

/// Share the caller's stances
///
/// Each partner sees the other's stances when both have shared.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/share-selections", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn share(call: Call) -> Answered {
    call.execute(Stage4Command::Share.into()).await
}

/// Withdraw the shared stances
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/unshare-selections", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn unshare(call: Call) -> Answered {
    call.execute(Stage4Command::Unshare.into()).await
}

/// Decline to address a need
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/needs/{needId}/decline", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn decline_need(call: Call) -> Answered {
    decline(call, true).await
}

/// Address a declined need again
#[utoipa::path(
    delete, path = "/sessions/{id}/stage4/needs/{needId}/decline", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn address_need(call: Call) -> Answered {
    decline(call, false).await
}

/// Continue the walk through the needs
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/walkthrough/needs/{needId}", tag = "stage4", request_body = WalkNeedRequest,
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn walk(call: Posted<WalkNeedRequest>) -> Answered {
    on::<NeedId, _>(call, "needId", NO_SUCH_NEED).await
}

/// Close the stage and resolve the session
///
/// Proposals that both are willing to do become agreements. Without any, the partners part without an agreement.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/close", tag = "stage4", request_body = CloseStage4Request,
    responses((status = 200, body = Success<Stage4Closed>))
)]
pub async fn close(call: Posted<CloseStage4Request>) -> Answered {
    call.execute_body().await
}

/// Open a sub-chat, or continue an open one
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/subchat", tag = "stage4", request_body = OpenSubChatRequest,
    responses((status = 200, body = Success<SubChatAnswer>))
)]
pub async fn open_sub_chat(call: Posted<OpenSubChatRequest>) -> Answered {
    call.execute_body().await
}

/// A sub-chat, for its owner
#[utoipa::path(
    get, path = "/sessions/{id}/stage4/subchat/{subChatId}", tag = "stage4",
    responses((status = 200, body = Success<SubChatAnswer>))
)]
pub async fn sub_chat(call: Call) -> Answered {
    let id = call.reject_unless_member(part(&call, "subChatId", NO_SUCH_CHAT)).await?;
    call.execute(Stage4Command::ReadSubChat(id).into()).await
}

/// Write in a sub-chat
///
/// The coordinator stores the message. Another service answers.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/subchat/{subChatId}/messages", tag = "stage4",
    request_body = SayInSubChatRequest, responses((status = 200, body = Success<SubChatAnswer>))
)]
pub async fn say(call: Posted<SayInSubChatRequest>) -> Answered {
    on::<SubChatId, _>(call, "subChatId", NO_SUCH_CHAT).await
}

/// Resolve a sub-chat
///
/// What its owner accepts becomes a proposal, or replaces one.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/subchat/{subChatId}/resolve", tag = "stage4",
    request_body = ResolveSubChatRequest, responses((status = 200, body = Success<SubChatResolved>))
)]
pub async fn resolve_sub_chat(call: Posted<ResolveSubChatRequest>) -> Answered {
    on::<SubChatId, _>(call, "subChatId", NO_SUCH_CHAT).await
}

const NO_SUCH_NEED: &str = "there is no such need among those that both of you share";
const NO_SUCH_CHAT: &str = "there is no such sub-chat of yours";

async fn decline(call: Call, declined: bool) -> Answered {
    let need = call.reject_unless_member(part(&call, "needId", NO_SUCH_NEED)).await?;
    call.execute(Stage4Command::DeclineNeed(DeclineNeed { need, declined }).into()).await
}

/// An id in the path. A malformed id is answered as unknown.
fn part<B, T: std::str::FromStr>(call: &Call<B>, name: &str, missing: &'static str) -> Result<T, ApiError> {
    call.path(name).ok_or_else(|| ApiError::new(Code::NotFound, missing))
}

/// Executes the command in the body, on the thing in the path.
async fn on<I, B>(call: Posted<B>, name: &str, missing: &'static str) -> Answered
where
    I: std::str::FromStr,
    Command: TryFrom<(I, B), Error = Rejection>,
{
    let session = call.session()?;
    let id: I = call.reject_unless_member(part(&call, name, missing)).await?;
    let (call, Json(body)) = call.split();
    let command = call.reject_unless_member(Command::try_from((id, body))).await?;
    call.execute_in(session, command).await
}
