//! The effects of erasing an account, in numbers.

use super::Coordinator;
use crate::{
    domain::{ids::UserId, stage::SessionStatus},
    ports::StoreError,
    rows::{
        keys::{self, Key},
        pages::pages,
    },
};

/// How much an erasure changes for others and in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Live sessions, which end with it.
    pub sessions_abandoned: usize,
    /// Partners in those sessions, who are told.
    pub partners_notified: usize,
    /// Sessions that lose the user's private text, and stored answers that are deleted.
    pub records: usize,
}

impl Coordinator {
    /// The effects that erasing the user would have at this moment.
    pub fn erasure_of(&self, user: &UserId) -> Result<Erasure, StoreError> {
        let mut erasure = Erasure { records: self.rows_under(keys::memberships(user))?, ..Erasure::default() };
        erasure.records += self.rows_under(keys::idempotent_answers_of(user))?;
        for (_, membership) in self.live_in_order(user)? {
            let joined = matches!(membership.status, SessionStatus::Active | SessionStatus::Paused);
            erasure.sessions_abandoned += 1;
            erasure.partners_notified += usize::from(joined && membership.partner.is_some());
        }
        Ok(erasure)
    }

    fn rows_under(&self, prefix: Key) -> Result<usize, StoreError> {
        pages(self.store(), prefix).map(|page| page.map(|rows| rows.len())).sum()
    }
}
