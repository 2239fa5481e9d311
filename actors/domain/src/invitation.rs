//! The invitation that a session begins with.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{InvitationId, UserId},
    private_text::PrivateText,
    time::Timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InvitationStatus {
    Pending,
    Accepted,
    Declined,
    Expired,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    pub id: InvitationId,
    /// The name that the creator gives to the invited person. Only the creator sees it.
    pub invite_name: Option<PrivateText>,
    /// The only person who may accept, if the creator invited a known one.
    pub person: Option<UserId>,
    pub created_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    /// The expiry has been recorded; a resend clears it.
    pub expired: bool,
    pub accepted_at: Option<Timestamp>,
    pub declined_at: Option<Timestamp>,
    pub resends: u32,
    pub resent_at: Option<Timestamp>,
    /// The topic of the session. The invited person sees it once the creator has confirmed it.
    #[serde(default)]
    pub topic: Option<PrivateText>,
    #[serde(default)]
    pub topic_confirmed_at: Option<Timestamp>,
    /// The text that the creator sends with the link.
    #[serde(default)]
    pub message: Option<PrivateText>,
    /// When the creator said that the invitation was sent.
    #[serde(default)]
    pub sent_at: Option<Timestamp>,
}

impl Invitation {
    /// The status at the time of reading. An invitation is expired even before its timer has fired. Its time starts
    /// when the creator confirms it.
    pub(crate) fn status(&self, session_is_over: bool, now: Timestamp) -> InvitationStatus {
        if self.accepted_at.is_some() {
            InvitationStatus::Accepted
        } else if self.declined_at.is_some() {
            InvitationStatus::Declined
        } else if session_is_over || self.expired || (self.confirmed_at.is_some() && self.expires_at <= now) {
            InvitationStatus::Expired
        } else {
            InvitationStatus::Pending
        }
    }
}
