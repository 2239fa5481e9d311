//! Who may give a command. The coordinator checks it before it wakes the session.

use super::Command;

/// Who may give a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// A user with the link of the invitation, who need not be a member.
    InvitedPerson,
    /// A member. For all other users there is no such invitation.
    Inviter,
    /// A member. For all other users there is no such session.
    Member,
    /// A user who is or was a member. The session checks it.
    Participant,
    /// A timer of the coordinator. The session refuses it from a user.
    Timer,
}

impl Command {
    /// Who may give this command.
    pub fn issuer(&self) -> Issuer {
        match self {
            Command::AcceptInvitation | Command::DeclineInvitation => Issuer::InvitedPerson,
            Command::ResendInvitation => Issuer::Inviter,
            Command::EraseAccount => Issuer::Participant,
            Command::Timer(_) => Issuer::Timer,
            Command::ConfirmInvitation(_)
            | Command::ConfirmTopicFrame
            | Command::WriteInvitation(_)
            | Command::SignCompact
            | Command::ConfirmFeelHeard(_)
            | Command::OfferFeelHeard
            | Command::SaveEmpathyDraft(_)
            | Command::ConsentEmpathy(_)
            | Command::ValidateEmpathy(_)
            | Command::ResubmitEmpathy(_)
            | Command::SkipRefinement(_)
            | Command::AddNeed(_)
            | Command::CaptureNeeds(_)
            | Command::EditNeeds(_)
            | Command::RemoveNeed(_)
            | Command::ConfirmNeeds(_)
            | Command::ShareNeeds(_)
            | Command::ConfirmCommonGround(_)
            | Command::ValidateNeeds(_)
            | Command::DecideConsent(_)
            | Command::RevokeConsent(_)
            | Command::ProposeStrategy(_)
            | Command::ReadyToRank
            | Command::SubmitRanking(_)
            | Command::ProposeAgreement(_)
            | Command::AnswerAgreement(_)
            | Command::Stage4(_)
            | Command::Tending(_)
            | Command::Advance(_)
            | Command::Pause(_)
            | Command::Resume
            | Command::Resolve
            | Command::Archive
            | Command::Withdraw
            | Command::Rename(_)
            | Command::ShowActivity { .. }
            | Command::Viewed(_)
            | Command::SawShareTab
            | Command::Notice(_)
            | Command::Nudge => Issuer::Member,
        }
    }
}
