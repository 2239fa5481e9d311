//! The limit of live sessions for each user. It bounds what one user's lists, counts and tokens cost the node.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use serde_json::json;

use super::Coordinator;
use crate::{
    domain::{Code, Rejection, ids::UserId},
    messages::Refusal,
};

/// Counts the sessions of each user that are being created or joined and have no index rows yet.
#[derive(Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<HashMap<UserId, usize>>>);

/// Counts as one live session of its user until it is dropped.
pub(crate) struct Reservation {
    reservations: Reservations,
    user: UserId,
}

impl Reservations {
    /// Makes a reservation. Returns it with the number of the user's other reservations.
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
            debug_assert!(*count > 0, "a count of zero is removed");
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

impl Coordinator {
    /// Reserves one more live session of the user until the guard is dropped.
    ///
    /// # Errors
    /// `CONFLICT` if the user has as many as a user may have.
    pub(crate) fn reserve_session(&self, user: &UserId) -> Result<Reservation, Refusal> {
        let most = self.deps.residency.live_per_user;
        let (reservation, others) = self.reservations.reserve(user);
        if self.stored_live_sessions(user)? + others >= most {
            let message = format!(
                "you have {most} live sessions, as many as one user may have; resolve or leave one of them first"
            );
            return Err(Rejection::new(Code::Conflict, message).with_details(json!({ "limit": most })).into());
        }
        Ok(reservation)
    }
}
