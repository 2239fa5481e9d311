//! What the end of an account comes to, in numbers.

use crate::{
    coordinator::Coordinator,
    domain::{ids::UserId, stage::SessionStatus},
    keys,
    ports::{Direction, StoreError},
};

/// What an erasure does to others and to what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Sessions that were going on and end with it.
    pub sessions_abandoned: usize,
    /// Partners in those sessions, who are told.
    pub partners_notified: usize,
    /// Sessions that lose the user's words, and stored answers that are deleted.
    pub records: usize,
}

impl Coordinator {
    /// What erasing the user would do at this moment.
    pub fn erasure_of(&self, user: &UserId) -> Result<Erasure, StoreError> {
        let sessions = self.memberships_ever(user)?;
        let answers = self.store().scan(&keys::idempotent_answers_of(user), None, Direction::Forward, usize::MAX)?;
        let mut erasure = Erasure { records: sessions.len() + answers.len(), ..Erasure::default() };
        for (_, membership) in sessions.iter().filter(|(_, membership)| !membership.left) {
            let joined = matches!(membership.status, SessionStatus::Active | SessionStatus::Paused);
            erasure.sessions_abandoned += usize::from(membership.status.is_live());
            erasure.partners_notified += usize::from(joined && membership.partner.is_some());
        }
        Ok(erasure)
    }
}
