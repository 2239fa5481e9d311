//! Empathy (stage 2): a private draft, an attempt shared with consent, and the partner's verdict on it.

use serde::{Deserialize, Serialize};

use crate::{ids::DraftId, private_text::PrivateText, time::Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptDraft {
    pub(crate) id: DraftId,
    pub(crate) content: PrivateText,
    pub(crate) version: u32,
    pub(crate) ready: bool,
    pub(crate) saved_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) content: PrivateText,
    pub(crate) shared_at: Timestamp,
    /// When both partners had consented, so that the other partner can see this text.
    pub(crate) revealed_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
    /// How often the author has shared a new text.
    pub(crate) revision: u32,
}

/// The partner's verdict on the attempt. The partner may keep the feedback private.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) validated: bool,
    pub(crate) at: Timestamp,
    pub(crate) feedback: Option<PrivateText>,
    pub(crate) feedback_shared: bool,
    /// The partner asked for a revision, and the author kept the attempt as it was.
    pub(crate) skipped: bool,
}

/// The status of an attempt, as the app names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AttemptStatus {
    /// The partner has not shared, so nobody sees it yet.
    Held,
    Revealed,
    /// The partner has asked for a revision.
    Refining,
    Validated,
}

/// How far a shared attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    Pending,
    /// Both have shared: the partner can read it.
    Delivered,
    /// The partner has given a verdict. The time of reading is not recorded.
    Seen,
}

/// One partner's stage 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Empathy {
    pub(crate) draft: Option<AttemptDraft>,
    pub(crate) attempt: Option<Attempt>,
    /// The other partner's verdict on the attempt.
    pub(crate) verdict: Option<Verdict>,
}

impl Empathy {
    /// The version that the draft gets when it is saved the next time.
    pub(crate) fn next_version(&self) -> u32 {
        self.draft.as_ref().map_or(1, |draft| draft.version.saturating_add(1))
    }

    /// The attempt that the other partner may see once both have one.
    pub(crate) fn shared(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| attempt.revoked_at.is_none())
    }

    pub(crate) fn was_revoked(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.revoked_at.is_some())
    }

    pub(crate) fn is_validated(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.validated)
    }

    /// The partner asked for a revision, and the author kept the attempt as it was.
    pub(crate) fn skipped_refinement(&self) -> bool {
        self.shared().is_some() && self.verdict.as_ref().is_some_and(|verdict| verdict.skipped)
    }

    /// None while nothing is shared.
    pub(crate) fn status(&self, partner_shares: bool) -> Option<AttemptStatus> {
        self.shared()?;
        Some(match &self.verdict {
            Some(verdict) if verdict.validated => AttemptStatus::Validated,
            Some(_) => AttemptStatus::Refining,
            None if partner_shares => AttemptStatus::Revealed,
            None => AttemptStatus::Held,
        })
    }

    /// The partner asked for a revision.
    pub(crate) fn awaits_revision(&self) -> bool {
        self.shared().is_some() && self.verdict.as_ref().is_some_and(|verdict| !verdict.validated)
    }

    pub(crate) fn delivery_status(&self, partner_shares: bool) -> DeliveryStatus {
        match (&self.verdict, partner_shares) {
            (Some(_), _) => DeliveryStatus::Seen,
            (None, true) => DeliveryStatus::Delivered,
            (None, false) => DeliveryStatus::Pending,
        }
    }

    /// Whether the draft can be changed: until it is shared, after a request for a revision, and after a revoked
    /// consent.
    pub(crate) fn may_be_edited(&self) -> bool {
        self.shared().is_none() || self.awaits_revision()
    }
}
