//! What partners and timers may want of a session. One file for each family: the request as clients send it, the command that
//! it is parsed into (a command that exists is well-formed), how it is decided, and how its events are applied.

mod activity;
mod advance;
mod agreements;
mod common_ground;
mod compact;
mod consent;
mod empathy;
mod feel_heard;
pub mod fields;
mod follow;
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
mod turn;
mod viewed;

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
use turn::Turn;
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
    /// `DELETE /sessions/:id`: the caller no longer sees the session; a live one ends.
    Withdraw,
    EraseAccount,
    Rename(Rename),
    /// The privacy preferences of the caller say anew whether partners see when the caller was there.
    ShowActivity {
        shown: bool,
    },
    Viewed(Viewed),
    SawShareTab,
    /// The member's client has called what tells what it is, and wants nothing else.
    Notice(Marker),
    Nudge,
    Timer(Timer),
}

impl Command {
    /// Whether a success makes something that can be named (HTTP 201).
    pub fn creates(&self) -> bool {
        let makes_tending =
            |command: &TendingCommand| matches!(command, TendingCommand::WriteNote(_) | TendingCommand::Reenter(_));
        match self {
            Command::AddNeed(_) | Command::CaptureNeeds(_) => true,
            Command::ProposeStrategy(_) | Command::ProposeAgreement(_) => true,
            Command::Tending(command) => makes_tending(command),
            _ => false,
        }
    }
}

impl Session {
    /// The first events of the session that is to have this id.
    pub fn create(id: SessionId, create: &CreateSession, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
        invitation::create(id, create, ctx)
    }

    /// What follows from a command: events to apply and store, all or none; an empty list if nothing changes. Depends on
    /// its arguments alone.
    pub fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
        let noticed = self.notice(command, ctx);
        if noticed.is_empty() {
            let mut events = self.decide_alone(command, ctx)?;
            self.follow(&mut events, ctx);
            return Ok(events);
        }
        match self.after(&noticed).decide_alone(command, ctx) {
            Ok(decided) => {
                let mut events = [noticed, decided].concat();
                self.follow(&mut events, ctx);
                Ok(events)
            }
            Err(mut rejection) if !rejection.noted.is_empty() => {
                rejection.noted.splice(0..0, noticed);
                Err(rejection)
            }
            Err(rejection) => Err(rejection),
        }
    }

    /// What the command itself does.
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
        let mut turn = Turn::of_member(self, caller, ctx)?;
        match command {
            Command::AcceptInvitation
            | Command::DeclineInvitation
            | Command::ResendInvitation
            | Command::EraseAccount
            | Command::Timer(_) => Err(Rejection::forbidden("only the coordinator's timers can do that")),
            Command::ConfirmInvitation(confirm) => invitation_text::confirm(&mut turn, confirm),
            Command::ConfirmTopicFrame => invitation_text::confirm_topic(&mut turn),
            Command::WriteInvitation(write) => invitation_text::write(&mut turn, write),
            Command::SignCompact => compact::decide(&mut turn),
            Command::ConfirmFeelHeard(confirm) => feel_heard::decide(&mut turn, confirm),
            Command::OfferFeelHeard => feel_heard::offer(&mut turn),
            Command::SaveEmpathyDraft(save) => empathy::save_draft(&mut turn, save),
            Command::ConsentEmpathy(consent) => empathy::consent(&mut turn, consent),
            Command::ValidateEmpathy(validate) => empathy::validate(&mut turn, validate),
            Command::ResubmitEmpathy(resubmit) => refinement::resubmit(&mut turn, resubmit),
            Command::SkipRefinement(skip) => refinement::skip(&mut turn, skip),
            Command::AddNeed(add) => needs::add(&mut turn, add),
            Command::CaptureNeeds(capture) => need_edits::capture(&mut turn, capture),
            Command::EditNeeds(edit) => need_edits::edit(&mut turn, edit),
            Command::RemoveNeed(remove) => need_edits::remove(&mut turn, remove),
            Command::ConfirmNeeds(confirm) => needs::confirm(&mut turn, confirm),
            Command::ShareNeeds(share) => needs::share(&mut turn, share),
            Command::ConfirmCommonGround(confirm) => common_ground::confirm(&mut turn, confirm),
            Command::ValidateNeeds(validate) => common_ground::validate(&mut turn, validate),
            Command::DecideConsent(decide) => consent::decide(&mut turn, decide),
            Command::RevokeConsent(revoke) => consent::revoke(&mut turn, revoke),
            Command::ProposeStrategy(propose) => strategies::propose(&mut turn, propose),
            Command::ReadyToRank => strategies::ready(&mut turn),
            Command::SubmitRanking(submit) => strategies::rank(&mut turn, submit),
            Command::ProposeAgreement(propose) => agreements::propose(&mut turn, propose),
            Command::AnswerAgreement(answer) => agreements::answer(&mut turn, answer),
            Command::Stage4(command) => stage4::decide(&mut turn, command),
            Command::Tending(command) => tending::decide(&mut turn, command),
            Command::Advance(advance) => advance::decide(&mut turn, advance),
            Command::Pause(pause) => lifecycle::pause(&mut turn, pause),
            Command::Resume => lifecycle::resume(&mut turn),
            Command::Resolve => lifecycle::resolve(&mut turn),
            Command::Archive => lifecycle::archive(&mut turn),
            Command::Withdraw => lifecycle::withdraw(&mut turn),
            Command::Rename(rename) => lifecycle::rename(&mut turn, rename),
            Command::ShowActivity { shown } => activity::show(&mut turn, *shown),
            Command::Viewed(viewed) => viewed::decide(&mut turn, viewed),
            Command::SawShareTab => viewed::saw_share_tab(&mut turn),
            Command::Notice(_) => Ok(()),
            Command::Nudge => nudge::decide(&mut turn),
        }?;
        Ok(turn.into_events())
    }
}
