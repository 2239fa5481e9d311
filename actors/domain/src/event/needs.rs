//! What events say of needs.

use serde::{Deserialize, Serialize};

use crate::{ids::NeedId, needs::NeedCategory, words::Words};

/// One need in a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedConfirmation {
    pub need: NeedId,
    pub confirmed: bool,
    /// A new description, if the partner wanted to rephrase it.
    #[serde(default)]
    pub adjustment: Option<Words>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonGroundConfirmation {
    pub category: NeedCategory,
    pub confirmed: bool,
}

/// A need as it was read from what the partner had said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedNeed {
    pub id: NeedId,
    pub need: Words,
    pub category: NeedCategory,
    pub description: Option<Words>,
    /// What it was read from.
    #[serde(default)]
    pub evidence: Vec<Words>,
}

/// One change of the own list. What was there before stays in the log for the answer, until its author erases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedEdit {
    Added { id: NeedId, need: Words, category: NeedCategory },
    Reworded { need: NeedId, before: Words, after: Words },
    Recategorized { need: NeedId, before: NeedCategory, after: NeedCategory },
    Removed { need: NeedId, before: Words },
}

impl CapturedNeed {
    pub(super) fn forget_words(&mut self) {
        self.need = Words::default();
        self.description = None;
        self.evidence.clear();
    }
}

impl NeedEdit {
    pub(super) fn forget_words(&mut self) {
        match self {
            NeedEdit::Added { need, .. } => *need = Words::default(),
            NeedEdit::Reworded { before, after, .. } => {
                *before = Words::default();
                *after = Words::default();
            }
            NeedEdit::Removed { before, .. } => *before = Words::default(),
            NeedEdit::Recategorized { .. } => {}
        }
    }
}
