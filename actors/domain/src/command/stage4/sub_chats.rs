//! Sub-chats. The coordinator keeps the messages and the accepted drafts. Another service writes the answers.

use serde::Deserialize;

use super::{Stage4Command, has_room_for, not_found};
use crate::{
    command::{Command, action::MemberAction, fields, strategies},
    event::EventBody,
    ids::{NeedId, StrategyId, SubChatId},
    private_text::PrivateText,
    rejection::Rejection,
    stage4::{Anchor, Candidate, ChatRole, SubChat},
};

/// The most sub-chats of one partner.
const MOST_CHATS: usize = 50;
/// The most drafts that one sub-chat can create or update.
const MOST_DRAFTS: usize = 10;

/// The body of `POST /sessions/{id}/stage4/subchat`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "anchorKind": "NEEDS_BRAINSTORM", "anchorId": "cneed00000000000000000001" }
)))]
pub struct OpenSubChatRequest {
    /// NEEDS_BRAINSTORM, PROPOSAL_REFINEMENT or NO_OVERLAP.
    #[cfg_attr(feature = "schema", schema(value_type = Anchor))]
    anchor_kind: Option<String>,
    /// The need or the proposal that it is about.
    #[cfg_attr(feature = "schema", schema(pattern = "^c[a-z0-9]{8,63}$"))]
    anchor_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSubChat {
    pub(crate) anchor: Anchor,
    pub(crate) anchor_id: Option<String>,
}

/// The body of `POST /sessions/{id}/stage4/subchat/{subChatId}/messages`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "content": "what else could we try?" })))]
pub struct SayInSubChatRequest {
    /// 1 to 4000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 4000, pattern = r"\S"))]
    content: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SayInSubChat {
    pub(crate) chat: SubChatId,
    role: ChatRole,
    content: PrivateText,
    candidate: Option<Candidate>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "content": "how about a walk?",
    "candidate": {"description": "walk together after dinner", "needsAddressed": ["to be heard"]}
})))]
/// The AI service's message in a sub-chat.
pub struct AnswerSubChatRequest {
    /// 1 to 4000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 4000, pattern = r"\S"))]
    content: Option<String>,
    /// A proposal that the owner of the sub-chat may accept.
    candidate: Option<DraftRequest>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct DraftRequest {
    /// The proposal that is put in other words.
    #[cfg_attr(feature = "schema", schema(value_type = Option<StrategyId>))]
    proposal_id: Option<String>,
    /// 1 to 1000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 1000, pattern = r"\S"))]
    description: Option<String>,
    /// At most 10.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::ten_labels))]
    needs_addressed: Option<Vec<String>>,
    /// At most 100 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 100))]
    duration: Option<String>,
    /// At most 500 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    measure_of_success: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "acceptedProposals": [{"description": "walk together after dinner", "needsAddressed": ["to be heard"]}]
})))]
/// The body of `POST /sessions/{id}/stage4/subchat/{subChatId}/resolve`.
pub struct ResolveSubChatRequest {
    /// Drafts that become proposals; at most 10.
    #[cfg_attr(feature = "schema", schema(max_items = 10))]
    accepted_proposals: Option<Vec<DraftRequest>>,
    /// Drafts that replace the proposals whose ids they name; at most 10.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::updated_drafts))]
    updated_proposals: Option<Vec<DraftRequest>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveSubChat {
    pub(crate) chat: SubChatId,
    accepted: Vec<Candidate>,
    updated: Vec<Candidate>,
}

impl TryFrom<OpenSubChatRequest> for Command {
    type Error = Rejection;
    fn try_from(request: OpenSubChatRequest) -> Result<Self, Rejection> {
        let anchor = fields::variant("anchorKind", request.anchor_kind)?;
        let anchor_id = match (anchor, request.anchor_id) {
            (Anchor::NeedsBrainstorm, Some(id)) => Some(fields::id::<NeedId>("anchorId", &id)?.to_string()),
            (Anchor::ProposalRefinement, Some(id)) => Some(fields::id::<StrategyId>("anchorId", &id)?.to_string()),
            _ => None,
        };
        Ok(Stage4Command::OpenSubChat(OpenSubChat { anchor, anchor_id }).into())
    }
}

impl TryFrom<(SubChatId, SayInSubChatRequest)> for Command {
    type Error = Rejection;
    fn try_from((chat, request): (SubChatId, SayInSubChatRequest)) -> Result<Self, Rejection> {
        let content = fields::text("content", request.content, 1..=4_000)?;
        Ok(Stage4Command::SayInSubChat(SayInSubChat { chat, role: ChatRole::User, content, candidate: None }).into())
    }
}

/// An answer of the other service.
impl TryFrom<(SubChatId, AnswerSubChatRequest)> for Command {
    type Error = Rejection;
    fn try_from((chat, request): (SubChatId, AnswerSubChatRequest)) -> Result<Self, Rejection> {
        let content = fields::text("content", request.content, 1..=4_000)?;
        let candidate = request.candidate.map(|candidate| draft("candidate", candidate)).transpose()?;
        Ok(Stage4Command::SayInSubChat(SayInSubChat { chat, role: ChatRole::Ai, content, candidate }).into())
    }
}

impl TryFrom<(SubChatId, ResolveSubChatRequest)> for Command {
    type Error = Rejection;
    fn try_from((chat, request): (SubChatId, ResolveSubChatRequest)) -> Result<Self, Rejection> {
        let accepted = drafts("acceptedProposals", request.accepted_proposals)?;
        let updated = drafts("updatedProposals", request.updated_proposals)?;
        if updated.iter().any(|draft| draft.strategy.is_none()) {
            return Err(Rejection::invalid(
                "updatedProposals.proposalId",
                "nothing",
                "the id of the proposal to update",
            ));
        }
        Ok(Stage4Command::ResolveSubChat(ResolveSubChat { chat, accepted, updated }).into())
    }
}

fn drafts(field: &str, requests: Option<Vec<DraftRequest>>) -> Result<Vec<Candidate>, Rejection> {
    let requests = requests.unwrap_or_default();
    if requests.len() > MOST_DRAFTS {
        let found = format_args!("{} drafts", requests.len()).to_string();
        return Err(Rejection::invalid(field, found, format_args!("{MOST_DRAFTS} drafts at most")));
    }
    requests.into_iter().map(|request| draft(field, request)).collect()
}

fn draft(field: &str, request: DraftRequest) -> Result<Candidate, Rejection> {
    let named = |name: &str| format!("{field}.{name}");
    Ok(Candidate {
        strategy: request.proposal_id.map(|id| fields::id(&named("proposalId"), &id)).transpose()?,
        description: fields::text(&named("description"), request.description, 1..=1_000)?,
        needs_addressed: strategies::needs_addressed(&named("needsAddressed"), request.needs_addressed, 10)?,
        duration: fields::optional_text(&named("duration"), request.duration, 100)?,
        measure_of_success: fields::optional_text(&named("measureOfSuccess"), request.measure_of_success, 500)?,
    })
}

/// The caller's sub-chat. The id of a partner's sub-chat is refused, and nothing of it is revealed.
pub(super) fn own<'a>(action: &MemberAction<'a>, id: &SubChatId) -> Result<&'a SubChat, Rejection> {
    if let Some(chat) = action.me.stage4.sub_chats.iter().find(|chat| chat.id == *id) {
        return Ok(chat);
    }
    let is_theirs = action.partner().is_some_and(|partner| partner.stage4.sub_chats.iter().any(|chat| chat.id == *id));
    Err(if is_theirs {
        Rejection::forbidden("this sub-chat belongs to your partner alone")
    } else {
        not_found("there is no such sub-chat of yours")
    })
}

/// If there is an open sub-chat with the same anchor, nothing changes.
pub(super) fn open(action: &mut MemberAction<'_>, open: &OpenSubChat) -> Result<(), Rejection> {
    let OpenSubChat { anchor, anchor_id } = open;
    let session = action.session;
    if let Some(id) = anchor_id {
        let is_there = match anchor {
            Anchor::NeedsBrainstorm => session.shared_needs(action.side).any(|(_, need)| need.id.as_str() == id),
            Anchor::ProposalRefinement | Anchor::NoOverlap => {
                session.pool.strategies.iter().any(|strategy| strategy.id.as_str() == id)
            }
        };
        if !is_there {
            return Err(not_found("there is no such need or proposal that both of you see"));
        }
    }
    let chats = &action.me.stage4.sub_chats;
    if chats.iter().any(|chat| chat.resolved_at.is_none() && chat.anchor == *anchor && chat.anchor_id == *anchor_id) {
        return Ok(());
    }
    if chats.len() >= MOST_CHATS {
        return Err(Rejection::conflict(format!("you can have {MOST_CHATS} sub-chats at most")));
    }
    action.record(EventBody::SubChatOpened { id: action.ctx.fresh(), anchor: *anchor, anchor_id: anchor_id.clone() });
    Ok(())
}

pub(super) fn say(action: &mut MemberAction<'_>, say: &SayInSubChat) -> Result<(), Rejection> {
    if own(action, &say.chat)?.resolved_at.is_some() {
        return Err(Rejection::conflict("this sub-chat is resolved; open another one"));
    }
    let candidate = say.candidate.as_ref().map_or(0, Candidate::size);
    if !has_room_for(&action.me.stage4.sub_chats, say.content.reveal().len() + candidate) {
        return Err(Rejection::conflict("your sub-chats are full; resolve what you have talked about"));
    }
    action.record(EventBody::SubChatSaid {
        chat: say.chat.clone(),
        role: say.role,
        content: say.content.clone(),
        candidate: say.candidate.clone(),
    });
    Ok(())
}

/// Resolving again changes nothing.
pub(super) fn resolve(action: &mut MemberAction<'_>, resolve: &ResolveSubChat) -> Result<(), Rejection> {
    let chat = own(action, &resolve.chat)?;
    if chat.resolved_at.is_some() {
        return Ok(());
    }
    let session = action.session;
    let changes = !resolve.accepted.is_empty() || !resolve.updated.is_empty();
    if changes && !session.accepts_strategies_of(action.side) {
        return Err(strategies::pool_is_closed());
    }
    strategies::must_have_room(session, resolve.accepted.len())?;
    for draft in &resolve.updated {
        let id = draft.strategy.as_ref().filter(|id| session.pool.find(id).is_some());
        let id = id.ok_or_else(|| not_found("there is no such proposal in this session"))?;
        if session
            .agreements
            .iter()
            .any(|agreement| agreement.strategy.as_ref() == Some(id) && agreement.status.is_live())
        {
            return Err(Rejection::conflict("there is an agreement on this proposal; it cannot be revised"));
        }
    }
    let need = chat.anchor_id.clone().filter(|_| chat.anchor == Anchor::NeedsBrainstorm).map(PrivateText::new);
    let (mut created, mut updated) = (Vec::new(), Vec::new());
    for draft in &resolve.accepted {
        let mut needs_addressed = draft.needs_addressed.clone();
        needs_addressed.extend(need.iter().filter(|need| !draft.needs_addressed.contains(need)).cloned());
        let id: StrategyId = action.ctx.fresh();
        created.push(id.clone());
        action.record(EventBody::StrategyProposed {
            id,
            description: draft.description.clone(),
            needs_addressed,
            duration: draft.duration.clone(),
            measure_of_success: draft.measure_of_success.clone(),
        });
    }
    for draft in &resolve.updated {
        let Some(id) = draft.strategy.clone() else { continue };
        updated.push(id.clone());
        action.record(EventBody::StrategyRevised {
            id,
            description: draft.description.clone(),
            needs_addressed: draft.needs_addressed.clone(),
            duration: draft.duration.clone(),
            measure_of_success: draft.measure_of_success.clone(),
        });
    }
    action.record(EventBody::SubChatResolved { chat: resolve.chat.clone(), created, updated });
    Ok(())
}
