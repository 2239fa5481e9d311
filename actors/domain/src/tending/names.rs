//! The enums of a check-in.

use serde::{Deserialize, Serialize};

/// Declares enums with their JSON names.
macro_rules! names {
    ($($(#[$doc:meta])* $vis:vis $name:ident: $($variant:ident = $text:tt),+;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        $vis enum $name { $(#[serde(rename = $text)] #[strum(serialize = $text)] $variant),+ }
    )+ };
}

names! {
    pub(crate) EntryKind: SharedAgreement = "SCHEDULED_SHARED_AGREEMENT_CHECKIN",
        IndividualCommitment = "SCHEDULED_INDIVIDUAL_COMMITMENT_CHECKIN", Reentry = "USER_INITIATED_REENTRY";
    pub(crate) EntryStatus: Scheduled = "SCHEDULED", Open = "OPEN", Partial = "PARTIAL", Completed = "COMPLETED",
        Expired = "EXPIRED", Cancelled = "CANCELLED";
    pub ResponseStatus: Checkin = "CHECKIN", Worked = "WORKED", Partly = "PARTLY", DidNotWork = "DID_NOT_WORK",
        DidNotTry = "DID_NOT_TRY", Other = "OTHER";
    pub ContinueChoice: AnotherRound = "ANOTHER_ROUND", Extend = "EXTEND", NewProcess = "NEW_PROCESS",
        PartialClosure = "PARTIAL_CLOSURE", FullClosure = "FULL_CLOSURE";
    pub(crate) NextAction: FullClosure = "FULL_CLOSURE", Extend = "EXTEND", AdjustCommitment = "ADJUST_COMMITMENT",
        ReopenStrategyWork = "REOPEN_STRATEGY_WORK", NewProcess = "NEW_PROCESS", PartialClosure = "PARTIAL_CLOSURE";
    pub(crate) FollowThrough: Happened = "HAPPENED", PartlyHappened = "PARTLY_HAPPENED", DidNotHappen = "DID_NOT_HAPPEN",
        NotSure = "NOT_SURE";
    pub(crate) Helpfulness: Helped = "HELPED", PartlyHelped = "PARTLY_HELPED", DidNotHelp = "DID_NOT_HELP", NotSure = "NOT_SURE";
    pub(crate) Blocker: Forgot = "FORGOT", TooHard = "TOO_HARD", TooFrequent = "TOO_FREQUENT", Unclear = "UNCLEAR",
        PartnerDidNotDoPart = "PARTNER_DID_NOT_DO_PART", IDidNotDoPart = "I_DID_NOT_DO_PART",
        CircumstancesChanged = "CIRCUMSTANCES_CHANGED", NoLongerWanted = "NO_LONGER_WANTED", Other = "OTHER";
    pub(crate) NeedResolution: Resolved = "RESOLVED", Improving = "IMPROVING", StillOpen = "STILL_OPEN", Changed = "CHANGED",
        NotSure = "NOT_SURE";
    /// The effect of a partial closure on one entry.
    pub(crate) EntryResolution: Resolved = "RESOLVED", Continuing = "CONTINUING";
    pub(crate) TendingScope: Private = "PRIVATE", Shared = "SHARED";
    pub(crate) ReminderStatus: Scheduled = "SCHEDULED", Delivered = "DELIVERED", Cancelled = "CANCELLED";
    pub(crate) CycleStatus: WaitingForPartner = "WAITING_FOR_PARTNER", ReadyToResolve = "READY_TO_RESOLVE",
        Resolved = "RESOLVED", TimedOut = "TIMED_OUT";
    /// The result of the choices of a cycle.
    pub CycleResult: Extended = "EXTENDED", Completed = "COMPLETED", PartlyCompleted = "PARTLY_COMPLETED", Held = "HELD";
}

impl ContinueChoice {
    /// The default action of the choice.
    pub(crate) const fn next_action(self) -> NextAction {
        match self {
            ContinueChoice::AnotherRound => NextAction::ReopenStrategyWork,
            ContinueChoice::Extend => NextAction::Extend,
            ContinueChoice::NewProcess => NextAction::NewProcess,
            ContinueChoice::PartialClosure => NextAction::PartialClosure,
            ContinueChoice::FullClosure => NextAction::FullClosure,
        }
    }
}

impl CycleResult {
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            CycleResult::Extended => "You go on; the next check-in is scheduled.",
            CycleResult::Completed => "You closed what you had agreed on.",
            CycleResult::PartlyCompleted => "What both of you call resolved is closed; the rest goes on.",
            CycleResult::Held => "You chose different ways on; talk it over and check in again.",
        }
    }
}
