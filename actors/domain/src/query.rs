//! What can be asked of one session.

use crate::{app::Marker, stage::Stage};

/// A question about one session. All but [`Query::PublicInvitation`] have a viewer, who has to be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// `{session}`
    Detail,
    /// The session as a list shows it.
    Summary,
    /// The resync call after a reconnect.
    State,
    /// `GET …/progress`
    Progress,
    /// The viewer's gates of one stage.
    Gates(Stage),
    /// Who has signed the compact; of the partner only what the viewer may know.
    CompactStatus,
    /// The viewer's own draft.
    EmpathyDraft,
    /// The partner's attempt, if both have shared.
    EmpathyPartner,
    /// Stage 2 at one glance.
    EmpathyStatus,
    /// `GET …/reconciler/share-offer`. Another service makes offers, so there is never one.
    ShareOffer,
    /// What the viewer is asked to judge.
    PendingActions,
    /// Content that the viewer is asked to share.
    PendingConsents,
    /// The viewer's own decisions about sharing.
    ConsentHistory,
    /// The viewer's own needs.
    Needs,
    /// The shared needs of both. A rejection until both have shared.
    NeedsComparison,
    /// The categories that both have shared.
    CommonGround,
    /// The pool, without authors.
    Strategies,
    /// The result of both rankings.
    Overlap,
    /// All agreements of the session.
    Agreements,
    /// The entries that the viewer may see.
    Tending,
    /// The check-ins that were made.
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
        /// The size of the page that the client asks for. It says which client it is.
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
