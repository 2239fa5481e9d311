//! A member's action: who acts on which session, and the events that the command has recorded so far.

use std::time::Duration;

use crate::{
    context::{Caller, Context},
    event::{Event, EventBody},
    ids::UserId,
    member::Member,
    rejection::{Code, Rejection},
    session::Session,
    side::Side,
    stage::{SessionStatus, Stage},
    time::Timestamp,
};
use serde_json::json;

pub(crate) struct MemberAction<'a> {
    pub(super) session: &'a Session,
    pub(super) ctx: &'a Context<'a>,
    pub(super) side: Side,
    pub(super) me: &'a Member,
    events: NewEvents,
}

impl<'a> MemberAction<'a> {
    pub(crate) fn of_member(session: &'a Session, caller: &Caller, ctx: &'a Context<'_>) -> Result<Self, Rejection> {
        let side = session.side(&caller.id).ok_or_else(Rejection::no_such_session)?;
        let me = session.member(side).ok_or_else(Rejection::no_such_session)?;
        Ok(Self { session, ctx, side, me, events: NewEvents::after(session, Some(&caller.id), ctx) })
    }

    pub(crate) fn record(&mut self, body: EventBody) {
        self.events.record(body);
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events.list
    }

    /// The state after what has been recorded so far.
    pub(crate) fn after(&self) -> Session {
        self.session.with_events(&self.events.list)
    }

    pub(crate) fn partner(&self) -> Option<&'a Member> {
        self.session.member(self.side.other())
    }

    pub(crate) fn must_be_active(&self) -> Result<(), Rejection> {
        let status = self.session.status;
        if status == SessionStatus::Active { Ok(()) } else { Err(not_active(status)) }
    }

    pub(crate) fn partner_shares_empathy(&self) -> bool {
        self.partner().is_some_and(|partner| partner.empathy.shared().is_some())
    }

    /// Checks that the session is active and that the caller is in this stage.
    pub(crate) fn must_be_in(&self, required: Stage) -> Result<(), Rejection> {
        if !self.works_ahead_in(required) {
            self.must_be_active()?;
        }
        let current = self.me.stage();
        if current == required { Ok(()) } else { Err(wrong_stage(current, required)) }
    }

    /// A creator in app mode may begin before the partner has joined.
    fn works_ahead_in(&self, required: Stage) -> bool {
        self.session.status == SessionStatus::Invited
            && self.me.in_app_mode()
            && matches!(required, Stage::Witness | Stage::PerspectiveStretch)
    }

    /// The member's own gates are satisfied. Records this the first time.
    pub(crate) fn complete_stage(&mut self, stage: Stage) {
        if self.me.record(stage).is_some_and(|record| record.satisfied_at.is_none()) {
            self.record(EventBody::StageCompleted { stage, moves_to: None });
        }
    }
}

pub(super) fn not_active(status: SessionStatus) -> Rejection {
    let message = match status {
        SessionStatus::Created | SessionStatus::Invited => {
            "the session becomes active when the partner accepts the invitation"
        }
        SessionStatus::Paused => "the session is paused; resume it first",
        SessionStatus::Active
        | SessionStatus::Waiting
        | SessionStatus::Resolved
        | SessionStatus::Abandoned
        | SessionStatus::Archived => "the session is over and can only be viewed",
    };
    Rejection::new(Code::SessionNotActive, message).with_details(json!({ "status": status }))
}

pub(super) fn wrong_stage(current: Stage, required: Stage) -> Rejection {
    let message = if current < required {
        format!("this belongs to stage {required}; you are in stage {current} and have to advance first")
    } else {
        format!("this belongs to stage {required}, which you have left for stage {current}")
    };
    Rejection::new(Code::InvalidStage, message)
        .with_details(json!({ "currentStage": current, "requiredStage": required }))
}

/// A stored time that lies further ahead than this comes from a wrong clock.
const WRONG_BY: Duration = Duration::from_secs(24 * 3_600);

/// The events of a command. Their times do not go back when the clock does, unless the clock was wrong by days.
pub(crate) struct NewEvents {
    next: u64,
    at: Timestamp,
    by: Option<UserId>,
    pub(super) list: Vec<Event>,
}

impl NewEvents {
    pub(crate) fn first(by: &UserId, at: Timestamp) -> Self {
        Self { next: 1, at, by: Some(by.clone()), list: Vec::with_capacity(2) }
    }

    pub(crate) fn after(session: &Session, by: Option<&UserId>, ctx: &Context<'_>) -> Self {
        let last = Some(session.last_event_at).filter(|last| ctx.is_credible(*last, WRONG_BY));
        Self {
            next: session.seq + 1,
            at: last.map_or(ctx.now, |last| ctx.now.max(last)),
            by: by.cloned(),
            list: Vec::new(),
        }
    }

    pub(crate) fn record(&mut self, body: EventBody) {
        self.list.push(self.event(body));
        self.next += 1;
    }

    /// The event that follows, which is not recorded.
    pub(super) fn event(&self, body: EventBody) -> Event {
        Event { seq: self.next, at: self.at, by: self.by.clone(), body }
    }
}
