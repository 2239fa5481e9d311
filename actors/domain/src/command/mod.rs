//! Commands of partners and timers. There is one file for each family. It holds the request as clients send it, the
//! command that it is parsed into, and the decision. A command that exists is well-formed.

mod action;
mod activity;
mod advance;
mod agreements;
mod app_members;
mod common_ground;
mod compact;
mod consent;
mod empathy;
mod feel_heard;
pub mod fields;
#[cfg(feature = "schema")]
mod forms;
mod invitation;
mod invitation_text;
mod lifecycle;
mod need_edits;
mod needs;
mod nudge;
mod refinement;
mod stage4;
mod strategies;
mod tending;
mod timers;
mod viewed;

use action::MemberAction;
pub use advance::{Advance, AdvanceRequest};
pub use agreements::{AnswerAgreement, ConfirmAgreementRequest, ProposeAgreement, ProposeAgreementRequest};
pub use common_ground::{ConfirmCommonGround, ConfirmCommonGroundRequest, ValidateNeeds, ValidateNeedsRequest};
pub use compact::SignCompactRequest;
pub use consent::{DecideConsent, DecideConsentRequest, RevokeConsent, RevokeConsentRequest};
pub use empathy::{
    ConsentEmpathy, ConsentEmpathyRequest, SaveEmpathyDraft, SaveEmpathyDraftRequest, ValidateEmpathy,
    ValidateEmpathyRequest,
};
pub use feel_heard::{ConfirmFeelHeard, FeelHeardRequest};
pub use invitation::{CreateSession, CreateSessionRequest, DeclineInvitationRequest};
pub use invitation_text::{
    ConfirmInvitation, ConfirmInvitationRequest, InvitationMessageRequest, WriteInvitation, WriteInvitationRequest,
};
pub use lifecycle::{Pause, PauseRequest, Rename};
pub(crate) use need_edits::ASSUMED_CATEGORY;
pub use need_edits::{
    CaptureNeeds, CaptureNeedsRequest, EditNeeds, EditNeedsRequest, NeedOperationRequest, RemoveNeed, no_such_need,
};
pub use needs::{AddNeed, AddNeedRequest, ConfirmNeeds, ConfirmNeedsRequest, ShareNeeds, ShareNeedsRequest};
pub use refinement::{ResubmitEmpathy, ResubmitEmpathyRequest, SkipRefinement, SkipRefinementRequest};
pub use stage4::{
    AnswerSubChatRequest, CHECK_IN_AFTER, CloseStage4Request, DeclineNeed, DraftRequest, OpenSubChat,
    OpenSubChatRequest, ResolveSubChatRequest, SayInSubChatRequest, SelectManyRequest, SelectOneRequest,
    SelectionRequest, Stage4Command, WalkNeedRequest,
};
pub use strategies::{ProposeStrategy, ProposeStrategyRequest, SubmitRanking, SubmitRankingRequest};
pub use tending::{
    AdjustmentRequest, CheckInRequest, ComesNextRequest, EntryOutcomeRequest, NeedOutcomeRequest, OrientationRequest,
    OrientationsRequest, ReenterTendingRequest, ReminderRequest, RespondTendingRequest, TendingCommand,
    WriteTendingNoteRequest,
};
pub use viewed::{Viewed, ViewedRequest};

use crate::{
    app::Marker,
    context::{Actor, Context},
    event::Event,
    ids::SessionId,
    rejection::Rejection,
    session::Session,
    timer::Timer,
};

/// `&'static str::from(&command)` is the name for logs, without anything that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Command {
    ConfirmInvitation(ConfirmInvitation),
    ConfirmTopicFrame,
    /// Texts of the invitation, by the creator or, for the creator, by the AI service.
    WriteInvitation(WriteInvitation),
    AcceptInvitation,
    DeclineInvitation,
    ResendInvitation,
    SignCompact,
    ConfirmFeelHeard(ConfirmFeelHeard),
    /// By the AI service, for a member.
    OfferFeelHeard,
    SaveEmpathyDraft(SaveEmpathyDraft),
    ConsentEmpathy(ConsentEmpathy),
    ValidateEmpathy(ValidateEmpathy),
    ResubmitEmpathy(ResubmitEmpathy),
    SkipRefinement(SkipRefinement),
    AddNeed(AddNeed),
    CaptureNeeds(CaptureNeeds),
    EditNeeds(EditNeeds),
    RemoveNeed(RemoveNeed),
    ConfirmNeeds(ConfirmNeeds),
    ShareNeeds(ShareNeeds),
    ConfirmCommonGround(ConfirmCommonGround),
    ValidateNeeds(ValidateNeeds),
    DecideConsent(DecideConsent),
    RevokeConsent(RevokeConsent),
    ProposeStrategy(ProposeStrategy),
    ReadyToRank,
    SubmitRanking(SubmitRanking),
    ProposeAgreement(ProposeAgreement),
    AnswerAgreement(AnswerAgreement),
    /// Stage 4 by proposals.
    Stage4(Stage4Command),
    Tending(TendingCommand),
    Advance(Advance),
    Pause(Pause),
    Resume,
    Resolve,
    Archive,
    /// `DELETE /sessions/:id`: the caller no longer sees the session. A live session ends.
    Withdraw,
    EraseAccount,
    Rename(Rename),
    /// The caller has changed the preference whether partners see when the caller was last active.
    ShowActivity {
        shown: bool,
    },
    Viewed(Viewed),
    SawShareTab,
    /// The member's client has made a call that reveals what it is. The command does nothing else.
    Notice(Marker),
    Nudge,
    Timer(Timer),
}

impl Command {
    /// Whether a success creates a resource (HTTP 201).
    pub fn creates(&self) -> bool {
        matches!(
            self,
            Command::AddNeed(_)
                | Command::CaptureNeeds(_)
                | Command::ProposeStrategy(_)
                | Command::ProposeAgreement(_)
                | Command::Tending(TendingCommand::WriteNote(_) | TendingCommand::Reenter(_))
        )
    }
}

impl Session {
    /// The first events of a new session.
    pub fn create(id: SessionId, create: &CreateSession, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
        invitation::create(id, create, ctx)
    }

    /// The events that follow from a command. They are applied and stored together. The list is empty if nothing
    /// changes. The result depends on the arguments only.
    pub fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
        let noticed = self.detect_client(command, ctx);
        if noticed.is_empty() {
            let mut events = self.decide_alone(command, ctx)?;
            self.advance_app_members(&mut events, ctx);
            return Ok(events);
        }
        match self.with_events(&noticed).decide_alone(command, ctx) {
            Ok(decided) => {
                let mut events = [noticed, decided].concat();
                self.advance_app_members(&mut events, ctx);
                Ok(events)
            }
            Err(mut rejection) if !rejection.noted.is_empty() => {
                rejection.noted.splice(0..0, noticed);
                Err(rejection)
            }
            Err(rejection) => Err(rejection),
        }
    }

    /// The events of the command itself.
    fn decide_alone(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
        let caller = match (&ctx.by, command) {
            (Actor::System, Command::Timer(timer)) => return Ok(timers::decide(self, *timer, ctx)),
            (Actor::User(caller), _) => caller,
            (Actor::System, _) => return Err(Rejection::forbidden("only a partner can do that")),
        };
        match command {
            Command::AcceptInvitation => return invitation::accept(self, caller, ctx),
            Command::DeclineInvitation => return invitation::decline(self, caller, ctx),
            Command::ResendInvitation => return invitation::resend(self, caller, ctx),
            Command::EraseAccount => return lifecycle::erase_account(self, caller, ctx),
            _ => {}
        }
        let mut action = MemberAction::of_member(self, caller, ctx)?;
        match command {
            Command::AcceptInvitation
            | Command::DeclineInvitation
            | Command::ResendInvitation
            | Command::EraseAccount
            | Command::Timer(_) => Err(Rejection::forbidden("only the coordinator's timers can do that")),
            Command::ConfirmInvitation(confirm) => invitation_text::confirm(&mut action, confirm),
            Command::ConfirmTopicFrame => invitation_text::confirm_topic(&mut action),
            Command::WriteInvitation(write) => invitation_text::write(&mut action, write),
            Command::SignCompact => compact::decide(&mut action),
            Command::ConfirmFeelHeard(confirm) => feel_heard::decide(&mut action, confirm),
            Command::OfferFeelHeard => feel_heard::offer(&mut action),
            Command::SaveEmpathyDraft(save) => empathy::save_draft(&mut action, save),
            Command::ConsentEmpathy(consent) => empathy::consent(&mut action, consent),
            Command::ValidateEmpathy(validate) => empathy::validate(&mut action, validate),
            Command::ResubmitEmpathy(resubmit) => refinement::resubmit(&mut action, resubmit),
            Command::SkipRefinement(skip) => refinement::skip(&mut action, skip),
            Command::AddNeed(add) => needs::add(&mut action, add),
            Command::CaptureNeeds(capture) => need_edits::capture(&mut action, capture),
            Command::EditNeeds(edit) => need_edits::edit(&mut action, edit),
            Command::RemoveNeed(remove) => need_edits::remove(&mut action, remove),
            Command::ConfirmNeeds(confirm) => needs::confirm(&mut action, confirm),
            Command::ShareNeeds(share) => needs::share(&mut action, share),
            Command::ConfirmCommonGround(confirm) => common_ground::confirm(&mut action, confirm),
            Command::ValidateNeeds(validate) => common_ground::validate(&mut action, validate),
            Command::DecideConsent(decide) => consent::decide(&mut action, decide),
            Command::RevokeConsent(revoke) => consent::revoke(&mut action, revoke),
            Command::ProposeStrategy(propose) => strategies::propose(&mut action, propose),
            Command::ReadyToRank => strategies::ready(&mut action),
            Command::SubmitRanking(submit) => strategies::rank(&mut action, submit),
            Command::ProposeAgreement(propose) => agreements::propose(&mut action, propose),
            Command::AnswerAgreement(answer) => agreements::answer(&mut action, answer),
            Command::Stage4(command) => stage4::decide(&mut action, command),
            Command::Tending(command) => tending::decide(&mut action, command),
            Command::Advance(advance) => advance::decide(&mut action, advance),
            Command::Pause(pause) => lifecycle::pause(&mut action, pause),
            Command::Resume => lifecycle::resume(&mut action),
            Command::Resolve => lifecycle::resolve(&mut action),
            Command::Archive => lifecycle::archive(&mut action),
            Command::Withdraw => lifecycle::withdraw(&mut action),
            Command::Rename(rename) => lifecycle::rename(&mut action, rename),
            Command::ShowActivity { shown } => activity::show(&mut action, *shown),
            Command::Viewed(viewed) => viewed::decide(&mut action, viewed),
            Command::SawShareTab => viewed::saw_share_tab(&mut action),
            Command::Notice(_) => Ok(()),
            Command::Nudge => nudge::decide(&mut action),
        }?;
        Ok(action.into_events())
    }
}
