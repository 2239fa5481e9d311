//! The one table of the events. Its first part lists the names under which events are published, with audience and
//! push. Its second part says of each event which names it is published under and whose view of the session it changes.
//! The reserved names of the channel, the pushes that a user can switch off and the texts of pushes follow from it.

use super::{Audience, Event, EventBody, Push, PushKind, announcement::Fields};
use crate::{consents::ConsentKind, ids::UserId, stage::Stage};

/// Declares the names, each with its row.
macro_rules! event_names {
    ($($event:ident: $name:literal, $audience:expr, $push:expr;)+) => {
        /// An event's name on the session channel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName { $(#[doc = concat!("`", $name, "`")] $event),+ }

        impl EventName {
            /// All names, in alphabetical order.
            pub const ALL: &[EventName] = &[$(EventName::$event),+];

            /// The name on the channel.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventName::$event => $name),+ }
            }

            /// Who hears of it.
            pub const fn audience(self) -> Audience {
                match self { $(EventName::$event => $audience),+ }
            }

            /// What an absent partner gets.
            pub const fn push(self) -> Push {
                match self { $(EventName::$event => $push),+ }
            }

            /// None for a name that the coordinator never publishes.
            pub fn parse(name: &str) -> Option<EventName> {
                match name { $($name => Some(EventName::$event),)+ _ => None }
            }
        }
    };
}

use Audience::{Both, Each, Partner};
use Push::{General, Never, Worded};
use PushKind::{FollowUp, Invitation, PartnerAction};

event_names! {
    AgreementConfirmed: "agreement.confirmed", Partner, General(PartnerAction);
    AgreementDeclined: "agreement.declined", Partner, General(PartnerAction);
    AgreementFollowUp: "agreement.follow_up", Partner, General(FollowUp);
    AgreementProposed: "agreement.proposed", Partner, Worded(PartnerAction,
        "New experiment proposed", "Review and confirm the agreement.");
    EmpathyResubmitted: "empathy.resubmitted", Each, Never;
    EmpathyRevealed: "empathy.revealed", Each, Never;
    InvitationConfirmed: "invitation.confirmed", Partner, Never;
    InvitationDeclined: "invitation.declined", Partner, General(Invitation);
    NotificationPendingAction: "notification.pending_action", Each, General(FollowUp);
    PartnerAdvanced: "partner.advanced", Partner, General(PartnerAction);
    PartnerCommonGroundConfirmed: "partner.common_ground_confirmed", Partner, Never;
    PartnerConsentRevoked: "partner.consent_revoked", Partner, General(PartnerAction);
    PartnerEmpathyShared: "partner.empathy_shared", Partner, Worded(PartnerAction,
        "Partner shared their empathy attempt", "See how they imagine you might be feeling.");
    PartnerMarkedReady: "partner.marked_ready", Both, Never;
    PartnerNeedsConfirmed: "partner.needs_confirmed", Partner, General(PartnerAction);
    PartnerNeedsShared: "partner.needs_shared", Partner, General(PartnerAction);
    PartnerNeedsValidated: "partner.needs_validated", Partner, Never;
    PartnerNudged: "partner.nudged", Partner, General(PartnerAction);
    PartnerRankingSubmitted: "partner.ranking_submitted", Partner, General(PartnerAction);
    PartnerReadyToRank: "partner.ready_to_rank", Partner, General(PartnerAction);
    PartnerRevisionRequested: "partner.revision_requested", Partner, General(PartnerAction);
    PartnerSignedCompact: "partner.signed_compact", Partner, Worded(PartnerAction,
        "Partner is ready", "They signed the Curiosity Compact. Your turn!");
    PartnerSkippedRefinement: "partner.skipped_refinement", Partner, General(PartnerAction);
    PartnerStageCompleted: "partner.stage_completed", Partner, Worded(PartnerAction,
        "Partner finished a stage", "They completed their work. Check in when ready.");
    PartnerValidated: "partner.validated", Partner, General(PartnerAction);
    SessionAbandoned: "session.abandoned", Partner, General(PartnerAction);
    SessionCommonGroundReady: "session.common_ground_ready", Both, Never;
    SessionJoined: "session.joined", Partner, General(Invitation);
    SessionNeedsExtracted: "session.needs_extracted", Both, Never;
    SessionNeedsRevealReady: "session.needs_reveal_ready", Both, Never;
    SessionPaused: "session.paused", Partner, General(PartnerAction);
    SessionResolved: "session.resolved", Both, General(PartnerAction);
    SessionResumed: "session.resumed", Partner, General(PartnerAction);
    SessionStrategiesUpdated: "session.strategies_updated", Both, Never;
    // Published on the channels of the users, for lists of sessions.
    SessionUpdated: "session.updated", Each, Never;
    StrategiesOverlapReady: "strategies.overlap_ready", Partner, General(PartnerAction);
}

/// Whether only the coordinator may publish under this name on a session's channel.
pub fn is_reserved(name: &str) -> bool {
    EventName::parse(name).is_some()
}

/// Whose view of the session an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Nobody's: a partner looked at the session, or was refused.
    Nothing,
    /// Only the author's list: a fact about the author's client.
    Client,
    Author,
    Both,
}

/// What follows from an event, besides the state.
pub(crate) struct Facts<'a> {
    /// The names under which the event is published. The first one decides who is told.
    pub(super) names: &'static [EventName],
    pub(super) fields: Fields<'a>,
    /// The only member whom the event concerns.
    pub(super) only: Option<&'a UserId>,
    pub(crate) changes: Changes,
    /// The event is unread for its audience, and an absent partner gets a push.
    pub(crate) is_news: bool,
}

fn told<'a>(names: &'static [EventName], fields: Fields<'a>) -> Facts<'a> {
    debug_assert!(!names.is_empty(), "an event that is told has a name");
    Facts { names, fields, only: None, changes: Changes::Both, is_news: true }
}

fn silent<'a>(changes: Changes) -> Facts<'a> {
    Facts { names: &[], fields: Fields::Common, only: None, changes, is_news: false }
}

impl Event {
    /// The row of this event.
    #[allow(clippy::too_many_lines, reason = "one arm for each event")]
    pub(crate) fn facts(&self) -> Facts<'_> {
        use EventName::*;
        use Fields::*;
        match &self.body {
            EventBody::Joined { told_to_app: false, .. } => told(&[SessionJoined], Common),
            EventBody::Joined { told_to_app: true, .. } => {
                told(&[SessionJoined, PartnerAdvanced], ToStage(Stage::Onboarding))
            }
            EventBody::InvitationDeclined {} => told(&[InvitationDeclined], Common),
            EventBody::InvitationSent { .. } => told(&[InvitationConfirmed], Common),
            EventBody::CompactSigned {} => told(&[PartnerSignedCompact], SignedAt),
            EventBody::StageCompleted { stage, moves_to } => {
                told(&[PartnerStageCompleted], Completed(*stage, *moves_to))
            }
            // An implicit advance follows from another event of the same commit, which is the news.
            EventBody::Advanced { to, implicit } => {
                Facts { is_news: !implicit, ..told(&[PartnerAdvanced], ToStage(*to)) }
            }
            EventBody::EmpathyShared { resubmits: true, .. } => {
                told(&[PartnerEmpathyShared, EmpathyResubmitted], Common)
            }
            EventBody::EmpathyShared { reveals: true, .. } => told(&[PartnerEmpathyShared, EmpathyRevealed], Common),
            EventBody::EmpathyShared { .. } => told(&[PartnerEmpathyShared], Common),
            // Screens that do not know the name of a verdict reload on "resubmitted".
            EventBody::EmpathyJudged { validated: true, .. } => told(&[PartnerValidated, EmpathyResubmitted], Common),
            EventBody::EmpathyJudged { validated: false, .. } => {
                told(&[PartnerRevisionRequested, EmpathyResubmitted], Common)
            }
            EventBody::RefinementSkipped { willing_to_accept, .. } => {
                told(&[PartnerSkippedRefinement, EmpathyResubmitted], Willing(*willing_to_accept))
            }
            // The list is private: the message makes the author's screens reload, and it is no news for the other
            // partner.
            EventBody::NeedsCaptured { .. } => Facts { is_news: false, ..told(&[SessionNeedsExtracted], Common) },
            EventBody::NeedsConfirmed { first: true, .. } => told(&[PartnerNeedsConfirmed], Common),
            EventBody::NeedsShared { reveals: true, .. } => {
                told(&[PartnerNeedsShared, SessionCommonGroundReady, SessionNeedsRevealReady], Common)
            }
            EventBody::NeedsShared { .. } => told(&[PartnerNeedsShared], Common),
            EventBody::CommonGroundConfirmed { .. } => told(&[PartnerCommonGroundConfirmed], Common),
            EventBody::NeedsValidated { validated: true } => told(&[PartnerNeedsValidated], Common),
            // The revoked content has to disappear at once, even from screens that do not know the name of a
            // revocation.
            EventBody::ConsentRevoked { kind: kind @ ConsentKind::Empathy } => {
                told(&[PartnerConsentRevoked, EmpathyResubmitted], Consent(*kind))
            }
            EventBody::ConsentRevoked { kind: kind @ ConsentKind::Needs } => {
                told(&[PartnerConsentRevoked, SessionCommonGroundReady], Consent(*kind))
            }
            // Screens of stage 4 reload on `partner.marked_ready` or on `session.strategies_updated`.
            EventBody::StrategyProposed { .. } | EventBody::StrategyRevised { .. } => {
                told(&[SessionStrategiesUpdated, PartnerMarkedReady], Common)
            }
            EventBody::ReadyToRank {} | EventBody::PathChosen { ready: true, .. } => {
                told(&[PartnerReadyToRank, PartnerMarkedReady], Common)
            }
            EventBody::RankingSubmitted { replaces: false, .. } => told(&[PartnerRankingSubmitted], Common),
            EventBody::OverlapRevealed { .. } => told(&[StrategiesOverlapReady, PartnerMarkedReady], Common),
            EventBody::SelectionsShared { again: false } => {
                told(&[PartnerRankingSubmitted, SessionStrategiesUpdated, PartnerMarkedReady], Selections("submitted"))
            }
            EventBody::SelectionsShared { again: true } => {
                told(&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("submitted"))
            }
            EventBody::SelectionsMade { takes_back: true, .. } | EventBody::SelectionsUnshared {} => {
                told(&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("revised"))
            }
            EventBody::SubChatResolved { created, updated, .. } if !created.is_empty() || !updated.is_empty() => {
                told(&[SessionStrategiesUpdated], SubChatResolved)
            }
            EventBody::Closed { kind, agreements, .. } => told(&[SessionResolved], Closed(*kind, agreements)),
            EventBody::AgreementProposed { id, .. } => told(&[AgreementProposed, PartnerMarkedReady], Agreement(id)),
            EventBody::AgreementConfirmed { id } => told(&[AgreementConfirmed, PartnerMarkedReady], Agreement(id)),
            EventBody::AgreementDeclined { id, .. } => {
                told(&[AgreementDeclined, SessionStrategiesUpdated, PartnerMarkedReady], Agreement(id))
            }
            EventBody::FollowUpDue { agreements } => told(&[AgreementFollowUp], Agreements(agreements)),
            EventBody::Paused { reason } => told(&[SessionPaused], Pause(reason.as_ref())),
            EventBody::Resumed {} => told(&[SessionResumed], Common),
            EventBody::Resolved {} => told(&[SessionResolved], Common),
            EventBody::Abandoned { .. } => told(&[SessionAbandoned], Common),
            EventBody::Nudged {} => told(&[PartnerNudged], Common),
            EventBody::Tending(tending) => match tending.action() {
                Some(action) => Facts { only: tending.only(), ..told(&[NotificationPendingAction], Action(action)) },
                None => Facts { only: tending.only(), ..silent(Changes::Author) },
            },
            EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::AccountErased {}
            | EventBody::Renamed { .. } => silent(Changes::Both),
            EventBody::Created { .. }
            | EventBody::InvitationWritten { .. }
            | EventBody::TopicFrameConfirmed { .. }
            | EventBody::FeelHeardOffered {}
            | EventBody::FeelHeardConfirmed { .. }
            | EventBody::EmpathyDraftSaved { .. }
            | EventBody::NeedAdded { .. }
            | EventBody::NeedsEdited { .. }
            | EventBody::NeedsValidated { validated: false }
            | EventBody::ConsentDenied { .. }
            | EventBody::NeedsConfirmed { first: false, .. }
            | EventBody::PathChosen { ready: false, .. }
            | EventBody::SelectionsMade { takes_back: false, .. }
            | EventBody::NeedDeclined { .. }
            | EventBody::NeedWalked { .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatSaid { .. }
            | EventBody::SubChatResolved { .. }
            | EventBody::RankingSubmitted { replaces: true, .. } => silent(Changes::Author),
            EventBody::AppNoticed { .. } | EventBody::ActivityShown { .. } | EventBody::SawShareTab {} => {
                silent(Changes::Client)
            }
            EventBody::Viewed { .. } | EventBody::NudgeRefused {} => silent(Changes::Nothing),
        }
    }

    /// The coordinator advanced the partner by itself.
    pub(crate) fn is_implicit(&self) -> bool {
        matches!(self.body, EventBody::Advanced { implicit: true, .. })
    }
}
