//! The timers of a session.

use crate::{
    agreement::Agreement, context::Settings, session::Session, stage::SessionStatus, time::Timestamp, timer::Timer,
};

impl Session {
    /// The timers and their times. They can change with every event. The idle timer moves with each event, so a caller
    /// may keep an older row of it and ask again when it fires.
    pub fn timers(&self, settings: &Settings) -> Vec<(Timer, Timestamp)> {
        let mut timers = Vec::new();
        if self.status == SessionStatus::Invited && !self.invitation.expired {
            timers.push((Timer::InvitationExpiry, self.invitation.expires_at));
        }
        if self.status.is_live() {
            timers.push((Timer::IdleAbandonment, self.last_event_at + settings.abandon_after));
        }
        if matches!(self.status, SessionStatus::Active | SessionStatus::Paused | SessionStatus::Resolved) {
            let due = self.agreements.iter().filter_map(Agreement::follow_up);
            timers.extend(due.map(|at| (Timer::FollowUp, at)));
        }
        timers.extend(self.tending_timers());
        timers.sort_by_key(|(timer, at)| (*at, timer.number()));
        timers.dedup();
        timers
    }
}
