//! The timers of tending: opening check-ins, ending the wait for a partner, reminding.

use std::collections::BTreeMap;

use crate::{
    ids::{ReminderId, TendingEntryId, UserId},
    private_text::PrivateText,
    session::Session,
    side::Side,
    stage::SessionStatus,
    tending::{EXTEND_BY, EntryStatus, ReminderStatus, TendingEvent, TendingScope, result_of},
    time::Timestamp,
    timer::Timer,
};

impl Session {
    /// The sides of the members who have not withdrawn.
    pub(crate) fn remaining_sides(&self) -> Vec<Side> {
        let sees = |side: &Side| self.member(*side).is_some_and(|member| member.left_at.is_none());
        Side::BOTH.into_iter().filter(sees).collect()
    }

    pub(crate) fn tending_timers(&self) -> Vec<(Timer, Timestamp)> {
        if self.status != SessionStatus::Resolved {
            return Vec::new();
        }
        let tending = &self.tending;
        let entries = tending.entries.iter().filter(|entry| entry.status == EntryStatus::Scheduled);
        let due = entries.filter_map(|entry| entry.scheduled_for).map(|at| (Timer::TendingDue, at));
        let waiting = tending.cycles.iter().filter(|cycle| cycle.is_waiting());
        let deadlines = waiting.map(|cycle| (Timer::TendingDeadline, cycle.deadline));
        let reminders = tending.reminders.iter().filter(|reminder| reminder.status == ReminderStatus::Scheduled);
        let reminders = reminders.map(|reminder| (Timer::TendingReminder, reminder.new.remind_at));
        due.chain(deadlines).chain(reminders).collect()
    }

    /// The events of all that is due, one for each audience.
    pub(crate) fn tending_due(&self, timer: Timer, now: Timestamp) -> Vec<TendingEvent> {
        match timer {
            Timer::TendingDue => self.openings(now),
            Timer::TendingDeadline => self.timeouts(now),
            Timer::TendingReminder => self.reminders_due(now),
            Timer::InvitationExpiry | Timer::IdleAbandonment | Timer::FollowUp => Vec::new(),
        }
    }

    fn id_of(&self, side: Option<Side>) -> Option<UserId> {
        self.member(side?).map(|member| member.id.clone())
    }

    fn openings(&self, now: Timestamp) -> Vec<TendingEvent> {
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let mut groups: BTreeMap<(Option<Side>, bool), Vec<TendingEntryId>> = BTreeMap::new();
        for entry in &self.tending.entries {
            if entry.status == EntryStatus::Scheduled && is_due(entry.scheduled_for) {
                groups.entry((entry.owner, entry.quiet)).or_default().push(entry.id.clone());
            }
        }
        let opened = |((owner, quiet), entries)| TendingEvent::Opened { entries, only: self.id_of(owner), quiet };
        groups.into_iter().map(opened).collect()
    }

    fn timeouts(&self, now: Timestamp) -> Vec<TendingEvent> {
        let late = self.tending.cycles.iter().filter(|cycle| cycle.is_waiting() && cycle.deadline <= now);
        late.map(|late| {
            let check_ins: Vec<_> = self.tending.check_ins_of(&late.id).into_values().collect();
            let result = result_of(&check_ins);
            TendingEvent::CycleTimedOut { cycle: late.id.clone(), result, next: now + EXTEND_BY }
        })
        .collect()
    }

    fn reminders_due(&self, now: Timestamp) -> Vec<TendingEvent> {
        let mut groups: BTreeMap<Option<Side>, Vec<(ReminderId, Option<Timestamp>)>> = BTreeMap::new();
        for reminder in &self.tending.reminders {
            if reminder.status == ReminderStatus::Scheduled && reminder.new.remind_at <= now {
                let owner = (reminder.new.scope == TendingScope::Private).then_some(reminder.by);
                let next = next_time(reminder.new.remind_at, reminder.new.cadence.as_ref(), now);
                groups.entry(owner).or_default().push((reminder.new.id.clone(), next));
            }
        }
        let due = |(owner, reminders)| TendingEvent::RemindersDue { reminders, only: self.id_of(owner) };
        groups.into_iter().map(due).collect()
    }
}

/// The next time of a repeated reminder after `now`. None if the reminder comes once. Times that passed while the node
/// was down are skipped.
fn next_time(first: Timestamp, cadence: Option<&PrivateText>, now: Timestamp) -> Option<Timestamp> {
    let cadence = cadence?.reveal().trim().to_uppercase().replace([' ', '-'], "_");
    let step = match cadence.as_str() {
        "WEEKLY" => jiff::Span::new().days(7),
        "MONTHLY" => jiff::Span::new().months(1),
        "EVERY_COUPLE_MONTHS" => jiff::Span::new().months(2),
        _ => return None,
    };
    let first = jiff::Timestamp::from_millisecond(first.as_millis()).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    // Counting from the first time keeps the day of the month.
    let times = (1..=5_000_i64).map(|times| first.checked_add(step.checked_mul(times).ok()?).ok());
    let later = times.map_while(|at| at).map(|at| Timestamp::from_millis(at.timestamp().as_millisecond()));
    later.into_iter().find(|at| *at > now)
}
