//! The one table of the events. Its first part lists the names under which events are published, with audience and
//! push. Its second part says of each event which names it is published under, whose view of the session it changes,
//! and how long it stays in the log.
//! The reserved names of the channel, the pushes that a user can switch off and the texts of pushes follow from it.

use super::{Audience, Event, EventBody, Kept, Part, Push, PushKind, announcement::Fields};
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
    /// How long the event stays in the log. An announced event stays.
    pub(crate) kept: Kept,
    /// Parts of the state that the change depends on, of either partner: the events that wrote them stay.
    pub(crate) reads: &'static [Part],
}

fn published<'a>(names: &'static [EventName], fields: Fields<'a>) -> Consequences<'a> {
    debug_assert!(!names.is_empty(), "a published event has a name");
    Consequences { names, fields, only: None, changes: Changes::Both, is_news: true, kept: Kept::Always, reads: &[] }
}

fn unpublished<'a>(changes: Changes, kept: Kept) -> Consequences<'a> {
    Consequences { names: &[], fields: Fields::Common, only: None, changes, is_news: false, kept, reads: &[] }
}

/// Nobody hears of the event, and later ones replace it.
fn passing<'a>(changes: Changes, parts: impl IntoIterator<Item = Part>) -> Consequences<'a> {
    unpublished(changes, Kept::UntilRewritten(parts.into_iter().collect()))
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
            // The version of the draft becomes the version of the consent.
            EventBody::EmpathyShared { resubmits: true, .. } => {
                Consequences { reads: &[Part::Draft], ..published(&[PartnerEmpathyShared, EmpathyResubmitted], Common) }
            }
            EventBody::EmpathyShared { reveals: true, .. } => {
                Consequences { reads: &[Part::Draft], ..published(&[PartnerEmpathyShared, EmpathyRevealed], Common) }
            }
            EventBody::EmpathyShared { .. } => Consequences { reads: &[Part::Draft], ..published(&[PartnerEmpathyShared], Common) },
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
            EventBody::OverlapRevealed { .. } => {
                Consequences { reads: &[Part::Ranking], ..published(&[StrategiesOverlapReady, PartnerMarkedReady], Common) }
            }
            EventBody::SelectionsShared { again: false } => published(
                &[PartnerRankingSubmitted, SessionStrategiesUpdated, PartnerMarkedReady],
                Selections("submitted"),
            ),
            EventBody::SelectionsShared { again: true } => {
                published(&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("submitted"))
            }
            // A ranking that is taken back becomes stances.
            EventBody::SelectionsMade { takes_back: true, .. } | EventBody::SelectionsUnshared {} => Consequences {
                reads: &[Part::Ranking],
                ..published(&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("revised"))
            },
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
                Some(action) => Consequences { only: tending.only(), ..published(&[NotificationPendingAction], Action(action)) },
                None => Consequences { only: tending.only(), ..unpublished(Changes::Author, Kept::Always) },
            },
            // Texts and settings: each event replaces the one before.
            EventBody::InvitationWritten { topic, message } => {
                let written = [(Part::Topic, topic.is_some()), (Part::InvitationMessage, message.is_some())];
                passing(Changes::Author, written.into_iter().filter_map(|(part, is_given)| is_given.then_some(part)))
            }
            EventBody::TopicFrameConfirmed { .. } => passing(Changes::Author, [Part::Topic, Part::TopicFrame]),
            EventBody::FeelHeardOffered {} => passing(Changes::Author, [Part::FeelHeardOffer]),
            EventBody::EmpathyDraftSaved { version: Some(_), .. } => passing(Changes::Author, [Part::Draft]),
            EventBody::NeedsValidated { validated: false } => passing(Changes::Author, [Part::NeedsValidation]),
            EventBody::PathChosen { ready: false, .. } => passing(Changes::Author, [Part::Path]),
            EventBody::NeedDeclined { need, .. } => passing(Changes::Author, [Part::DeclinedNeed(need.clone())]),
            EventBody::NeedWalked { need, .. } => passing(Changes::Author, [Part::WalkedNeed(need.clone())]),
            EventBody::RankingSubmitted { replaces: true, .. } => passing(Changes::Author, [Part::Ranking]),
            EventBody::Renamed { .. } => passing(Changes::Both, [Part::Name]),
            EventBody::ActivityShown { .. } => passing(Changes::Client, [Part::Activity]),
            EventBody::SawShareTab {} => passing(Changes::Client, [Part::ShareTab]),
            EventBody::Viewed { chat_item, .. } => {
                passing(Changes::Nothing, [Part::Seen].into_iter().chain(chat_item.as_ref().map(|_| Part::ChatItem)))
            }
            EventBody::NudgeRefused {} => passing(Changes::Nothing, []),
            // Steps, and texts that are added to others.
            EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::AccountErased {} => unpublished(Changes::Both, Kept::Always),
            EventBody::Created { .. }
            | EventBody::FeelHeardConfirmed { .. }
            // The version of a draft from an older log is the number of the events up to it.
            | EventBody::EmpathyDraftSaved { version: None, .. }
            | EventBody::NeedAdded { .. }
            | EventBody::NeedsEdited { .. }
            | EventBody::ConsentDenied { .. }
            | EventBody::NeedsConfirmed { first: false, .. }
            | EventBody::SelectionsMade { takes_back: false, .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatSaid { .. }
            | EventBody::SubChatResolved { .. } => unpublished(Changes::Author, Kept::Always),
            EventBody::AppNoticed { .. } => unpublished(Changes::Client, Kept::Always),
        }
    }

    /// Whether this is an advance that the coordinator made by itself.
    pub(crate) fn is_implicit(&self) -> bool {
        matches!(self.body, EventBody::Advanced { implicit: true, .. })
    }
}
