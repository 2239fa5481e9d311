//! Whether the partner sees when somebody was last there. It is a preference of the user, for all sessions alike; each session
//! records it, so that what it shows depends on its own events alone.

use super::turn::{Events, Turn};
use crate::{context::Caller, event::EventBody, rejection::Rejection};

pub(super) fn show(turn: &mut Turn<'_>, shown: bool) -> Result<(), Rejection> {
    if turn.me.hides_activity == shown {
        turn.record(EventBody::ActivityShown { shown });
    }
    Ok(())
}

/// What somebody who enters a session brings along.
pub(super) fn at_entry(caller: &Caller, events: &mut Events) {
    if caller.privacy.hides_activity {
        events.record(EventBody::ActivityShown { shown: false });
    }
}
