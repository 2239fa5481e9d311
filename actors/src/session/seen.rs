//! What each partner is known to have seen, beyond what they said with `viewed`.

use bytes::Bytes;

use super::{Held, SessionActor};
use crate::{
    domain::{
        ids::{Seq, UserId},
        routing::WhenAbsent,
    },
    messages::ReplyTo,
};

/// The last events that a partner has seen, by how we know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeenEvents {
    /// The partner has asked for it.
    fetched: Seq,
    /// A live connection of the partner has received it.
    delivered: Seq,
}

/// An answer that shows a partner everything up to an event.
pub(super) struct ShownEvents {
    pub viewer: UserId,
    pub seq: Seq,
    pub answer: Bytes,
    pub reply: ReplyTo<Bytes>,
}

impl SessionActor {
    /// Answers once what the answer shows is durable.
    pub(super) fn show_after_flush(&mut self, shown: ShownEvents) {
        if self.gate.is_open() {
            self.show(shown);
        } else {
            self.gate.hold(Held::Shown(shown));
        }
    }

    /// Answers. The events count as seen unless nobody waits for the answer any more.
    pub(super) fn show(&mut self, shown: ShownEvents) {
        let ShownEvents { viewer, seq, answer, reply } = shown;
        if reply.send(Ok(answer)).is_ok() {
            self.saw(&viewer, seq);
        }
    }

    /// The partner has fetched everything up to `seq`.
    pub(super) fn saw(&mut self, user: &UserId, seq: Seq) {
        let seen = self.seen.entry(user.clone()).or_default();
        seen.fetched = seq.max(seen.fetched);
        self.outbox.seen(user, seq);
    }

    /// A live connection of the partner has received what was published, up to `seq`.
    pub(super) fn received(&mut self, user: &UserId, seq: Seq) {
        let seen = self.seen.entry(user.clone()).or_default();
        seen.delivered = seq.max(seen.delivered);
        self.outbox.seen(user, seq);
    }

    pub(super) fn has_seen(&self, user: &UserId, seq: Seq) -> bool {
        self.has_fetched(user, seq) || self.seen.get(user).is_some_and(|seen| seen.delivered >= seq)
    }

    fn has_fetched(&self, user: &UserId, seq: Seq) -> bool {
        let viewed = self.session.as_ref().map_or(0, |session| session.last_seen(user));
        self.seen.get(user).map_or(0, |seen| seen.fetched).max(viewed) >= seq
    }

    /// Whether a push for this event is superfluous. Where absent partners get both a push and a message, the message
    /// alone does not make it so.
    pub(super) fn needs_no_push(&self, user: &UserId, seq: Seq) -> bool {
        match self.deps.delivery.when_absent {
            WhenAbsent::Push => self.has_seen(user, seq),
            WhenAbsent::PushAndPublish => self.has_fetched(user, seq),
        }
    }
}
