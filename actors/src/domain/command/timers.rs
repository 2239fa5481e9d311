//! What the session does by itself. A timer that is early or has lost its reason does nothing.

use super::turn::Events;
use crate::domain::{
    context::Context,
    event::{AbandonCause, Event, EventBody},
    session::Session,
    timer::Timer,
};

pub(super) fn decide(session: &Session, timer: Timer, ctx: &Context<'_>) -> Vec<Event> {
    let mut events = Events::after(session, None, ctx);
    let is_due = session.timers(ctx.settings).iter().any(|(due, at)| *due == timer && *at <= ctx.now);
    if is_due {
        events.record(match timer {
            Timer::InvitationExpiry => EventBody::InvitationExpired {},
            Timer::IdleAbandonment => EventBody::Abandoned { cause: AbandonCause::Idle },
            Timer::FollowUp => EventBody::FollowUpDue {
                agreements: session
                    .agreements
                    .iter()
                    .filter(|agreement| agreement.is_follow_up_due(ctx.now))
                    .map(|agreement| agreement.id.clone())
                    .collect(),
            },
        });
    }
    events.list
}
