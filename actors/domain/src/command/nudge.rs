//! A nudge: the caller reminds the partner. The text is fixed, and the settings limit how often.

use serde_json::json;

use super::action::{MemberAction, NewEvents};
use crate::{
    event::EventBody,
    rejection::{Code, Rejection},
};

/// A nudge that comes too early is refused. The refusal is recorded as an event.
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
            format!("your partner was nudged a short while ago; the next nudge can be sent at {next}"),
        )
        .with_retry_after(next.since(action.ctx.now))
        .with_details(json!({ "nextAllowedAt": next }))
        .with_events(refusal.list));
    }
    action.record(EventBody::Nudged {});
    Ok(())
}
