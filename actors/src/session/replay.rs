//! Repeated requests: recognised by their `Idempotency-Key`, and answered from the events of the first decision and
//! the present state.

use bytes::Bytes;

use super::{SessionActor, reads::to_json};
use crate::{
    domain::{Code, DomainSettings, Event, Rejection, Session, ids::UserId, time::Timestamp, view},
    messages::{CommandReply, Order, Refusal},
    ports::Key,
    rows::keys,
    stored::{
        idempotency::{self, StoredAnswer},
        nicknames, read_event,
    },
};

/// How a request relates to an earlier one with the same key.
pub(super) enum Admission {
    Fresh(Order),
    /// The same request was decided before.
    Decided(Order, StoredAnswer),
    /// A request with the same key is being written: the store has to show it first.
    Unflushed(Order),
    /// The request was refused, and the refusal is sent.
    Refused,
}

/// The viewer and the time of a repeated answer.
pub(super) struct ReplayContext<'a> {
    pub viewer: UserId,
    pub now: Timestamp,
    pub settings: &'a DomainSettings,
}

impl SessionActor {
    pub(super) fn admit(&mut self, order: Order) -> Admission {
        if let Some(obstacle) = self.deps.journal.obstacle() {
            // It is refused at once, since it has seen nothing of the session.
            drop(order.reply.send(Err(obstacle.into())));
            return Admission::Refused;
        }
        if self.gate.is_flushed() {
            // The store shows their answers. Not only once the gate is open: two repetitions that wait would hold each
            // other up for ever if their answer has expired meanwhile.
            self.pending_keys.clear();
        }
        let Some(key) = order.key else { return Admission::Fresh(order) };
        let user = &order.caller.id;
        let (now, kept) = (self.deps.clock.settled(), self.deps.retention.answers);
        match idempotency::find(&*self.deps.store, user, &key, now, kept) {
            Ok(Some(stored)) => match stored.check_request(&key) {
                Ok(()) => Admission::Decided(order, stored),
                Err(rejection) => {
                    self.refuse(order, rejection.into());
                    Admission::Refused
                }
            },
            Ok(None) if self.pending_keys.contains(user, &key) => Admission::Unflushed(order),
            Ok(None) => Admission::Fresh(order),
            Err(refusal) => {
                self.refuse(order, refusal);
                Admission::Refused
            }
        }
    }

    /// Answers from the events of the first decision, as the present state shows them to the caller.
    pub(super) fn replay(
        &mut self,
        order: Order,
        stored: &StoredAnswer,
        render: impl FnOnce(&Session, &[Event], &ReplayContext<'_>) -> Result<view::Answer, Rejection>,
    ) {
        let answer = self.render_replay(&order, stored, render);
        let reply = answer.map(|data| CommandReply { created: stored.created, data, replayed: true });
        self.after_flush(move || drop(order.reply.send(reply)));
    }

    fn render_replay(
        &self,
        order: &Order,
        stored: &StoredAnswer,
        render: impl FnOnce(&Session, &[Event], &ReplayContext<'_>) -> Result<view::Answer, Rejection>,
    ) -> Result<Bytes, Refusal> {
        let session = self.session.as_ref().ok_or_else(Rejection::no_such_session)?;
        let Some((first, last)) = stored.events else {
            let message =
                "this Idempotency-Key was answered by an earlier version; look at the session for what it did";
            return Err(Rejection::new(Code::Conflict, message).into());
        };
        let keys: Vec<Key> = (first..=last).map(|seq| keys::event(session.id(), seq)).collect();
        let rows = self.deps.store.get_all(&keys)?;
        let events = rows.iter().flatten().map(|row| read_event(row)).collect::<Result<Vec<_>, _>>()?;
        let context = ReplayContext { viewer: order.caller.id.clone(), now: self.now(), settings: &self.deps.domain };
        let mut answer = render(session, &events, &context)?;
        nicknames::put_into(&mut answer, &*self.deps.store, &context.viewer)?;
        to_json(&answer)
    }
}
