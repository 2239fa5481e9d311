//! The commands of timers. A timer that fires too early, or without a reason, does nothing.

use super::action::NewEvents;
use crate::{
    context::Context,
    event::{AbandonCause, Event, EventBody},
    session::Session,
    timer::Timer,
};

pub(super) fn decide(session: &Session, timer: Timer, ctx: &Context<'_>) -> Vec<Event> {
    let mut events = NewEvents::after(session, None, ctx);
    let is_due = session.timers(ctx.settings).iter().any(|(due, at)| *due == timer && *at <= ctx.now);
    if !is_due {
        return events.list;
    }
    match timer {
        Timer::InvitationExpiry => events.record(EventBody::InvitationExpired {}),
        Timer::IdleAbandonment => events.record(EventBody::Abandoned { cause: AbandonCause::Idle }),
        Timer::FollowUp => {
            let due = session.agreements.iter().filter(|agreement| agreement.is_follow_up_due(ctx.now));
            events.record(EventBody::FollowUpDue { agreements: due.map(|agreement| agreement.id.clone()).collect() });
        }
        Timer::TendingDue | Timer::TendingDeadline | Timer::TendingReminder => {
            let due = session.tending_due(timer, ctx.now).into_iter();
            due.for_each(|event| events.record(EventBody::Tending(event)));
        }
    }
    events.list
}
