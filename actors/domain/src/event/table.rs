//! The one table of the events that the coordinator publishes: name, audience, push. What clients may not publish, which pushes
//! a user can switch off and what a push says all follow from it. A row cannot leave anything open.

/// For whom an event is news, and what its payload says of the acting user. Clients drop what names them as the author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The other partner. `excludeUserId` and `triggeredByUserId` name the author.
    Partner,
    /// Both, the author included: their screens change on this event only. Nobody is named.
    Both,
    /// Both, with a message for each: `forUserId` names the receiver, `triggeredByUserId` the author, nobody is excluded.
    Each,
}

/// The preference with which a user switches pushes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushKind {
    Invitation,
    FollowUp,
    PartnerAction,
}

/// What an absent partner gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Nothing: another event of the same command tells, or it is not worth a notification.
    Never,
    /// A notification with the general text.
    General(PushKind),
    /// A notification with a title and a body of its own, in English.
    Worded(PushKind, &'static str, &'static str),
}

impl Push {
    pub const fn kind(self) -> Option<PushKind> {
        match self {
            Push::Never => None,
            Push::General(kind) | Push::Worded(kind, ..) => Some(kind),
        }
    }
}

/// Declares the names, each with its row.
macro_rules! events {
    ($($event:ident: $name:literal, $audience:expr, $push:expr;)+) => {
        /// An event's name on the session channel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName { $($event),+ }

        impl EventName {
            pub const ALL: &[EventName] = &[$(EventName::$event),+];

            /// As it is on the channel.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventName::$event => $name),+ }
            }

            pub const fn audience(self) -> Audience {
                match self { $(EventName::$event => $audience),+ }
            }

            pub const fn push(self) -> Push {
                match self { $(EventName::$event => $push),+ }
            }

            pub fn parse(name: &str) -> Option<EventName> {
                match name { $($name => Some(EventName::$event),)+ _ => None }
            }
        }
    };
}

use Audience::{Both, Each, Partner};
use Push::{General, Never, Worded};
use PushKind::{FollowUp, Invitation, PartnerAction};

events! {
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
    // On the partners' own channels, for lists.
    SessionUpdated: "session.updated", Each, Never;
    StrategiesOverlapReady: "strategies.overlap_ready", Partner, General(PartnerAction);
}

/// Whether the coordinator alone may publish under this name on a session's channel.
pub fn is_reserved(name: &str) -> bool {
    EventName::parse(name).is_some()
}
