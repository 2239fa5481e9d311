//! How many live sessions one user may have. What one user can pile up bounds what that user's lists, counts and tokens cost everybody.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use serde_json::json;

use super::Coordinator;
use crate::{
    domain::{Code, Rejection, ids::UserId},
    messages::Refusal,
};

/// Sessions that are being created or joined, and are not in any list yet.
#[derive(Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<HashMap<UserId, usize>>>);

/// A session that is being created or joined.
pub(crate) struct Reservation {
    reservations: Reservations,
    user: UserId,
}

impl Reservations {
    /// The guard counts for `user` until it is dropped; with it comes how many others do.
    fn reserve(&self, user: &UserId) -> (Reservation, usize) {
        let mut counts = self.0.lock();
        let count = counts.entry(user.clone()).or_default();
        let others = *count;
        *count += 1;
        (Reservation { reservations: self.clone(), user: user.clone() }, others)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut counts = self.reservations.0.lock();
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

impl Coordinator {
    /// A place for one more live session of the user, held until the guard is dropped.
    ///
    /// # Errors
    /// `CONFLICT` if the user has as many as a user may have.
    pub(crate) fn reserve_session(&self, user: &UserId) -> Result<Reservation, Refusal> {
        let most = self.deps.residency.live_per_user;
        let (reservation, others) = self.reservations.reserve(user);
        if self.live_sessions(user)? + others >= most {
            let message = format!("you have {most} sessions that are going on, which is as many as one user may have");
            return Err(Rejection::new(Code::Conflict, message).with_details(json!({ "limit": most })).into());
        }
        Ok(reservation)
    }
}
