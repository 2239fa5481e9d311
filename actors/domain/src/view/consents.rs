//! The viewer's own consents: pending requests, decisions, and revocations.

use serde::Serialize;
use strum::VariantArray;

use super::{Answer, Viewer};
use crate::{
    command::{DecideConsent, RevokeConsent},
    consents::{self, ConsentKind, ConsentRecord},
    ids::{self, NeedId, Seq, UserId},
    private_text::PrivateText,
    time::Timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ConsentContent {
    EmpathyDraft,
    EmpathyAttempt,
    IdentifiedNeed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ConsentDecision {
    Granted,
    Denied,
}

/// The answer to `GET /sessions/{id}/consent/pending`: what the caller is asked to share.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PendingConsents {
    pending_requests: Vec<ConsentRequestView>,
    seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsentRequestView {
    id: String,
    content_type: ConsentContent,
    target_id: String,
    created_at: Timestamp,
    metadata: Option<ConsentMetadata>,
}

/// The needs that would be shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsentMetadata {
    need_ids: Vec<NeedId>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsentRecordView {
    id: String,
    content_type: ConsentContent,
    target_id: String,
    decision: ConsentDecision,
    decided_at: Timestamp,
    revoked_at: Option<Timestamp>,
    created_at: Timestamp,
    metadata: Option<ConsentMetadata>,
}

/// The answer to `GET /sessions/{id}/consent/history`: the caller's latest decisions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConsentHistory {
    /// Newest first; the last 50.
    records: Vec<ConsentRecordView>,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/consent/decide`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConsentDecided {
    recorded: bool,
    consent_record: ConsentRecordView,
    shared_content: Option<SharedContent>,
    seq: Seq,
}

/// The caller's own words, as the partner may see them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct SharedContent {
    id: String,
    source_user_id: UserId,
    transformed_content: PrivateText,
    consented_at: Timestamp,
    consent_active: bool,
}

/// The answer to `POST /sessions/{id}/consent/revoke`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConsentRevoked {
    revoked: bool,
    revoked_at: Option<Timestamp>,
    kind: Option<ConsentKind>,
    consent_record_id: Option<String>,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn pending_consents(&self) -> PendingConsents {
        let asked = ConsentKind::VARIANTS.iter().copied().filter(|kind| self.me.is_asked_for_consent(*kind));
        let view = |kind: ConsentKind| {
            let version = self.me.consent_version(kind);
            ConsentRequestView {
                id: consents::request_id(&self.session.id, &self.me.id, kind, version),
                content_type: content(kind, Sharing::Asked),
                target_id: self.consent_target(kind, Sharing::Asked),
                created_at: self.prepared_at(kind),
                metadata: metadata(kind, &self.me.confirmed_needs()),
            }
        };
        PendingConsents { pending_requests: asked.map(view).collect(), seq: self.session.seq }
    }

    fn prepared_at(&self, kind: ConsentKind) -> Timestamp {
        let at = match kind {
            ConsentKind::Empathy => self.me.empathy.draft.as_ref().map(|draft| draft.saved_at),
            ConsentKind::Needs => self.me.needs.confirmed_at,
        };
        at.unwrap_or(self.session.created_at)
    }

    fn consent_target(&self, kind: ConsentKind, sharing: Sharing) -> String {
        let (session, me) = (self.session.id.as_str().as_bytes(), self.me.id.as_str().as_bytes());
        match (kind, &self.me.empathy.draft) {
            (ConsentKind::Empathy, Some(draft)) if sharing == Sharing::Asked => draft.id.as_str().to_owned(),
            (ConsentKind::Empathy, _) => ids::derived(&[b"attempt", session, me]),
            (ConsentKind::Needs, _) => ids::derived(&[b"needs", session, me]),
        }
    }

    fn consent_record(&self, record: &ConsentRecord) -> ConsentRecordView {
        ConsentRecordView {
            id: record.id(&self.session.id, &self.me.id),
            content_type: content(record.kind, Sharing::of(record)),
            target_id: self.consent_target(record.kind, Sharing::of(record)),
            decision: if record.granted { ConsentDecision::Granted } else { ConsentDecision::Denied },
            decided_at: record.decided_at,
            revoked_at: record.revoked_at,
            created_at: record.decided_at,
            metadata: metadata(record.kind, &record.needs),
        }
    }

    pub(super) fn consent_history(&self) -> ConsentHistory {
        let records = self.me.consents.iter().rev().map(|record| self.consent_record(record));
        ConsentHistory { records: records.collect(), seq: self.session.seq }
    }

    pub(super) fn consent_decided(&self, decide: &DecideConsent) -> Answer {
        let asked = self.session.requested_content(self.me, decide);
        let record = asked.and_then(|(kind, version)| self.me.consents.decided(kind, version));
        let Some(record) = record else { return Answer::done(self.session.seq) };
        Answer::ConsentDecided(Box::new(ConsentDecided {
            recorded: true,
            consent_record: self.consent_record(record),
            shared_content: record.granted.then(|| self.shared_content(record)),
            seq: self.session.seq,
        }))
    }

    fn shared_content(&self, record: &ConsentRecord) -> SharedContent {
        let text = match record.kind {
            ConsentKind::Empathy => {
                self.me.empathy.attempt.as_ref().map(|attempt| attempt.content.clone()).unwrap_or_default()
            }
            ConsentKind::Needs => {
                let needs = self.me.needs.list.iter().filter(|need| record.needs.contains(&need.id));
                PrivateText::new(needs.map(|need| need.need.reveal()).collect::<Vec<_>>().join("\n"))
            }
        };
        SharedContent {
            id: self.consent_target(record.kind, Sharing::Granted),
            source_user_id: self.me.id.clone(),
            transformed_content: text,
            consented_at: record.decided_at,
            consent_active: record.is_in_force(),
        }
    }

    pub(super) fn consent_revoked(&self, revoke: &RevokeConsent) -> ConsentRevoked {
        let record = self.session.revoked_record(self.me, revoke);
        let revoked_at = record.and_then(|record| record.revoked_at);
        ConsentRevoked {
            revoked: revoked_at.is_some(),
            revoked_at,
            kind: record.map(|record| record.kind),
            consent_record_id: record.map(|record| record.id(&self.session.id, &self.me.id)),
            seq: self.session.seq,
        }
    }
}

/// Whether the content may be shared. A text that may not be shared is still a draft.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Asked,
    Granted,
}

impl Sharing {
    fn of(record: &ConsentRecord) -> Self {
        if record.granted { Self::Granted } else { Self::Asked }
    }
}

fn content(kind: ConsentKind, sharing: Sharing) -> ConsentContent {
    match (kind, sharing) {
        (ConsentKind::Empathy, Sharing::Asked) => ConsentContent::EmpathyDraft,
        (ConsentKind::Empathy, Sharing::Granted) => ConsentContent::EmpathyAttempt,
        (ConsentKind::Needs, _) => ConsentContent::IdentifiedNeed,
    }
}

fn metadata(kind: ConsentKind, needs: &[NeedId]) -> Option<ConsentMetadata> {
    (kind == ConsentKind::Needs).then(|| ConsentMetadata { need_ids: needs.to_vec() })
}
