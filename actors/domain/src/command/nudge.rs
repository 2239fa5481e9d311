//! A nudge: a fixed text, seldom.

use serde_json::json;

use super::turn::{Events, Turn};
use crate::{
    event::EventBody,
    rejection::{Code, Rejection},
};

/// A nudge that comes too early is refused, and the refusal is recorded.
pub(super) fn decide(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    turn.must_be_active()?;
    let interval = turn.ctx.settings.nudge_min_interval;
    let last = turn.me.nudged_at.filter(|at| turn.ctx.is_credible(*at, interval));
    let next = last.map(|at| at + interval);
    if let Some(next) = next.filter(|next| turn.ctx.now < *next) {
        let mut refusal = Events::after(turn.session, Some(&turn.me.id), turn.ctx);
        refusal.record(EventBody::NudgeRefused {});
        return Err(Rejection::new(
            Code::RateLimited,
            format!("your partner was nudged lately; the next nudge can go out at {next}"),
        )
        .with_retry_after(next.since(turn.ctx.now))
        .with_details(json!({ "nextAllowedAt": next }))
        .with_noted(refusal.list));
    }
    turn.record(EventBody::Nudged {});
    Ok(())
}
