//! Events. A session is the sum of its events, and each event has the next `seq`. Stored events are read for ever: the
//! names of variants and fields are a promise, which golden files check. A new field needs a default.

mod announcement;
mod audience;
mod declare;
mod erasure;
mod kept;
mod stored;
mod table;

pub use announcement::Announcement;
pub use audience::{Audience, Push, PushKind};
pub(crate) use kept::{Kept, Part};
use serde::{Deserialize, Serialize};
pub use stored::VERSION;
pub(crate) use table::{Changes, Consequences};
pub use table::{EventName, is_reserved};

use declare::events;
use erasure::{Erase, Remainder};

use crate::{
    agreement::AgreementType,
    consents::ConsentKind,
    ids::{AgreementId, DraftId, InvitationId, NeedId, Seq, SessionId, StrategyId, SubChatId, UserId},
    needs::{CapturedNeed, CommonGroundConfirmation, NeedCategory, NeedConfirmation, NeedEdit},
    private_text::{PrivateText, Salt},
    stage::Stage,
    stage4::{
        Anchor, Candidate, ChatRole, ClosedAgreement, ClosureKind, ClosureReason, Selection, Stage4Path, WalkStep,
    },
    tending::TendingEvent,
    time::Timestamp,
};

/// A fact of one session. Events are numbered by `seq` without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The position among the session's events, from 1.
    pub seq: Seq,
    /// Never earlier than the event before it, unless the clock was wrong by days.
    pub at: Timestamp,
    /// The user whose command caused the event. None if the coordinator acted by itself.
    pub by: Option<UserId>,
    /// What happened.
    pub body: EventBody,
}

/// Why a session was abandoned. A declined invitation is an event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbandonCause {
    /// A partner left a live session.
    Withdrawn,
    /// A partner erased the account.
    AccountErased,
    /// No event came for the time that the settings allow.
    Idle,
}

events! {
    /// What happened. Variants and fields are stored under their names.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(missing_docs, reason = "a name says what happened; a comment stands where it does not say all")]
    pub enum EventBody {
        // the session and its invitation
        Created {
            session: SessionId,
            invitation: InvitationId,
            /// A secret of the session, from which the orders of the strategies are made.
            salt: Salt,
            name: Option<PrivateText>,
            invite_name: Option<PrivateText>,
            person: Option<UserId>,
            context: Option<PrivateText>,
            expires_at: Timestamp,
        },
        InvitationConfirmed {
            expires_at: Timestamp,
        },
        InvitationResent {
            expires_at: Timestamp,
        },
        InvitationExpired {},
        InvitationDeclined {},
        /// Texts of the invitation, written by the AI service or by the creator. An absent text stays as it is.
        InvitationWritten {
            topic: Option<PrivateText>,
            message: Option<PrivateText>,
        },
        /// The creator shows the topic to the invited person.
        TopicFrameConfirmed {
            topic: PrivateText,
        },
        /// The creator says that the invitation was sent, and with which message.
        InvitationSent {
            message: Option<PrivateText>,
        },
        Joined {
            name: Option<PrivateText>,
            /// The creator is in app mode. The app waits for another name of the event.
            #[serde(default)]
            told_to_app: bool,
        },

        /// The member's client is the product's own app.
        AppNoticed {
            /// The June generation of the app.
            june: bool,
        },

        // the stages
        CompactSigned {},
        /// The AI service offers the partner to confirm that they feel heard.
        FeelHeardOffered {},
        FeelHeardConfirmed {
            feedback: Option<PrivateText>,
        },
        /// The partner's own gates of a stage are satisfied for the first time.
        StageCompleted {
            stage: Stage,
            /// The stage to which the member advances in the same commit.
            #[serde(default)]
            moves_to: Option<Stage>,
        },
        Advanced {
            to: Stage,
            /// The coordinator advanced the member; nobody called "advance".
            #[serde(default)]
            implicit: bool,
        },

        // empathy
        EmpathyDraftSaved {
            draft: DraftId,
            content: PrivateText,
            ready: bool,
            /// How many times the draft was saved, this time included. None in older logs, where the events count.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            version: Option<u32>,
        },
        EmpathyShared {
            content: PrivateText,
            /// From this moment each sees what the other wrote.
            #[serde(default)]
            reveals: bool,
            /// The text is the revision that the partner asked for.
            #[serde(default)]
            resubmits: bool,
        },
        EmpathyJudged {
            validated: bool,
            feedback: Option<PrivateText>,
            feedback_shared: bool,
        },
        /// The author keeps the attempt, although the partner asked for a revision.
        RefinementSkipped {
            willing_to_accept: bool,
            reason: Option<PrivateText>,
        },

        // needs
        NeedAdded {
            id: NeedId,
            need: PrivateText,
            category: NeedCategory,
            description: Option<PrivateText>,
        },
        /// Captured needs replace the partner's unconfirmed ones.
        NeedsCaptured {
            needs: Vec<CapturedNeed>,
        },
        NeedsEdited {
            edits: Vec<NeedEdit>,
        },
        NeedsConfirmed {
            needs: Vec<NeedConfirmation>,
            /// None of this partner's needs was confirmed before.
            first: bool,
        },
        NeedsShared {
            needs: Vec<NeedId>,
            /// From this moment each sees what the other needs.
            #[serde(default)]
            reveals: bool,
        },
        CommonGroundConfirmed {
            categories: Vec<CommonGroundConfirmation>,
        },
        /// The partner has compared both lists of needs, and calls them right or not.
        NeedsValidated {
            validated: bool,
        },
        ConsentRevoked {
            kind: ConsentKind,
        },
        /// The partner was asked to share this version of the content and said no.
        ConsentDenied {
            kind: ConsentKind,
            version: u64,
        },

        // strategies
        StrategyProposed {
            id: StrategyId,
            description: PrivateText,
            needs_addressed: Vec<PrivateText>,
            duration: Option<PrivateText>,
            measure_of_success: Option<PrivateText>,
        },
        ReadyToRank {},
        RankingSubmitted {
            ranking: Vec<StrategyId>,
            /// The ranking replaces an earlier one of the same round.
            replaces: bool,
        },
        OverlapRevealed {
            overlap: Vec<StrategyId>,
            candidates: Vec<StrategyId>,
        },

        // stage 4 by proposals
        /// The first call of the stage reveals the path of this partner's client.
        PathChosen {
            path: Stage4Path,
            /// The other partner had said "ready", so both are ready now.
            #[serde(default)]
            ready: bool,
        },
        SelectionsMade {
            selections: Vec<Selection>,
            /// The earlier submission is withdrawn.
            #[serde(default)]
            takes_back: bool,
        },
        SelectionsShared {
            /// The stances were shared before.
            #[serde(default)]
            again: bool,
        },
        SelectionsUnshared {},
        NeedDeclined {
            need: NeedId,
            declined: bool,
        },
        NeedWalked {
            need: NeedId,
            /// None if the need is to be visited again.
            #[serde(default)]
            step: Option<WalkStep>,
        },
        StrategyRevised {
            id: StrategyId,
            description: PrivateText,
            needs_addressed: Vec<PrivateText>,
            duration: Option<PrivateText>,
            measure_of_success: Option<PrivateText>,
        },
        SubChatOpened {
            id: SubChatId,
            anchor: Anchor,
            anchor_id: Option<String>,
        },
        SubChatSaid {
            chat: SubChatId,
            role: ChatRole,
            content: PrivateText,
            #[serde(default)]
            candidate: Option<Candidate>,
        },
        SubChatResolved {
            chat: SubChatId,
            created: Vec<StrategyId>,
            updated: Vec<StrategyId>,
        },
        /// The stage is closed, and the session with it.
        Closed {
            kind: ClosureKind,
            reason: ClosureReason,
            summary: Option<PrivateText>,
            check_in_at: Timestamp,
            agreements: Vec<ClosedAgreement>,
        },

        /// After the session is resolved.
        Tending(tending: TendingEvent),

        // agreements
        AgreementProposed {
            id: AgreementId,
            strategy: Option<StrategyId>,
            description: PrivateText,
            kind: AgreementType,
            duration: Option<PrivateText>,
            measure_of_success: Option<PrivateText>,
            follow_up_at: Option<Timestamp>,
        },
        AgreementConfirmed {
            id: AgreementId,
        },
        AgreementDeclined {
            id: AgreementId,
            modification: Option<PrivateText>,
        },
        FollowUpDue {
            agreements: Vec<AgreementId>,
        },

        // the session's life
        Paused {
            reason: Option<PrivateText>,
        },
        Resumed {},
        Resolved {},
        Abandoned {
            cause: AbandonCause,
        },
        Archived {},
        /// A partner no longer sees the session.
        Left {},
        AccountErased {},
        Renamed {
            name: Option<PrivateText>,
        },
        ActivityShown {
            shown: bool,
        },
        Viewed {
            last_seen: Seq,
            /// The chat item that the client saw last. The client chooses the id, so it may hold any text.
            #[serde(default)]
            chat_item: Option<PrivateText>,
        },
        SawShareTab {},
        Nudged {},
        /// A nudge that came too early.
        NudgeRefused {},
    }
}
