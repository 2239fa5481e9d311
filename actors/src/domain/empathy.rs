//! Empathy (stage 2): a private draft, an attempt shared with consent, and the partner's verdict on it.

use serde::{Deserialize, Serialize};

use super::{ids::DraftId, time::Timestamp, words::Words};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub id: DraftId,
    pub content: Words,
    pub version: u32,
    pub ready: bool,
    pub saved_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub content: Words,
    pub shared_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// How often it was shared anew.
    pub revision: u32,
}

/// What the partner said of the attempt. The feedback is the partner's, who may keep it private.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub validated: bool,
    pub at: Timestamp,
    pub feedback: Option<Words>,
    pub feedback_shared: bool,
}

/// One partner's stage 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empathy {
    pub draft: Option<Draft>,
    pub attempt: Option<Attempt>,
    /// The other partner's, on the attempt above.
    pub verdict: Option<Verdict>,
}

impl Empathy {
    /// The attempt that the other partner may see once both have one.
    pub fn shared(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| attempt.revoked_at.is_none())
    }

    pub fn was_revoked(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.revoked_at.is_some())
    }

    pub fn is_validated(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.validated)
    }

    /// The partner did not recognise itself: the author is asked to try again.
    pub fn awaits_revision(&self) -> bool {
        self.shared().is_some() && self.verdict.as_ref().is_some_and(|verdict| !verdict.validated)
    }

    /// A draft may be written until it is shared, and again when a revision is asked for or the consent was revoked.
    pub fn may_be_edited(&self) -> bool {
        self.shared().is_none() || self.awaits_revision()
    }
}
