//! Stage 4 by proposals: stances that both share, the walk through the needs, private sub-chats, and closing.

use tandem_actors::domain::{
    command::{
        CloseStage4Request, DeclineNeed, OpenSubChatRequest, ResolveSubChatRequest, SayInSubChatRequest,
        SelectManyRequest, SelectOneRequest, Stage4Command, WalkNeedRequest,
    },
    ids::{NeedId, StrategyId, SubChatId},
    view::{SelectionSubmitted, Stage4Changed, Stage4Closed, Stage4State, SubChatAnswer, SubChatResolved},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// The stage as it stands for the caller
///
/// Proposals without authors, one's own stances, and the partner's once both have shared.
#[utoipa::path(
    get, path = "/sessions/{id}/stage4", tag = "stage4",
    responses((status = 200, body = Success<Stage4State>))
)]
pub async fn state(call: Call) -> HandlerResult {
    call.execute(Stage4Command::Look.into()).await
}

/// Take a stance on a proposal
///
/// Private until both have shared. A stance that changes later takes the sharing back.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/proposals/{proposalId}/selection", tag = "stage4",
    request_body = SelectOneRequest, responses((status = 200, body = Success<SelectionSubmitted>))
)]
pub async fn select(call: JsonCall<SelectOneRequest>) -> HandlerResult {
    let proposal: StrategyId = call.item_for_member("proposalId", "there is no such proposal in this session").await?;
    call.execute_on(proposal).await
}

/// Take a stance on several proposals
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/selections", tag = "stage4", request_body = SelectManyRequest,
    responses((status = 200, body = Success<SelectionSubmitted>))
)]
pub async fn select_many(call: JsonCall<SelectManyRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Share the caller's stances
///
/// Each partner sees the other's stances when both have shared.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/share-selections", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn share(call: Call) -> HandlerResult {
    call.execute(Stage4Command::Share.into()).await
}

/// Withdraw the shared stances
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/unshare-selections", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn unshare(call: Call) -> HandlerResult {
    call.execute(Stage4Command::Unshare.into()).await
}

/// Decline to address a need
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/needs/{needId}/decline", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn decline_need(call: Call) -> HandlerResult {
    set_declined(call, true).await
}

/// Address a declined need again
#[utoipa::path(
    delete, path = "/sessions/{id}/stage4/needs/{needId}/decline", tag = "stage4",
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn address_need(call: Call) -> HandlerResult {
    set_declined(call, false).await
}

/// Continue the walk through the needs
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/walkthrough/needs/{needId}", tag = "stage4", request_body = WalkNeedRequest,
    responses((status = 200, body = Success<Stage4Changed>))
)]
pub async fn walk(call: JsonCall<WalkNeedRequest>) -> HandlerResult {
    let need: NeedId = call.item_for_member("needId", NO_SUCH_NEED).await?;
    call.execute_on(need).await
}

/// Close the stage and resolve the session
///
/// Proposals that both are willing to do become agreements. Without any, the partners part without an agreement.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/close", tag = "stage4", request_body = CloseStage4Request,
    responses((status = 200, body = Success<Stage4Closed>))
)]
pub async fn close(call: JsonCall<CloseStage4Request>) -> HandlerResult {
    call.execute_body().await
}

/// Open a sub-chat, or continue an open one
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/subchat", tag = "stage4", request_body = OpenSubChatRequest,
    responses((status = 200, body = Success<SubChatAnswer>))
)]
pub async fn open_sub_chat(call: JsonCall<OpenSubChatRequest>) -> HandlerResult {
    call.execute_body().await
}

/// A sub-chat, for its owner
#[utoipa::path(
    get, path = "/sessions/{id}/stage4/subchat/{subChatId}", tag = "stage4",
    responses((status = 200, body = Success<SubChatAnswer>))
)]
pub async fn sub_chat(call: Call) -> HandlerResult {
    let id = call.item_for_member("subChatId", NO_SUCH_CHAT).await?;
    call.execute(Stage4Command::ReadSubChat(id).into()).await
}

/// Write in a sub-chat
///
/// The coordinator stores the message. Another service answers.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/subchat/{subChatId}/messages", tag = "stage4",
    request_body = SayInSubChatRequest, responses((status = 200, body = Success<SubChatAnswer>))
)]
pub async fn say(call: JsonCall<SayInSubChatRequest>) -> HandlerResult {
    let chat: SubChatId = call.item_for_member("subChatId", NO_SUCH_CHAT).await?;
    call.execute_on(chat).await
}

/// Resolve a sub-chat
///
/// What its owner accepts becomes a proposal, or replaces one.
#[utoipa::path(
    post, path = "/sessions/{id}/stage4/subchat/{subChatId}/resolve", tag = "stage4",
    request_body = ResolveSubChatRequest, responses((status = 200, body = Success<SubChatResolved>))
)]
pub async fn resolve_sub_chat(call: JsonCall<ResolveSubChatRequest>) -> HandlerResult {
    let chat: SubChatId = call.item_for_member("subChatId", NO_SUCH_CHAT).await?;
    call.execute_on(chat).await
}

const NO_SUCH_NEED: &str = "there is no such need among those that both of you share";
const NO_SUCH_CHAT: &str = "there is no such sub-chat of yours";

async fn set_declined(call: Call, declined: bool) -> HandlerResult {
    let need = call.item_for_member("needId", NO_SUCH_NEED).await?;
    call.execute(Stage4Command::DeclineNeed(DeclineNeed { need, declined }).into()).await
}
