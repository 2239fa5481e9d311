//! Changes of needs, as events hold them.

use serde::{Deserialize, Serialize};

use crate::{ids::NeedId, needs::NeedCategory, private_text::PrivateText};

/// One need in a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedConfirmation {
    /// One of the author's own needs.
    pub need: NeedId,
    /// Whether the need is right.
    pub confirmed: bool,
    /// A new description, if the partner changed it.
    #[serde(default)]
    pub adjustment: Option<PrivateText>,
}

/// A partner's answer on one category of the common ground.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonGroundConfirmation {
    /// One that both partners have shared.
    pub category: NeedCategory,
    /// Whether the author sees it as common ground.
    pub confirmed: bool,
}

/// A need that the AI service has read from the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedNeed {
    /// The coordinator makes it.
    pub id: NeedId,
    /// 1 to 200 characters.
    pub need: PrivateText,
    /// As the AI service has sorted it.
    pub category: NeedCategory,
    /// At most 1000 characters.
    pub description: Option<PrivateText>,
    /// The texts that the need was read from.
    #[serde(default)]
    pub evidence: Vec<PrivateText>,
}

/// One change of a partner's own list. The former text stays in the log until its author erases it; the answer shows
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "a variant is the change, with the values before and after it")]
pub enum NeedEdit {
    Added { id: NeedId, need: PrivateText, category: NeedCategory },
    Reworded { need: NeedId, before: PrivateText, after: PrivateText },
    Recategorized { need: NeedId, before: NeedCategory, after: NeedCategory },
    Removed { need: NeedId, before: PrivateText },
}
