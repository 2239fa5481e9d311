//! What each partner may see. Every answer is made here, for one viewer, from the consents as they stand at this
//! moment. No handler reads the state itself.

mod agreements;
mod common_ground;
mod consents;
mod empathy;
mod empathy_status;
mod gates;
mod invitation;
mod lifecycle;
mod link;
mod needs;
mod oversight;
mod pending_actions;
mod progress;
mod session;
mod stage4;
mod strategies;
mod tending;

use agreements::AgreementView;
pub use agreements::{AgreementAnswered, AgreementProposed, AgreementsList};
pub use common_ground::{CommonGround, CommonGroundConfirmed, NeedsComparison, NeedsValidated};
pub use consents::{ConsentDecided, ConsentHistory, ConsentRevoked, PendingConsents};
pub use empathy::{
    EmpathyConsented, EmpathyDraft, EmpathyDraftSaved, EmpathyResubmitted, EmpathyValidated, RefinementSkipped,
};
use empathy_status::AttemptView;
pub use empathy_status::{EmpathyStatus, PartnerEmpathy, ShareOffer};
use gates::{GateView, GatesView};
pub use invitation::{
    ExistingSession, InvitationConfirmed, InvitationDeclined, InvitationEnvelope, InvitationResent, SessionCreated,
    TopicFrameConfirmed,
};
use invitation::{InvitationView, InvitedBy};
pub use lifecycle::{
    Archived, Deleted, Done, EventsPage, Nudged, Paused, Resolved, Resumed, SeenEvent, ShareTabViewed, Viewed,
};
pub use link::{AcknowledgedInvitation, InvitationAcknowledged, PublicInvitation, PublicInvitationEnvelope};
pub use needs::{NeedAdded, NeedRemoved, NeedsCaptured, NeedsConfirmed, NeedsEdited, NeedsList, NeedsShared};
pub use oversight::{Oversight, PartnerOversight, StageOversight};
pub use pending_actions::PendingActions;
pub use progress::{Advanced, CompactSigned, CompactStatus, FeelHeard, GatesAnswer, Progress};
use serde::Serialize;
use session::PartnerView;
pub use session::{Condition, MessagesPage, SessionEnvelope, SessionState, SessionView};
pub use stage4::{SelectionSubmitted, Stage4Changed, Stage4Closed, Stage4State, SubChatAnswer, SubChatResolved};
pub use strategies::{Overlap, RankingSubmitted, ReadyToRank, StrategiesList, StrategyProposed};
use tending::TendingPreview;
pub use tending::{CheckedIn, NoteAnswer, TendingEntryAnswer, TendingHistory, TendingList};

use crate::{
    command::Command,
    context::DomainSettings,
    event::Event,
    ids::{Seq, UserId},
    member::Member,
    query::Query,
    rejection::Rejection,
    session::Session,
    side::Side,
    time::Timestamp,
};

/// The `data` of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant holds the view of its name, and the view is documented")]
pub enum Answer {
    SessionCreated(Box<SessionCreated>),
    ExistingSession(Box<ExistingSession>),
    Session(Box<SessionEnvelope>),
    Summary(Box<SessionView>),
    State(Box<SessionState>),
    Progress(Box<Progress>),
    Gates(GatesAnswer),
    Advanced(Box<Advanced>),
    Invitation(InvitationEnvelope),
    PublicInvitation(PublicInvitationEnvelope),
    InvitationConfirmed(InvitationConfirmed),
    TopicFrameConfirmed(TopicFrameConfirmed),
    InvitationAcknowledged(InvitationAcknowledged),
    InvitationDeclined(InvitationDeclined),
    InvitationResent(InvitationResent),
    CompactSigned(CompactSigned),
    CompactStatus(CompactStatus),
    FeelHeard(FeelHeard),
    EmpathyDraftSaved(EmpathyDraftSaved),
    EmpathyDraft(EmpathyDraft),
    EmpathyConsented(EmpathyConsented),
    PartnerEmpathy(PartnerEmpathy),
    EmpathyValidated(EmpathyValidated),
    EmpathyStatus(Box<EmpathyStatus>),
    EmpathyResubmitted(EmpathyResubmitted),
    RefinementSkipped(RefinementSkipped),
    ShareOffer(ShareOffer),
    PendingActions(PendingActions),
    NeedAdded(Box<NeedAdded>),
    NeedsCaptured(NeedsCaptured),
    NeedsEdited(NeedsEdited),
    NeedRemoved(Box<NeedRemoved>),
    Needs(NeedsList),
    NeedsConfirmed(NeedsConfirmed),
    NeedsShared(NeedsShared),
    NeedsComparison(NeedsComparison),
    CommonGround(CommonGround),
    CommonGroundConfirmed(CommonGroundConfirmed),
    NeedsValidated(NeedsValidated),
    PendingConsents(PendingConsents),
    ConsentHistory(ConsentHistory),
    ConsentDecided(Box<ConsentDecided>),
    ConsentRevoked(ConsentRevoked),
    StrategyProposed(StrategyProposed),
    Strategies(StrategiesList),
    ReadyToRank(ReadyToRank),
    RankingSubmitted(RankingSubmitted),
    Overlap(Overlap),
    AgreementProposed(AgreementProposed),
    Agreements(AgreementsList),
    AgreementAnswered(AgreementAnswered),
    Stage4(Box<Stage4State>),
    Stage4Changed(Box<Stage4Changed>),
    SelectionSubmitted(Box<SelectionSubmitted>),
    Stage4Closed(Box<Stage4Closed>),
    SubChat(Box<SubChatAnswer>),
    SubChatResolved(Box<SubChatResolved>),
    Tending(Box<TendingList>),
    TendingHistory(Box<TendingHistory>),
    TendingEntry(Box<TendingEntryAnswer>),
    TendingNote(Box<NoteAnswer>),
    CheckedIn(Box<CheckedIn>),
    Paused(Box<Paused>),
    Resumed(Box<Resumed>),
    Resolved(Resolved),
    Archived(Archived),
    Deleted(Deleted),
    Viewed(Viewed),
    ShareTabViewed(ShareTabViewed),
    Messages(MessagesPage),
    Nudged(Nudged),
    Done(Done),
}

impl Answer {
    /// For what has nothing to show but its `seq`.
    fn done(seq: Seq) -> Self {
        Answer::Done(Done { done: true, seq })
    }

    /// The partner as the answer shows them, if it shows the whole session.
    pub fn partner_mut(&mut self) -> Option<&mut PartnerView> {
        self.session_mut().map(|session| &mut session.partner)
    }

    /// Sets the condition of the session in the answer.
    pub fn mark(&mut self, condition: Condition) {
        if let Some(session) = self.session_mut() {
            session.condition = condition;
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other views do not show the whole session")]
    fn session_mut(&mut self) -> Option<&mut SessionView> {
        match self {
            Answer::SessionCreated(answer) => Some(&mut answer.session),
            Answer::Session(answer) => Some(&mut answer.session),
            Answer::Summary(session) => Some(session),
            Answer::State(answer) => Some(&mut answer.session),
            Answer::Paused(answer) => Some(&mut answer.session),
            Answer::Resumed(answer) => Some(&mut answer.session),
            _ => None,
        }
    }
}

/// The partner for whom an answer is made, and what the answer depends on.
#[derive(Clone, Copy)]
pub(super) struct Viewer<'a> {
    session: &'a Session,
    side: Side,
    me: &'a Member,
    partner: Option<&'a Member>,
    now: Timestamp,
    settings: &'a DomainSettings,
}

impl<'a> Viewer<'a> {
    fn new(session: &'a Session, side: Side, now: Timestamp, settings: &'a DomainSettings) -> Option<Self> {
        let me = session.member(side)?;
        Some(Self { session, side, me, partner: session.member(side.other()), now, settings })
    }
}

/// The answer to a command that was decided and applied. `session` is the state after it.
pub fn answer(
    session: &Session,
    events: &[Event],
    user: &UserId,
    command: &Command,
    now: Timestamp,
    settings: &DomainSettings,
) -> Answer {
    if matches!(command, Command::DeclineInvitation) {
        return Answer::InvitationDeclined(InvitationDeclined::of(session, now));
    }
    let viewer = session.side_ever(user).and_then(|side| Viewer::new(session, side, now, settings));
    let Some(viewer) = viewer else { return Answer::done(session.seq) };
    match command {
        Command::AcceptInvitation => Answer::Session(Box::new(viewer.session_envelope())),
        Command::ConfirmInvitation(_) => Answer::InvitationConfirmed(viewer.invitation_confirmed()),
        Command::ConfirmTopicFrame => Answer::TopicFrameConfirmed(viewer.topic_frame_confirmed()),
        Command::WriteInvitation(_) => Answer::Invitation(viewer.invitation_envelope()),
        Command::ResendInvitation => Answer::InvitationResent(viewer.invitation_resent()),
        Command::SignCompact => Answer::CompactSigned(viewer.compact_signed()),
        Command::ConfirmFeelHeard(_) => Answer::FeelHeard(viewer.feel_heard()),
        Command::SaveEmpathyDraft(_) => viewer.empathy_draft_saved(),
        Command::ConsentEmpathy(consent) => Answer::EmpathyConsented(viewer.empathy_consented(consent)),
        Command::ValidateEmpathy(_) => Answer::EmpathyValidated(viewer.empathy_validated()),
        Command::ResubmitEmpathy(_) => Answer::EmpathyResubmitted(viewer.empathy_resubmitted()),
        Command::SkipRefinement(_) => Answer::RefinementSkipped(viewer.refinement_skipped()),
        Command::AddNeed(_) => viewer.need_added(events),
        Command::CaptureNeeds(_) => Answer::NeedsCaptured(viewer.needs_captured()),
        Command::EditNeeds(edit) => Answer::NeedsEdited(viewer.needs_edited(edit, events)),
        Command::RemoveNeed(remove) => Answer::NeedRemoved(Box::new(viewer.need_removed(remove, events))),
        Command::ConfirmNeeds(confirm) => Answer::NeedsConfirmed(viewer.needs_confirmed(confirm)),
        Command::ShareNeeds(_) => Answer::NeedsShared(viewer.needs_shared()),
        Command::ConfirmCommonGround(_) => Answer::CommonGroundConfirmed(viewer.common_ground_confirmed()),
        Command::ValidateNeeds(_) => Answer::NeedsValidated(viewer.needs_validated()),
        Command::DecideConsent(decide) => viewer.consent_decided(decide),
        Command::RevokeConsent(revoke) => Answer::ConsentRevoked(viewer.consent_revoked(revoke)),
        Command::ProposeStrategy(_) => viewer.strategy_proposed(events),
        Command::ReadyToRank => Answer::ReadyToRank(viewer.ready_to_rank()),
        Command::SubmitRanking(_) => Answer::RankingSubmitted(viewer.ranking_submitted()),
        Command::ProposeAgreement(_) => viewer.agreement_proposed(events),
        Command::AnswerAgreement(answer) => viewer.agreement_answered(answer),
        Command::Stage4(command) => viewer.stage4_answer(command, events),
        Command::Tending(command) => viewer.tending_answer(command, events),
        Command::Advance(advance) => Answer::Advanced(Box::new(viewer.advanced(advance, events))),
        Command::Pause(_) => Answer::Paused(Box::new(viewer.paused())),
        Command::Resume => Answer::Resumed(Box::new(viewer.resumed())),
        Command::Resolve => Answer::Resolved(viewer.resolved()),
        Command::Archive => Answer::Archived(viewer.archived()),
        Command::Withdraw => Answer::Deleted(viewer.deleted()),
        Command::Viewed(_) => Answer::Viewed(viewer.viewed()),
        Command::SawShareTab => Answer::ShareTabViewed(viewer.share_tab_viewed()),
        Command::Nudge => Answer::Nudged(viewer.nudged()),
        Command::DeclineInvitation
        | Command::OfferFeelHeard
        | Command::EraseAccount
        | Command::Rename(_)
        | Command::ShowActivity { .. }
        | Command::Notice(_)
        | Command::Timer(_) => Answer::done(session.seq),
    }
}

/// The answer to a repeated command that was decided before. It is made from the present state. A caller who no longer
/// sees the session is refused like everybody who does not see it, except after declining an invitation.
pub fn answer_again(
    session: &Session,
    events: &[Event],
    user: &UserId,
    command: &Command,
    now: Timestamp,
    settings: &DomainSettings,
) -> Result<Answer, Rejection> {
    if !session.is_member(user) && !matches!(command, Command::DeclineInvitation) {
        return Err(Rejection::no_such_session());
    }
    Ok(answer(session, events, user, command, now, settings))
}

/// The answer to a creation. `session` is the state after its first events.
pub fn created(session: &Session, user: &UserId, now: Timestamp, settings: &DomainSettings) -> Option<Answer> {
    let viewer = Viewer::new(session, session.side(user)?, now, settings)?;
    Some(Answer::SessionCreated(Box::new(viewer.session_created())))
}

/// The answer to a query. Only [`Query::PublicInvitation`] needs no viewer.
pub fn query(
    session: &Session,
    user: Option<&UserId>,
    query: &Query,
    now: Timestamp,
    settings: &DomainSettings,
) -> Result<Answer, Rejection> {
    if *query == Query::PublicInvitation {
        return PublicInvitationEnvelope::of(session, now).map(Answer::PublicInvitation);
    }
    if let (Query::AcknowledgedInvitation, Some(user)) = (query, user) {
        return InvitationAcknowledged::of(session, user, now).map(Answer::InvitationAcknowledged);
    }
    let side = user.and_then(|user| session.side(user));
    let viewer =
        side.and_then(|side| Viewer::new(session, side, now, settings)).ok_or_else(Rejection::no_such_session)?;
    Ok(match query {
        Query::Detail => Answer::Session(Box::new(viewer.session_envelope())),
        Query::Summary => Answer::Summary(Box::new(viewer.session())),
        Query::State => Answer::State(Box::new(viewer.state())),
        Query::Progress => Answer::Progress(Box::new(viewer.progress())),
        Query::Gates(stage) => Answer::Gates(viewer.gates_answer(*stage)),
        Query::CompactStatus => Answer::CompactStatus(viewer.compact_status()),
        Query::EmpathyDraft => Answer::EmpathyDraft(viewer.empathy_draft()),
        Query::EmpathyPartner => Answer::PartnerEmpathy(viewer.partner_empathy()),
        Query::EmpathyStatus => Answer::EmpathyStatus(Box::new(viewer.empathy_status())),
        Query::ShareOffer => Answer::ShareOffer(viewer.share_offer()),
        Query::PendingActions => Answer::PendingActions(viewer.pending_actions()),
        Query::PendingConsents => Answer::PendingConsents(viewer.pending_consents()),
        Query::ConsentHistory => Answer::ConsentHistory(viewer.consent_history()),
        Query::Needs => Answer::Needs(viewer.needs()),
        Query::NeedsComparison => Answer::NeedsComparison(viewer.needs_comparison()?),
        Query::CommonGround => Answer::CommonGround(viewer.common_ground()),
        Query::Strategies => Answer::Strategies(viewer.strategies()),
        Query::Overlap => Answer::Overlap(viewer.overlap()),
        Query::Agreements => Answer::Agreements(viewer.agreements()),
        Query::Tending => Answer::Tending(Box::new(viewer.tending())),
        Query::TendingHistory => Answer::TendingHistory(Box::new(viewer.tending_history())),
        Query::Messages { .. } => Answer::Messages(MessagesPage::default()),
        Query::ExistingSession => Answer::ExistingSession(Box::new(viewer.existing_session())),
        Query::Invitation | Query::PublicInvitation | Query::AcknowledgedInvitation => {
            Answer::Invitation(viewer.invitation_envelope())
        }
    })
}
