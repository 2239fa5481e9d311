//! People as their partners see them.

#![expect(
    missing_docs,
    reason = "the fields are named for what they are; a comment would only repeat it in the API's description"
)]

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{
    ids::{InvitationId, SessionId, UserId},
    private_text::PrivateText,
    stage::{SessionStatus, Stage},
    time::Timestamp,
};

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeoplePage {
    pub people: Vec<PersonView>,
    /// For the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    pub has_more: bool,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    pub id: UserId,
    pub relationship_id: String,
    pub name: PrivateText,
    /// What the caller calls the person.
    pub nickname: Option<PrivateText>,
    pub initials: PrivateText,
    /// Since the first session that both joined.
    pub connected_since: Timestamp,
    pub last_session: Option<LastSession>,
    pub active_session_count: usize,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastSession {
    pub id: SessionId,
    pub status: SessionStatus,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonEnvelope {
    pub person: PersonDetail,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonDetail {
    pub id: UserId,
    pub relationship_id: String,
    pub name: PrivateText,
    pub nickname: Option<PrivateText>,
    pub initials: PrivateText,
    pub connected_since: Timestamp,
    pub active_session: Option<PersonSessionStatus>,
    pub pending_invitation: Option<PersonInvitation>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSessionStatus {
    pub id: SessionId,
    /// The caller's stage.
    pub stage: Stage,
    pub status: WhoseTurn,
    pub last_update: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhoseTurn {
    /// The partner has completed the stage, and the caller has not. Not shown where it would reveal more than the
    /// partner's stage.
    WaitingOnYou,
    /// The caller can go on to the next stage.
    YourTurn,
    WaitingOnPartner,
    BothActive,
}

/// An invitation of the caller to the person that is still open.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonInvitation {
    pub id: InvitationId,
    pub session_id: SessionId,
    pub sent_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSessions {
    pub sessions: Vec<PersonSession>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSession {
    pub id: SessionId,
    /// When the session was resolved, or last changed.
    pub date: Timestamp,
    /// The topic, if the caller may know it; otherwise empty.
    pub topic: PrivateText,
    pub status: SessionStatus,
}
