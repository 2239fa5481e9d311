//! What can be asked of one session.

use super::stage::Stage;

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
    Needs,
    NeedsComparison,
    CommonGround,
    Strategies,
    Overlap,
    Agreements,
    /// A member's own look at the invitation.
    Invitation,
    /// What anybody may see who has the invitation's id; the only query without a viewer.
    PublicInvitation,
}
