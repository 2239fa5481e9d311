//! Submitted check-ins, for their author.

use serde::Serialize;

use super::{ReminderView, TendingScopeView};
use crate::{
    ids::{CheckInId, CycleId, Seq, SessionId, TendingEntryId, UserId},
    private_text::PrivateText,
    tending::{
        Adjustment, Blocker, CheckIn, ContinueChoice, CycleStatus, FollowThrough, Helpfulness, NeedOutcome, NextAction,
        TakenCheckIn,
    },
    time::Timestamp,
    view::Viewer,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct NeedOutcomeView {
    id: String,
    checkin_id: CheckInId,
    session_id: SessionId,
    #[serde(flatten)]
    outcome: NeedOutcome,
    created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckInView {
    id: CheckInId,
    session_id: SessionId,
    user_id: UserId,
    coordination_cycle_id: Option<CycleId>,
    continue_choice: ContinueChoice,
    next_action: NextAction,
    reflection_summary: Option<PrivateText>,
    submitted_at: Timestamp,
    created_at: Timestamp,
    need_outcomes: Vec<NeedOutcomeView>,
    adjustments: Vec<Adjustment>,
    reminders: Vec<ReminderView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryEntryReview {
    tending_entry_id: TendingEntryId,
    summary: Option<PrivateText>,
    scope: TendingScopeView,
    follow_through_status: FollowThrough,
    helpfulness_status: Option<Helpfulness>,
    blocker_categories: Vec<Blocker>,
    what_happened: Option<PrivateText>,
    helped_need: Option<PrivateText>,
    still_worth_trying: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryCycleView {
    checkin_id: CheckInId,
    session_id: SessionId,
    user_id: UserId,
    submitted_at: Timestamp,
    continue_choice: Option<ContinueChoice>,
    next_action: Option<NextAction>,
    reflection_summary: Option<PrivateText>,
    entry_reviews: Vec<HistoryEntryReview>,
    need_outcomes: Vec<NeedOutcomeView>,
    adjustments: Vec<Adjustment>,
    reminders: Vec<ReminderView>,
    coordination_status: Option<CycleStatus>,
    coordination_summary: Option<&'static str>,
}

/// The answer to `GET /sessions/{id}/tending/history`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TendingHistory {
    /// The viewer's own check-ins, the newest first.
    cycles: Vec<HistoryCycleView>,
    seq: Seq,
}

fn reflection(check_in: &CheckIn) -> Option<PrivateText> {
    let parts = [&check_in.worked, &check_in.support, &check_in.override_note];
    let parts: Vec<_> = parts.into_iter().flatten().map(PrivateText::reveal).collect();
    (!parts.is_empty()).then(|| PrivateText::new(parts.join("\n")))
}

impl Viewer<'_> {
    fn need_outcomes(&self, taken: &TakenCheckIn) -> Vec<NeedOutcomeView> {
        let id = &taken.check_in.id;
        let view = |(number, outcome): (usize, &NeedOutcome)| NeedOutcomeView {
            id: crate::ids::derived(&[b"need outcome", id.as_str().as_bytes(), &number.to_be_bytes()]),
            checkin_id: id.clone(),
            session_id: self.session.id.clone(),
            outcome: outcome.clone(),
            created_at: taken.at,
        };
        taken.check_in.needs.iter().enumerate().map(view).collect()
    }

    fn reminders_of(&self, taken: &TakenCheckIn) -> Vec<ReminderView> {
        let of_it = self.session.tending.reminders.iter().filter(|reminder| reminder.check_in == taken.check_in.id);
        of_it.map(|reminder| self.reminder_view(reminder)).collect()
    }

    pub(super) fn check_in_view(&self, taken: &TakenCheckIn) -> CheckInView {
        CheckInView {
            id: taken.check_in.id.clone(),
            session_id: self.session.id.clone(),
            user_id: self.me.id.clone(),
            coordination_cycle_id: taken.cycle.clone(),
            continue_choice: taken.check_in.choice,
            next_action: taken.check_in.next_action,
            reflection_summary: reflection(&taken.check_in),
            submitted_at: taken.at,
            created_at: taken.at,
            need_outcomes: self.need_outcomes(taken),
            adjustments: taken.check_in.adjustments.clone(),
            reminders: self.reminders_of(taken),
        }
    }

    fn entry_reviews(&self, taken: &TakenCheckIn) -> Vec<HistoryEntryReview> {
        let review = |outcome: &crate::tending::EntryOutcome| {
            let entry = self.session.tending.find(&outcome.tending_entry_id).map(|entry| self.entry_view(entry))?;
            Some(HistoryEntryReview {
                tending_entry_id: entry.id,
                summary: entry.summary,
                scope: entry.scope,
                follow_through_status: outcome.follow_through_status,
                helpfulness_status: outcome.helpfulness_status,
                blocker_categories: outcome.blocker_categories.clone(),
                what_happened: outcome.what_happened.clone(),
                helped_need: outcome.helped_need.clone(),
                still_worth_trying: outcome.still_worth_trying,
            })
        };
        taken.check_in.outcomes.iter().filter_map(review).collect()
    }

    pub(in crate::view) fn tending_history(&self) -> TendingHistory {
        let mine = self.session.tending.check_ins.iter().rev().filter(|taken| taken.by == self.side);
        let view = |taken: &TakenCheckIn| {
            let cycle = taken.cycle.as_ref().and_then(|id| self.session.tending.cycle(id));
            HistoryCycleView {
                checkin_id: taken.check_in.id.clone(),
                session_id: self.session.id.clone(),
                user_id: self.me.id.clone(),
                submitted_at: taken.at,
                continue_choice: Some(taken.check_in.choice),
                next_action: Some(taken.check_in.next_action),
                reflection_summary: reflection(&taken.check_in),
                entry_reviews: self.entry_reviews(taken),
                need_outcomes: self.need_outcomes(taken),
                adjustments: taken.check_in.adjustments.clone(),
                reminders: self.reminders_of(taken),
                coordination_status: cycle.map(|cycle| cycle.status),
                coordination_summary: cycle.and_then(|cycle| self.cycle_view(cycle).result_summary),
            }
        };
        TendingHistory { cycles: mine.map(view).collect(), seq: self.session.seq }
    }
}
