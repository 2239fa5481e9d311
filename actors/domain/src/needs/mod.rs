//! Needs (stage 3): private until confirmed and consented, and then compared by category.

mod changes;

use std::collections::BTreeMap;

pub use changes::{CapturedNeed, CommonGroundConfirmation, NeedConfirmation, NeedEdit};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{self, NeedId, SessionId},
    private_text::PrivateText,
    time::Timestamp,
};

/// The six categories of needs. Needs are compared by category.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum NeedCategory {
    /// To be free of threat, in body and mind.
    Safety,
    /// To be close to each other.
    Connection,
    /// To decide for oneself.
    Autonomy,
    /// To be seen and appreciated.
    Recognition,
    /// To have a purpose. Also of a need that was added without a category.
    Meaning,
    /// To be treated justly.
    Fairness,
}

impl NeedCategory {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            NeedCategory::Safety => "Safety",
            NeedCategory::Connection => "Connection",
            NeedCategory::Autonomy => "Autonomy",
            NeedCategory::Recognition => "Recognition",
            NeedCategory::Meaning => "Meaning",
            NeedCategory::Fairness => "Fairness",
        }
    }

    /// The id of this category as common ground of the session. It is the same for both partners and at any time.
    pub(crate) fn common_ground_id(self, session: &SessionId) -> String {
        ids::derived(&[b"common ground", session.as_str().as_bytes(), <&str>::from(self).as_bytes()])
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Need {
    pub(crate) id: NeedId,
    pub(crate) need: PrivateText,
    pub(crate) category: NeedCategory,
    pub(crate) description: Option<PrivateText>,
    /// The texts that the need was read from. Only the owner sees them, even when the need is shared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) evidence: Vec<PrivateText>,
    pub(crate) created_at: Timestamp,
    pub(crate) confirmed: bool,
    /// When the need was confirmed in its present form.
    pub(crate) confirmed_at: Option<Timestamp>,
    /// Chosen for sharing. Counts while the consent stands.
    pub(crate) shared: bool,
}

/// A need that its owner has removed. Its text is no longer kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedNeed {
    pub(crate) id: NeedId,
    pub(crate) category: NeedCategory,
    pub(crate) created_at: Timestamp,
    pub(crate) at: Timestamp,
}

/// The number of removed needs that are kept, so that a repeated removal can be answered.
const KEPT_REMOVED: usize = 50;

/// One partner's stage 3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Needs {
    pub(crate) list: Vec<Need>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) removed: Vec<RemovedNeed>,
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) shared_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
    /// The categories of common ground that this partner has confirmed, and when.
    pub(crate) common_ground: BTreeMap<NeedCategory, Timestamp>,
    /// When this partner last confirmed the common ground, even if it was empty.
    pub(crate) common_ground_at: Option<Timestamp>,
    /// When this partner validated the two lists side by side. It is void when the other partner shares another list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validated_at: Option<Timestamp>,
}

impl Needs {
    pub(crate) fn find(&self, id: &NeedId) -> Option<&Need> {
        self.list.iter().find(|need| need.id == *id)
    }

    pub(super) fn find_mut(&mut self, id: &NeedId) -> Option<&mut Need> {
        self.list.iter_mut().find(|need| need.id == *id)
    }

    pub(super) fn remove(&mut self, id: &NeedId, at: Timestamp) {
        let Some(index) = self.list.iter().position(|need| need.id == *id) else { return };
        let need = self.list.remove(index);
        if self.removed.len() >= KEPT_REMOVED {
            self.removed.remove(0);
        }
        self.removed.push(RemovedNeed { id: need.id, category: need.category, created_at: need.created_at, at });
    }

    pub(super) fn add(&mut self, need: CapturedNeed, at: Timestamp) {
        let CapturedNeed { id, need, category, description, evidence } = need;
        let (created_at, confirmed_at) = (at, None);
        let (confirmed, shared) = (false, false);
        self.list.push(Need { id, need, category, description, evidence, created_at, confirmed, confirmed_at, shared });
    }

    pub(super) fn confirm(&mut self, changes: &[NeedConfirmation], at: Timestamp) {
        for change in changes {
            let Some(need) = self.find_mut(&change.need) else { continue };
            need.confirmed_at = need.confirmed_at.or(Some(at)).filter(|_| change.confirmed);
            need.confirmed = change.confirmed;
            if change.adjustment.is_some() {
                need.description = change.adjustment.clone();
            }
        }
        self.confirmed_at = Some(at).filter(|_| self.any_confirmed());
    }

    /// A changed need has to be confirmed again, since the confirmation was about the former text.
    pub(super) fn edit(&mut self, edit: &NeedEdit, at: Timestamp) {
        match edit {
            NeedEdit::Added { id, need, category } => {
                let (id, need, category) = (id.clone(), need.clone(), *category);
                self.add(CapturedNeed { id, need, category, description: None, evidence: Vec::new() }, at);
            }
            NeedEdit::Reworded { need, after, .. } => {
                self.unconfirm(need, |need| need.need = after.clone());
            }
            NeedEdit::Recategorized { need, after, .. } => {
                self.unconfirm(need, |need| need.category = *after);
            }
            NeedEdit::Removed { need, .. } => self.remove(need, at),
        }
        self.confirmed_at = self.confirmed_at.filter(|_| self.any_confirmed());
    }

    fn unconfirm(&mut self, id: &NeedId, change: impl FnOnce(&mut Need)) {
        if let Some(need) = self.find_mut(id) {
            change(need);
            need.confirmed = false;
            need.confirmed_at = None;
        }
    }

    pub(crate) fn any_confirmed(&self) -> bool {
        self.list.iter().any(|need| need.confirmed)
    }

    /// Whether the partner may see the shared ones now.
    pub(crate) fn consent_stands(&self) -> bool {
        self.shared_at.is_some() && self.revoked_at.is_none()
    }

    /// Whether the consent stands, for these needs and no others.
    pub(crate) fn shares_exactly(&self, needs: &[NeedId]) -> bool {
        self.consent_stands()
            && self.shared().count() == needs.len()
            && self.shared().all(|need| needs.contains(&need.id))
    }

    /// What the partner may see: confirmed, chosen, and with a consent that stands.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &Need> {
        let stands = self.consent_stands();
        self.list.iter().filter(move |need| stands && need.confirmed && need.shared)
    }
}
