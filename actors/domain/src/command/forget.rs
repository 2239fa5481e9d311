//! Erasure in the state: the counterpart of what redaction does to the log.

use crate::{member::Side, session::Session, strategy::Strategy};

impl Session {
    /// Takes out what one partner wrote, and what the partners are called.
    pub(super) fn forget_words_of(&mut self, side: Side) {
        self.invitation.invite_name = None;
        if side == Side::Creator {
            self.context = None;
            self.invitation.topic = None;
            self.invitation.message = None;
        }
        if let Some(pause) = self.pause.as_mut().filter(|pause| pause.by == side) {
            pause.reason = None;
        }
        if let Some(closure) = self.closure.as_mut().filter(|closure| closure.by == side) {
            closure.summary = None;
        }
        self.tending.forget_words_of(side);
        self.pool.strategies.iter_mut().filter(|strategy| strategy.author == side).for_each(Strategy::forget_words);
        for agreement in &mut self.agreements {
            agreement.forget_words_of(side);
        }
        if let Some(verdict) = self.seat_mut(side.other()).and_then(|partner| partner.empathy.verdict.as_mut()) {
            verdict.feedback = None;
        }
    }
}
