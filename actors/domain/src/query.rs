//! What can be asked of one session.

use crate::{app::Marker, stage::Stage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// `{session}`
    Detail,
    /// The session as a list shows it.
    Summary,
    /// The resync call after a reconnect.
    State,
    Progress,
    Gates(Stage),
    CompactStatus,
    EmpathyDraft,
    EmpathyPartner,
    EmpathyStatus,
    ShareOffer,
    PendingActions,
    PendingConsents,
    ConsentHistory,
    Needs,
    NeedsComparison,
    CommonGround,
    Strategies,
    Overlap,
    Agreements,
    Tending,
    TendingHistory,
    /// The invitation, for a member.
    Invitation,
    /// What anybody may see who has the invitation's id; the only query without a viewer.
    PublicInvitation,
    /// The invitation, for a user who has followed its link and signed in, member or not.
    AcknowledgedInvitation,
    /// A live session with the same person, in place of a new one.
    ExistingSession,
    /// The chat. Another service keeps it, so the page is always empty.
    Messages {
        limit: Option<u32>,
    },
}

/// The page that the June generation of the app asks for.
const JUNES_PAGE: u32 = 500;

impl Query {
    /// What the query reveals about the viewer's client.
    pub fn marker(self) -> Option<Marker> {
        match self {
            Query::Messages { limit: Some(JUNES_PAGE) } => Some(Marker::June),
            Query::Messages { .. } | Query::EmpathyStatus | Query::ShareOffer | Query::PendingActions => {
                Some(Marker::App)
            }
            Query::Detail
            | Query::Summary
            | Query::State
            | Query::Progress
            | Query::Gates(_)
            | Query::CompactStatus
            | Query::EmpathyDraft
            | Query::EmpathyPartner
            | Query::PendingConsents
            | Query::ConsentHistory
            | Query::Needs
            | Query::NeedsComparison
            | Query::CommonGround
            | Query::Strategies
            | Query::Overlap
            | Query::Agreements
            | Query::Tending
            | Query::TendingHistory
            | Query::Invitation
            | Query::PublicInvitation
            | Query::AcknowledgedInvitation
            | Query::ExistingSession => None,
        }
    }
}
