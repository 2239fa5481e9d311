//! The invitation that a session begins with.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{InvitationId, UserId},
    private_text::PrivateText,
    time::Timestamp,
};

/// The status of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InvitationStatus {
    /// It can be accepted or declined.
    Pending,
    /// The invited person has joined the session.
    Accepted,
    /// The invited person has declined; the session is abandoned.
    Declined,
    /// Its time is over, or the session has ended. A resend makes it `PENDING` again.
    Expired,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    pub(crate) id: InvitationId,
    /// The name that the creator gives to the invited person. Only the creator sees it.
    pub(crate) invite_name: Option<PrivateText>,
    /// The only person who may accept, if the creator invited a known one.
    pub(crate) person: Option<UserId>,
    pub(crate) created_at: Timestamp,
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    /// The expiry has been recorded; a resend clears it.
    pub(crate) expired: bool,
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) declined_at: Option<Timestamp>,
    pub(crate) resends: u32,
    pub(crate) resent_at: Option<Timestamp>,
    /// The topic of the session. The invited person sees it once the creator has confirmed it.
    #[serde(default)]
    pub(crate) topic: Option<PrivateText>,
    #[serde(default)]
    pub(crate) topic_confirmed_at: Option<Timestamp>,
    /// The text that the creator sends with the link.
    #[serde(default)]
    pub(crate) message: Option<PrivateText>,
    /// When the creator said that the invitation was sent.
    #[serde(default)]
    pub(crate) sent_at: Option<Timestamp>,
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
