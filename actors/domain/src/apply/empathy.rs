//! How drafts, attempts and consents change.

use crate::{
    consents::ConsentKind,
    empathy::{Attempt, AttemptDraft, Empathy},
    ids::DraftId,
    private_text::PrivateText,
    session::Session,
    side::Side,
    time::Timestamp,
};

impl Empathy {
    pub(super) fn save_draft(
        &mut self,
        id: &DraftId,
        content: &PrivateText,
        ready: bool,
        version: Option<u32>,
        at: Timestamp,
    ) {
        let version = version.unwrap_or_else(|| self.next_version());
        self.draft = Some(AttemptDraft { id: id.clone(), content: content.clone(), version, ready, saved_at: at });
    }

    pub(super) fn skip_refinement(&mut self, at: Timestamp) {
        if let Some(verdict) = &mut self.verdict {
            verdict.validated = true;
            verdict.skipped = true;
            verdict.at = at;
        }
    }

    /// A new attempt has no verdict yet.
    fn share(&mut self, content: &PrivateText, at: Timestamp) {
        if let Some(draft) = &mut self.draft {
            draft.content = content.clone();
        }
        let revision = self.attempt.as_ref().map_or(0, |attempt| attempt.revision + 1);
        let content = content.clone();
        self.attempt = Some(Attempt { content, shared_at: at, revealed_at: None, revoked_at: None, revision });
        self.verdict = None;
    }
}

impl Session {
    pub(super) fn share_attempt(&mut self, author: Option<Side>, content: &PrivateText, at: Timestamp) {
        let Some(me) = author.and_then(|side| self.member_mut(side)) else { return };
        me.empathy.share(content, at);
        let version = me.consent_version(ConsentKind::Empathy);
        me.consents.grant(ConsentKind::Empathy, version, Vec::new(), at);
        self.reveal_attempts(at);
    }

    /// Each attempt is visible from the moment at which both partners have consented.
    fn reveal_attempts(&mut self, at: Timestamp) {
        let shares = |side| self.member(side).is_some_and(|member| member.empathy.shared().is_some());
        if !Side::BOTH.into_iter().all(shares) {
            return;
        }
        for side in Side::BOTH {
            if let Some(attempt) = self.member_mut(side).and_then(|member| member.empathy.attempt.as_mut()) {
                attempt.revealed_at.get_or_insert(at);
            }
        }
    }

    /// Agreements that were made with the content in view are marked: the content has been withdrawn.
    pub(super) fn revoke_consent(&mut self, author: Option<Side>, kind: ConsentKind, at: Timestamp) {
        let Some(me) = author.and_then(|side| self.member_mut(side)) else { return };
        me.consents.revoke(kind, at);
        match kind {
            ConsentKind::Empathy => {
                if let Some(attempt) = &mut me.empathy.attempt {
                    attempt.revoked_at = Some(at);
                }
            }
            ConsentKind::Needs => me.needs.revoked_at = Some(at),
        }
        let live = self.agreements.iter_mut().filter(|agreement| agreement.status.is_live());
        live.for_each(|agreement| agreement.has_stale_inputs = true);
    }
}
