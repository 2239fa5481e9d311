//! Whether the partner sees when a member was last active. It is a preference of the user for all sessions. Each
//! session records it, so that its views depend on its own events only.

use super::action::{MemberAction, NewEvents};
use crate::{context::Caller, event::EventBody, rejection::Rejection};

pub(super) fn show(action: &mut MemberAction<'_>, shown: bool) -> Result<(), Rejection> {
    if action.me.hides_activity == shown {
        action.record(EventBody::ActivityShown { shown });
    }
    Ok(())
}

/// Records the preference of a user who joins.
pub(super) fn record_on_joining(caller: &Caller, events: &mut NewEvents) {
    if caller.privacy.hides_activity {
        events.record(EventBody::ActivityShown { shown: false });
    }
}
