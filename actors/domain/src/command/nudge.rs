//! A nudge: a fixed text, seldom.

use serde_json::json;

use super::action::{MemberAction, NewEvents};
use crate::{
    event::EventBody,
    rejection::{Code, Rejection},
};

/// A nudge that comes too early is refused, and the refusal is recorded.
pub(super) fn decide(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    action.must_be_active()?;
    let interval = action.ctx.settings.nudge_min_interval;
    let last = action.me.nudged_at.filter(|at| action.ctx.is_credible(*at, interval));
    let next = last.map(|at| at + interval);
    if let Some(next) = next.filter(|next| action.ctx.now < *next) {
        let mut refusal = NewEvents::after(action.session, Some(&action.me.id), action.ctx);
        refusal.record(EventBody::NudgeRefused {});
        return Err(Rejection::new(
            Code::RateLimited,
            format!("your partner was nudged lately; the next nudge can go out at {next}"),
        )
        .with_retry_after(next.since(action.ctx.now))
        .with_details(json!({ "nextAllowedAt": next }))
        .with_noted(refusal.list));
    }
    action.record(EventBody::Nudged {});
    Ok(())
}
