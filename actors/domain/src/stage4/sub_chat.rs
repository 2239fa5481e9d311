//! A sub-chat: one partner's private conversation about a need, a proposal, or the lack of an overlap. Only what the
//! owner accepts goes into the pool.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{StrategyId, SubChatId},
    private_text::PrivateText,
    time::Timestamp,
};

/// What a sub-chat is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Anchor {
    /// A need that has no proposal yet.
    NeedsBrainstorm,
    /// A proposal that the partner wants to rephrase.
    ProposalRefinement,
    /// Both have shared, and there is no proposal that both are willing to do.
    NoOverlap,
}

/// Who wrote a message of a sub-chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ChatRole {
    /// The owner of the sub-chat.
    User,
    /// The AI service.
    Ai,
}

/// A suggested proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The proposal that it would replace.
    #[serde(default)]
    pub strategy: Option<StrategyId>,
    /// 1 to 1000 characters.
    pub description: PrivateText,
    /// Labels of needs.
    #[serde(default)]
    pub needs_addressed: Vec<PrivateText>,
    /// At most 100 characters.
    #[serde(default)]
    pub duration: Option<PrivateText>,
    /// At most 500 characters.
    #[serde(default)]
    pub measure_of_success: Option<PrivateText>,
}

impl Candidate {
    pub(crate) fn size(&self) -> usize {
        let rest = [&self.duration, &self.measure_of_success];
        let words = std::iter::once(&self.description).chain(&self.needs_addressed).chain(rest.into_iter().flatten());
        words.map(|words| words.reveal().len()).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubChatMessage {
    /// The position in the chat, from 1. The id of the message is made of it.
    pub(crate) number: u32,
    pub(crate) role: ChatRole,
    pub(crate) content: PrivateText,
    pub(crate) candidate: Option<Candidate>,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubChat {
    pub(crate) id: SubChatId,
    pub(crate) anchor: Anchor,
    /// The need or the proposal that it is about.
    pub(crate) anchor_id: Option<String>,
    pub(crate) opened_at: Timestamp,
    pub(crate) resolved_at: Option<Timestamp>,
    pub(crate) messages: Vec<SubChatMessage>,
}

impl SubChat {
    /// How much of the session's memory the messages take, in bytes.
    pub(crate) fn size(&self) -> usize {
        let candidate = |message: &SubChatMessage| message.candidate.as_ref().map_or(0, Candidate::size);
        self.messages.iter().map(|message| message.content.reveal().len() + candidate(message)).sum()
    }

    pub(super) fn forget_texts(&mut self) {
        for message in &mut self.messages {
            message.content = PrivateText::default();
            message.candidate = None;
        }
    }
}
