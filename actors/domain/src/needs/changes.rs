//! Changes of needs, as events hold them.

use serde::{Deserialize, Serialize};

use crate::{ids::NeedId, needs::NeedCategory, private_text::PrivateText};

/// One need in a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedConfirmation {
    pub need: NeedId,
    pub confirmed: bool,
    /// A new description, if the partner changed it.
    #[serde(default)]
    pub adjustment: Option<PrivateText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonGroundConfirmation {
    pub category: NeedCategory,
    pub confirmed: bool,
}

/// A need that the AI service has read from the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedNeed {
    pub id: NeedId,
    pub need: PrivateText,
    pub category: NeedCategory,
    pub description: Option<PrivateText>,
    /// The texts that the need was read from.
    #[serde(default)]
    pub evidence: Vec<PrivateText>,
}

/// One change of a partner's own list. The former text stays in the log until its author erases it; the answer shows
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedEdit {
    Added { id: NeedId, need: PrivateText, category: NeedCategory },
    Reworded { need: NeedId, before: PrivateText, after: PrivateText },
    Recategorized { need: NeedId, before: NeedCategory, after: NeedCategory },
    Removed { need: NeedId, before: PrivateText },
}
