//! Erasure of a partner's text in the state. The log is erased by [`crate::event::Event::redacted`].

use crate::{session::Session, side::Side, strategy::Strategy, time::Timestamp};

impl Session {
    pub(super) fn erase_account(&mut self, author: Option<Side>, at: Timestamp) {
        let Some(side) = author else { return };
        self.forget_texts_of(side);
        self.update(author, |me| {
            me.left_at = me.left_at.or(Some(at));
            me.forget_texts();
        });
    }

    /// Removes what one partner wrote, and the names of the partners.
    fn forget_texts_of(&mut self, side: Side) {
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
        self.tending.forget_texts_of(side);
        self.pool.strategies.iter_mut().filter(|strategy| strategy.author == side).for_each(Strategy::forget_texts);
        for agreement in &mut self.agreements {
            agreement.forget_texts_of(side);
        }
        if let Some(verdict) = self.member_mut(side.other()).and_then(|partner| partner.empathy.verdict.as_mut()) {
            verdict.feedback = None;
        }
    }
}
