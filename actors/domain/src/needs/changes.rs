//! What events say of needs.

use serde::{Deserialize, Serialize};

use crate::{ids::NeedId, needs::NeedCategory, private_text::PrivateText};

/// One need in a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedConfirmation {
    pub need: NeedId,
    pub confirmed: bool,
    /// A new description, if the partner wanted to rephrase it.
    #[serde(default)]
    pub adjustment: Option<PrivateText>,
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
    pub need: PrivateText,
    pub category: NeedCategory,
    pub description: Option<PrivateText>,
    /// What it was read from.
    #[serde(default)]
    pub evidence: Vec<PrivateText>,
}

/// One change of the own list. What was there before stays in the log for the answer, until its author erases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedEdit {
    Added { id: NeedId, need: PrivateText, category: NeedCategory },
    Reworded { need: NeedId, before: PrivateText, after: PrivateText },
    Recategorized { need: NeedId, before: NeedCategory, after: NeedCategory },
    Removed { need: NeedId, before: PrivateText },
}
