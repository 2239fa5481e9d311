//! What can be asked of one session.

use crate::{app::Marker, stage::Stage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// `{session}`
    Detail,
    /// The session as it stands in a list.
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
    /// A member's own look at the invitation.
    Invitation,
    /// What anybody may see who has the invitation's id; the only query without a viewer.
    PublicInvitation,
    /// The invitation for somebody who has followed its link and signed in, member or not.
    AcknowledgedInvitation,
    /// A live session that is offered in place of another one with the same person.
    ExistingSession,
    /// The chat, which is another service's: always an empty page.
    Messages {
        limit: Option<u32>,
    },
}

/// The page that the app asks for from June on.
const JUNES_PAGE: u32 = 500;

impl Query {
    /// What asking tells of the viewer's client.
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
