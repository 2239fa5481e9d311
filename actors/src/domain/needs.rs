//! Needs (stage 3): private until confirmed and consented, and then compared by category.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ids::{self, NeedId, SessionId},
    time::Timestamp,
    words::Words,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NeedCategory {
    Safety,
    Connection,
    Autonomy,
    Recognition,
    Meaning,
    Fairness,
}

impl NeedCategory {
    pub const ALL: [NeedCategory; 6] = [
        NeedCategory::Safety,
        NeedCategory::Connection,
        NeedCategory::Autonomy,
        NeedCategory::Recognition,
        NeedCategory::Meaning,
        NeedCategory::Fairness,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            NeedCategory::Safety => "SAFETY",
            NeedCategory::Connection => "CONNECTION",
            NeedCategory::Autonomy => "AUTONOMY",
            NeedCategory::Recognition => "RECOGNITION",
            NeedCategory::Meaning => "MEANING",
            NeedCategory::Fairness => "FAIRNESS",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            NeedCategory::Safety => "Safety",
            NeedCategory::Connection => "Connection",
            NeedCategory::Autonomy => "Autonomy",
            NeedCategory::Recognition => "Recognition",
            NeedCategory::Meaning => "Meaning",
            NeedCategory::Fairness => "Fairness",
        }
    }

    /// The id under which a category is common ground in this session: the same for both partners and at any time.
    pub fn common_ground_id(self, session: &SessionId) -> String {
        ids::derived(&[b"common ground", session.as_str().as_bytes(), self.as_str().as_bytes()])
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub id: NeedId,
    pub need: Words,
    pub category: NeedCategory,
    pub description: Option<Words>,
    pub confirmed: bool,
    /// Chosen for sharing. Counts while the consent stands.
    pub shared: bool,
}

/// One partner's stage 3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    pub list: Vec<Need>,
    pub confirmed_at: Option<Timestamp>,
    pub shared_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// The categories of common ground that this partner has confirmed, and when.
    pub common_ground: BTreeMap<NeedCategory, Timestamp>,
    /// When this partner last answered on common ground, also if there was none.
    pub common_ground_at: Option<Timestamp>,
}

impl Needs {
    pub fn find(&self, id: &NeedId) -> Option<&Need> {
        self.list.iter().find(|need| need.id == *id)
    }

    pub fn any_confirmed(&self) -> bool {
        self.list.iter().any(|need| need.confirmed)
    }

    /// Whether the partner may see the shared ones now.
    pub fn consent_stands(&self) -> bool {
        self.shared_at.is_some() && self.revoked_at.is_none()
    }

    /// What the partner may see: confirmed, chosen, and with a consent that stands.
    pub fn shared(&self) -> impl Iterator<Item = &Need> {
        let stands = self.consent_stands();
        self.list.iter().filter(move |need| stands && need.confirmed && need.shared)
    }
}
