//! A partner's decisions about sharing, one record each. The records are for looking up and revoking. What the other
//! partner may see follows from the attempt and the needs, not from the records.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{self, NeedId, SessionId, UserId},
    time::Timestamp,
};

/// The number of decisions that are kept for each partner. The oldest goes first.
const KEPT: usize = 50;

/// What a consent is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ConsentKind {
    /// What the owner wrote about the partner's feelings.
    Empathy,
    /// The owner's confirmed needs.
    Needs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConsentRecord {
    /// The position among this partner's decisions, from 1.
    pub(crate) number: u32,
    pub(crate) kind: ConsentKind,
    /// The version of the content that the decision is about. See [`request_id`].
    pub(crate) version: u64,
    /// The needs that a consent was given for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) needs: Vec<NeedId>,
    pub(crate) granted: bool,
    pub(crate) decided_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<Timestamp>,
}

impl ConsentRecord {
    /// The id by which the app revokes this consent.
    pub(crate) fn id(&self, session: &SessionId, owner: &UserId) -> String {
        let number = self.number.to_be_bytes();
        ids::derived(&[b"consent record", session.as_str().as_bytes(), owner.as_str().as_bytes(), &number])
    }

    /// Whether the consent was given and not revoked since.
    pub(crate) fn is_in_force(&self) -> bool {
        self.granted && self.revoked_at.is_none()
    }
}

/// The id of the request to `owner` to share this version of the content. The version is the number of the draft, or
/// the time at which the needs were confirmed. Content that has changed since a denial makes a new request.
pub(crate) fn request_id(session: &SessionId, owner: &UserId, kind: ConsentKind, version: u64) -> String {
    let (session, owner) = (session.as_str().as_bytes(), owner.as_str().as_bytes());
    ids::derived(&[b"consent request", session, owner, <&str>::from(kind).as_bytes(), &version.to_be_bytes()])
}

/// One partner's decisions, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consents {
    /// The number of decisions ever made.
    made: u32,
    list: Vec<ConsentRecord>,
}

impl Consents {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &ConsentRecord> {
        self.list.iter()
    }

    /// The latest consent of a kind, if it stands.
    pub(crate) fn in_force(&self, kind: ConsentKind) -> Option<&ConsentRecord> {
        self.list.iter().rev().find(|record| record.kind == kind && record.is_in_force())
    }

    /// What was decided about this version of the content.
    pub(crate) fn decided(&self, kind: ConsentKind, version: u64) -> Option<&ConsentRecord> {
        self.list.iter().rev().find(|record| record.kind == kind && record.version == version)
    }

    pub(super) fn grant(&mut self, kind: ConsentKind, version: u64, needs: Vec<NeedId>, at: Timestamp) {
        self.record(ConsentRecord { needs, granted: true, ..Self::denial(kind, version, at) });
    }

    pub(super) fn deny(&mut self, kind: ConsentKind, version: u64, at: Timestamp) {
        self.record(Self::denial(kind, version, at));
    }

    pub(super) fn revoke(&mut self, kind: ConsentKind, at: Timestamp) {
        let standing = self.list.iter_mut().filter(|record| record.kind == kind && record.is_in_force());
        standing.for_each(|record| record.revoked_at = Some(at));
    }

    fn denial(kind: ConsentKind, version: u64, at: Timestamp) -> ConsentRecord {
        ConsentRecord { number: 0, kind, version, needs: Vec::new(), granted: false, decided_at: at, revoked_at: None }
    }

    fn record(&mut self, record: ConsentRecord) {
        self.made += 1;
        if self.list.len() >= KEPT {
            self.list.remove(0);
        }
        self.list.push(ConsentRecord { number: self.made, ..record });
    }
}
