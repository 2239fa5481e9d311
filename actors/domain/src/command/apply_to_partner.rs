//! What one partner's event changes on the other's side: a verdict, a reveal, and what is void because it was about other words.

use crate::{
    empathy::Verdict,
    event::{Event, EventBody},
    member::Side,
    session::Session,
    stage::Stage,
};

impl Session {
    /// Comes after the author's own side has changed.
    pub(super) fn apply_to_partner(&mut self, event: &Event, side: Side) {
        match &event.body {
            EventBody::EmpathyJudged { validated, feedback, feedback_shared } => {
                if let Some(partner) = self.seat_mut(side.other()) {
                    partner.empathy.verdict = Some(Verdict {
                        validated: *validated,
                        at: event.at,
                        feedback: feedback.clone(),
                        feedback_shared: *feedback_shared,
                        skipped: false,
                    });
                }
            }
            EventBody::EmpathyShared { .. } => self.reveal_attempts(event),
            EventBody::NeedsShared { .. } => {
                let partner = self.seat_mut(side.other());
                if let Some(partner) = partner.filter(|partner| !partner.has_left(Stage::NeedMapping)) {
                    partner.needs.validated_at = None;
                }
            }
            _ => {}
        }
    }

    /// Each text shows from the moment at which both have consented.
    fn reveal_attempts(&mut self, event: &Event) {
        let shares = |side| self.seat(side).is_some_and(|member| member.empathy.shared().is_some());
        if !Side::BOTH.into_iter().all(shares) {
            return;
        }
        for side in Side::BOTH {
            if let Some(attempt) = self.seat_mut(side).and_then(|member| member.empathy.attempt.as_mut()) {
                attempt.revealed_at.get_or_insert(event.at);
            }
        }
    }
}
