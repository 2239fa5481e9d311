//! The timers of a session.

use crate::{
    agreement::Agreement, context::DomainSettings, session::Session, stage::SessionStatus, time::Timestamp,
    timer::Timer,
};

impl Session {
    /// The timers and their times. They can change with every event. The idle timer moves with each event, so a caller
    /// may keep an older row of it and ask again when it fires.
    pub fn timers(&self, settings: &DomainSettings) -> Vec<(Timer, Timestamp)> {
        let mut timers = Vec::new();
        if self.status == SessionStatus::Invited && !self.invitation.expired {
            timers.push((Timer::InvitationExpiry, self.invitation.expires_at));
        }
        if self.status.is_live() {
            timers.push((Timer::IdleAbandonment, self.last_event_at + settings.abandon_after));
        }
        timers.extend(self.planned());
        timers.sort_by_key(|(timer, at)| (*at, timer.number()));
        timers.dedup();
        timers
    }

    /// Since when the session is over and nothing happens in it any more: its last change, or the last thing that is
    /// planned for partners who are still in it. That may be in the future. None while the session is live.
    pub fn over_since(&self) -> Option<Timestamp> {
        if self.status.is_live() {
            return None;
        }
        let is_deserted = self.members().next().is_none();
        let planned = self.planned().into_iter().map(|(_, at)| at).filter(|_| !is_deserted);
        planned.chain([self.updated_at]).max()
    }

    /// The reminders and check-ins that are to come.
    fn planned(&self) -> Vec<(Timer, Timestamp)> {
        let mut planned = self.tending_timers();
        if matches!(self.status, SessionStatus::Active | SessionStatus::Paused | SessionStatus::Resolved) {
            let due = self.agreements.iter().filter_map(Agreement::follow_up);
            planned.extend(due.map(|at| (Timer::FollowUp, at)));
        }
        planned
    }
}
