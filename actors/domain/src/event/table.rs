//! The one table of the events. Its first part lists the names under which events are published, with audience and
//! push. Its second part says of each event which names it is published under and whose view of the session it changes.
//! The reserved names of the channel, the pushes that a user can switch off and the texts of pushes follow from it.

use super::{Audience, Event, EventBody, Push, PushKind, announcement::Fields};
use crate::{consents::ConsentKind, ids::UserId, stage::Stage};

/// Declares the names, each with its audience and its push.
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

            /// Who gets it.
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

/// What follows from an event, besides the change of the state.
pub(crate) struct Consequences<'a> {
    /// The names under which the event is published; empty if it is not. The first one decides on audience and push.
    pub(super) names: &'static [EventName],
    pub(super) fields: Fields<'a>,
    /// The only member whom the event concerns.
    pub(super) only: Option<&'a UserId>,
    pub(crate) changes: Changes,
    /// The event is unread for its audience, and an absent partner gets a push.
    pub(crate) is_news: bool,
}

fn published<'a>(names: &'static [EventName], fields: Fields<'a>) -> Consequences<'a> {
    debug_assert!(!names.is_empty(), "a published event has a name");
    Consequences { names, fields, only: None, changes: Changes::Both, is_news: true }
}

fn unpublished<'a>(changes: Changes) -> Consequences<'a> {
    Consequences { names: &[], fields: Fields::Common, only: None, changes, is_news: false }
}

impl Event {
    /// This event's row of the table.
    #[allow(clippy::too_many_lines, reason = "one arm for each event")]
    pub(crate) fn consequences(&self) -> Consequences<'_> {
        use EventName::*;
        use Fields::*;
        match &self.body {
            EventBody::Joined { told_to_app: false, .. } => published(&[SessionJoined], Common),
            EventBody::Joined { told_to_app: true, .. } => {
                published(&[SessionJoined, PartnerAdvanced], ToStage(Stage::Onboarding))
            }
            EventBody::InvitationDeclined {} => published(&[InvitationDeclined], Common),
            EventBody::InvitationSent { .. } => published(&[InvitationConfirmed], Common),
            EventBody::CompactSigned {} => published(&[PartnerSignedCompact], SignedAt),
            EventBody::StageCompleted { stage, moves_to } => {
                published(&[PartnerStageCompleted], Completed(*stage, *moves_to))
            }
            // An implicit advance follows from another event of the same commit, which is the news.
            EventBody::Advanced { to, implicit } => {
                Consequences { is_news: !implicit, ..published(&[PartnerAdvanced], ToStage(*to)) }
            }
            EventBody::EmpathyShared { resubmits: true, .. } => {
                published(&[PartnerEmpathyShared, EmpathyResubmitted], Common)
            }
            EventBody::EmpathyShared { reveals: true, .. } => {
                published(&[PartnerEmpathyShared, EmpathyRevealed], Common)
            }
            EventBody::EmpathyShared { .. } => published(&[PartnerEmpathyShared], Common),
            // Screens that do not know the name of a verdict reload on "resubmitted".
            EventBody::EmpathyJudged { validated: true, .. } => {
                published(&[PartnerValidated, EmpathyResubmitted], Common)
            }
            EventBody::EmpathyJudged { validated: false, .. } => {
                published(&[PartnerRevisionRequested, EmpathyResubmitted], Common)
            }
            EventBody::RefinementSkipped { willing_to_accept, .. } => {
                published(&[PartnerSkippedRefinement, EmpathyResubmitted], Willing(*willing_to_accept))
            }
            // The list is private: the message makes the author's screens reload, and it is no news for the other
            // partner.
            EventBody::NeedsCaptured { .. } => {
                Consequences { is_news: false, ..published(&[SessionNeedsExtracted], Common) }
            }
            EventBody::NeedsConfirmed { first: true, .. } => published(&[PartnerNeedsConfirmed], Common),
            EventBody::NeedsShared { reveals: true, .. } => {
                published(&[PartnerNeedsShared, SessionCommonGroundReady, SessionNeedsRevealReady], Common)
            }
            EventBody::NeedsShared { .. } => published(&[PartnerNeedsShared], Common),
            EventBody::CommonGroundConfirmed { .. } => published(&[PartnerCommonGroundConfirmed], Common),
            EventBody::NeedsValidated { validated: true } => published(&[PartnerNeedsValidated], Common),
            // The revoked content has to disappear at once, even from screens that do not know the name of a
            // revocation.
            EventBody::ConsentRevoked { kind: kind @ ConsentKind::Empathy } => {
                published(&[PartnerConsentRevoked, EmpathyResubmitted], Consent(*kind))
            }
            EventBody::ConsentRevoked { kind: kind @ ConsentKind::Needs } => {
                published(&[PartnerConsentRevoked, SessionCommonGroundReady], Consent(*kind))
            }
            // Screens of stage 4 reload on `partner.marked_ready` or on `session.strategies_updated`.
            EventBody::StrategyProposed { .. } | EventBody::StrategyRevised { .. } => {
                published(&[SessionStrategiesUpdated, PartnerMarkedReady], Common)
            }
            EventBody::ReadyToRank {} | EventBody::PathChosen { ready: true, .. } => {
                published(&[PartnerReadyToRank, PartnerMarkedReady], Common)
            }
            EventBody::RankingSubmitted { replaces: false, .. } => published(&[PartnerRankingSubmitted], Common),
            EventBody::OverlapRevealed { .. } => published(&[StrategiesOverlapReady, PartnerMarkedReady], Common),
            EventBody::SelectionsShared { again: false } => published(
                &[PartnerRankingSubmitted, SessionStrategiesUpdated, PartnerMarkedReady],
                Selections("submitted"),
            ),
            EventBody::SelectionsShared { again: true } => {
                published(&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("submitted"))
            }
            EventBody::SelectionsMade { takes_back: true, .. } | EventBody::SelectionsUnshared {} => {
                published(&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("revised"))
            }
            EventBody::SubChatResolved { created, updated, .. } if !created.is_empty() || !updated.is_empty() => {
                published(&[SessionStrategiesUpdated], SubChatResolved)
            }
            EventBody::Closed { kind, agreements, .. } => published(&[SessionResolved], Closed(*kind, agreements)),
            EventBody::AgreementProposed { id, .. } => {
                published(&[AgreementProposed, PartnerMarkedReady], Agreement(id))
            }
            EventBody::AgreementConfirmed { id } => published(&[AgreementConfirmed, PartnerMarkedReady], Agreement(id)),
            EventBody::AgreementDeclined { id, .. } => {
                published(&[AgreementDeclined, SessionStrategiesUpdated, PartnerMarkedReady], Agreement(id))
            }
            EventBody::FollowUpDue { agreements } => published(&[AgreementFollowUp], Agreements(agreements)),
            EventBody::Paused { reason } => published(&[SessionPaused], Pause(reason.as_ref())),
            EventBody::Resumed {} => published(&[SessionResumed], Common),
            EventBody::Resolved {} => published(&[SessionResolved], Common),
            EventBody::Abandoned { .. } => published(&[SessionAbandoned], Common),
            EventBody::Nudged {} => published(&[PartnerNudged], Common),
            EventBody::Tending(tending) => match tending.action() {
                Some(action) => {
                    Consequences { only: tending.only(), ..published(&[NotificationPendingAction], Action(action)) }
                }
                None => Consequences { only: tending.only(), ..unpublished(Changes::Author) },
            },
            EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::AccountErased {}
            | EventBody::Renamed { .. } => unpublished(Changes::Both),
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
            | EventBody::RankingSubmitted { replaces: true, .. } => unpublished(Changes::Author),
            EventBody::AppNoticed { .. } | EventBody::ActivityShown { .. } | EventBody::SawShareTab {} => {
                unpublished(Changes::Client)
            }
            EventBody::Viewed { .. } | EventBody::NudgeRefused {} => unpublished(Changes::Nothing),
        }
    }

    /// Whether this is an advance that the coordinator made by itself.
    pub(crate) fn is_implicit(&self) -> bool {
        matches!(self.body, EventBody::Advanced { implicit: true, .. })
    }
}
