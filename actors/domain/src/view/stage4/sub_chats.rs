//! Sub-chats, for their owner.

use serde::Serialize;

use crate::{
    command::OpenSubChat,
    event::{Event, EventBody},
    ids::{self, Seq, SessionId, StrategyId, SubChatId, UserId},
    private_text::PrivateText,
    stage4::{Anchor, Candidate, ChatRole, SubChat, SubChatMessage},
    time::Timestamp,
    view::{Answer, Viewer},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SubChatStatus {
    Active,
    Resolved,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct CandidateView {
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal_id: Option<StrategyId>,
    description: PrivateText,
    needs_addressed: Vec<PrivateText>,
    duration: Option<PrivateText>,
    measure_of_success: Option<PrivateText>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubChatMessageView {
    id: String,
    role: ChatRole,
    content: PrivateText,
    created_at: Timestamp,
    candidate: Option<CandidateView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubChatView {
    id: SubChatId,
    session_id: SessionId,
    user_id: UserId,
    anchor_kind: Anchor,
    anchor_id: Option<String>,
    status: SubChatStatus,
    created_at: Timestamp,
    resolved_at: Option<Timestamp>,
    messages: Vec<SubChatMessageView>,
}

/// The answer to all calls about one sub-chat, except for its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SubChatAnswer {
    sub_chat: SubChatView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/stage4/subchat/{subChatId}/resolve`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SubChatResolved {
    sub_chat: SubChatView,
    created_proposal_ids: Vec<StrategyId>,
    updated_proposal_ids: Vec<StrategyId>,
    seq: Seq,
}

fn candidate(candidate: &Candidate) -> CandidateView {
    CandidateView {
        proposal_id: candidate.strategy.clone(),
        description: candidate.description.clone(),
        needs_addressed: candidate.needs_addressed.clone(),
        duration: candidate.duration.clone(),
        measure_of_success: candidate.measure_of_success.clone(),
    }
}

impl Viewer<'_> {
    fn sub_chat_view(&self, chat: &SubChat) -> SubChatView {
        let message = |message: &SubChatMessage| SubChatMessageView {
            id: ids::derived(&[b"sub-chat message", chat.id.as_str().as_bytes(), &message.number.to_be_bytes()]),
            role: message.role,
            content: message.content.clone(),
            created_at: message.at,
            candidate: message.candidate.as_ref().map(candidate),
        };
        SubChatView {
            id: chat.id.clone(),
            session_id: self.session.id.clone(),
            user_id: self.me.id.clone(),
            anchor_kind: chat.anchor,
            anchor_id: chat.anchor_id.clone(),
            status: if chat.resolved_at.is_some() { SubChatStatus::Resolved } else { SubChatStatus::Active },
            created_at: chat.opened_at,
            resolved_at: chat.resolved_at,
            messages: chat.messages.iter().map(message).collect(),
        }
    }

    fn sub_chat_answer(&self, chat: Option<&SubChat>) -> Answer {
        let seq = self.session.seq;
        match chat {
            Some(chat) => Answer::SubChat(Box::new(SubChatAnswer { sub_chat: self.sub_chat_view(chat), seq })),
            None => Answer::done(seq),
        }
    }

    pub(super) fn sub_chat(&self, id: &SubChatId) -> Answer {
        self.sub_chat_answer(self.me.stage4.sub_chats.iter().find(|chat| chat.id == *id))
    }

    pub(super) fn sub_chat_opened(&self, open: &OpenSubChat) -> Answer {
        let is_it = |chat: &&SubChat| {
            chat.resolved_at.is_none() && chat.anchor == open.anchor && chat.anchor_id == open.anchor_id
        };
        self.sub_chat_answer(self.me.stage4.sub_chats.iter().find(is_it))
    }

    /// A repetition has made and updated nothing.
    pub(super) fn sub_chat_resolved(&self, id: &SubChatId, events: &[Event]) -> Answer {
        let seq = self.session.seq;
        let Some(chat) = self.me.stage4.sub_chats.iter().find(|chat| chat.id == *id) else {
            return Answer::done(seq);
        };
        let resolved = events.iter().find_map(|event| {
            let EventBody::SubChatResolved { created, updated, .. } = &event.body else { return None };
            Some((created.clone(), updated.clone()))
        });
        let (created_proposal_ids, updated_proposal_ids) = resolved.unwrap_or_default();
        Answer::SubChatResolved(Box::new(SubChatResolved {
            sub_chat: self.sub_chat_view(chat),
            created_proposal_ids,
            updated_proposal_ids,
            seq,
        }))
    }
}
