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
#[cfg(feature = "schema")]
mod field_schemas;
pub mod fields;
mod invitation;
mod invitation_text;
mod issuer;
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
pub(crate) use agreements::AnswerAgreement;
use agreements::ProposeAgreement;
pub use agreements::{ConfirmAgreementRequest, ProposeAgreementRequest};
use common_ground::{ConfirmCommonGround, ValidateNeeds};
pub use common_ground::{ConfirmCommonGroundRequest, ValidateNeedsRequest};
pub use compact::SignCompactRequest;
pub(crate) use consent::{DecideConsent, RevokeConsent};
pub use consent::{DecideConsentRequest, RevokeConsentRequest};
pub(crate) use empathy::ConsentEmpathy;
pub use empathy::{ConsentEmpathyRequest, SaveEmpathyDraftRequest, ValidateEmpathyRequest};
use empathy::{SaveEmpathyDraft, ValidateEmpathy};
use feel_heard::ConfirmFeelHeard;
pub use feel_heard::FeelHeardRequest;
pub use invitation::{CreateSession, CreateSessionRequest, DeclineInvitationRequest};
use invitation_text::{ConfirmInvitation, WriteInvitation};
pub use invitation_text::{ConfirmInvitationRequest, InvitationMessageRequest, WriteInvitationRequest};
pub use issuer::Issuer;
pub use lifecycle::{Pause, PauseRequest, Rename};
pub(crate) use need_edits::ASSUMED_CATEGORY;
use need_edits::CaptureNeeds;
pub(crate) use need_edits::EditNeeds;
pub use need_edits::{CaptureNeedsRequest, EditNeedsRequest, NeedOperationRequest, RemoveNeed, no_such_need};
pub(crate) use needs::ConfirmNeeds;
use needs::{AddNeed, ShareNeeds};
pub use needs::{AddNeedRequest, ConfirmNeedsRequest, ShareNeedsRequest};
use refinement::{ResubmitEmpathy, SkipRefinement};
pub use refinement::{ResubmitEmpathyRequest, SkipRefinementRequest};

pub use stage4::{
    AnswerSubChatRequest, CloseStage4Request, DeclineNeed, OpenSubChatRequest, ResolveSubChatRequest,
    SayInSubChatRequest, SelectManyRequest, SelectOneRequest, Stage4Command, WalkNeedRequest,
};
pub(crate) use stage4::{CHECK_IN_AFTER, OpenSubChat};
use strategies::{ProposeStrategy, SubmitRanking};
pub use strategies::{ProposeStrategyRequest, SubmitRankingRequest};
pub use tending::{
    CheckInRequest, ReenterTendingRequest, RespondTendingRequest, TendingCommand, WriteTendingNoteRequest,
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
    /// By the creator: the invitation was sent, and its time starts.
    ConfirmInvitation(ConfirmInvitation),
    /// By the creator: the invited person may see the topic.
    ConfirmTopicFrame,
    /// Texts of the invitation, by the creator or, for the creator, by the AI service.
    WriteInvitation(WriteInvitation),
    /// By the invited person, who becomes a member. The session becomes active.
    AcceptInvitation,
    /// By the invited person. The session is abandoned.
    DeclineInvitation,
    /// By the creator. Extends the expiry; limited in number and frequency.
    ResendInvitation,
    /// Stage 0: the caller signs the compact.
    SignCompact,
    /// Stage 1: the caller feels heard, or says "not yet".
    ConfirmFeelHeard(ConfirmFeelHeard),
    /// By the AI service, for a member.
    OfferFeelHeard,
    /// Stage 2: the caller's draft of what the partner feels.
    SaveEmpathyDraft(SaveEmpathyDraft),
    /// Stage 2: the caller shares the draft, or declines to.
    ConsentEmpathy(ConsentEmpathy),
    /// Stage 2: the caller judges the partner's attempt.
    ValidateEmpathy(ValidateEmpathy),
    /// Stage 2: the caller shares a revision that the partner asked for.
    ResubmitEmpathy(ResubmitEmpathy),
    /// Stage 2: the caller keeps the attempt, although the partner asked for a revision.
    SkipRefinement(SkipRefinement),
    /// Stage 3: the caller enters a need by hand.
    AddNeed(AddNeed),
    /// Stage 3: needs that the AI service has read replace the caller's unconfirmed ones.
    CaptureNeeds(CaptureNeeds),
    /// Stage 3: several changes of the caller's needs, all or none.
    EditNeeds(EditNeeds),
    /// Stage 3: the caller removes a need.
    RemoveNeed(RemoveNeed),
    /// Stage 3: which of the caller's needs are right.
    ConfirmNeeds(ConfirmNeeds),
    /// Stage 3: the caller consents to share these confirmed needs.
    ShareNeeds(ShareNeeds),
    /// Stage 3: which categories the caller sees as common ground.
    ConfirmCommonGround(ConfirmCommonGround),
    /// Stage 3: the caller calls both lists right, or not.
    ValidateNeeds(ValidateNeeds),
    /// The caller answers a request to share content.
    DecideConsent(DecideConsent),
    /// The caller withdraws a consent. The content is hidden from the partner.
    RevokeConsent(RevokeConsent),
    /// Stage 4: the caller adds a strategy to the pool.
    ProposeStrategy(ProposeStrategy),
    /// Stage 4: the caller adds no more strategies. The pool locks when both are ready.
    ReadyToRank,
    /// Stage 4: the caller's private ranking. The second one reveals the overlap.
    SubmitRanking(SubmitRanking),
    /// Stage 4: the caller proposes an agreement, and has agreed to it.
    ProposeAgreement(ProposeAgreement),
    /// Stage 4: the caller confirms or declines a proposed agreement.
    AnswerAgreement(AnswerAgreement),
    /// Stage 4 by proposals.
    Stage4(Stage4Command),
    /// After the session is resolved: check-ins on the agreements.
    Tending(TendingCommand),
    /// The caller alone moves to the next stage.
    Advance(Advance),
    /// By either partner, in an active session.
    Pause(Pause),
    /// By either partner, in a paused session.
    Resume,
    /// By either partner; needs an agreement.
    Resolve,
    /// By either partner, when the session is over.
    Archive,
    /// `DELETE /sessions/:id`: the caller no longer sees the session. A live session ends.
    Withdraw,
    /// The caller's account is erased: the caller leaves, and the caller's texts go.
    EraseAccount,
    /// The caller goes by another name.
    Rename(Rename),
    /// The caller has changed the preference whether partners see when the caller was last active.
    ShowActivity {
        /// Whether partners see it from now on.
        shown: bool,
    },
    /// The caller has seen the session up to a `seq`.
    Viewed(Viewed),
    /// The caller has looked at the share tab of the app.
    SawShareTab,
    /// The member's client has made a call that reveals what it is. The command does nothing else.
    Notice(Marker),
    /// The caller reminds the partner. The text is fixed, and the frequency limited.
    Nudge,
    /// A timer is due. Only the coordinator itself sends it.
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
            Err(mut rejection) if !rejection.events.is_empty() => {
                rejection.events.splice(0..0, noticed);
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
        // The caller of these need not be a member.
        if let Command::AcceptInvitation = command {
            return invitation::accept(self, caller, ctx);
        }
        if let Command::DeclineInvitation = command {
            return invitation::decline(self, caller, ctx);
        }
        if let Command::ResendInvitation = command {
            return invitation::resend(self, caller, ctx);
        }
        if let Command::EraseAccount = command {
            return lifecycle::erase_account(self, caller, ctx);
        }
        let mut action = MemberAction::of_member(self, caller, ctx)?;
        match command {
            Command::AcceptInvitation
            | Command::DeclineInvitation
            | Command::ResendInvitation
            | Command::EraseAccount
            | Command::Timer(_) => Err(Rejection::forbidden("only a timer of the coordinator can do that")),
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
