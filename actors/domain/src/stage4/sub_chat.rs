//! A sub-chat: one partner's private conversation about a need, a proposal, or the lack of an overlap. Only what the
//! owner accepts goes into the pool.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{StrategyId, SubChatId},
    private_text::PrivateText,
    time::Timestamp,
};

/// What a sub-chat is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Anchor {
    /// A need that has no proposal yet.
    NeedsBrainstorm,
    /// A proposal that the partner wants to rephrase.
    ProposalRefinement,
    /// Both have shared, and there is no proposal that both are willing to do.
    NoOverlap,
}

impl Anchor {
    pub const NAMES: [(&'static str, Anchor); 3] = [
        ("NEEDS_BRAINSTORM", Anchor::NeedsBrainstorm),
        ("PROPOSAL_REFINEMENT", Anchor::ProposalRefinement),
        ("NO_OVERLAP", Anchor::NoOverlap),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ChatRole {
    User,
    Ai,
}

/// A suggested proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The proposal that it would replace.
    #[serde(default)]
    pub strategy: Option<StrategyId>,
    pub description: PrivateText,
    #[serde(default)]
    pub needs_addressed: Vec<PrivateText>,
    #[serde(default)]
    pub duration: Option<PrivateText>,
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
pub struct SubChatMessage {
    /// The position in the chat, from 1. The id of the message is made of it.
    pub number: u32,
    pub role: ChatRole,
    pub content: PrivateText,
    pub candidate: Option<Candidate>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubChat {
    pub id: SubChatId,
    pub anchor: Anchor,
    /// The need or the proposal that it is about.
    pub anchor_id: Option<String>,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub messages: Vec<SubChatMessage>,
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
