//! Checks deliveries: each event reaches each partner by one leg, or by a second one with a reason; events are
//! published in order; and each partner gets an event over the channel or by a push.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Decision, Model, Oracle, model::Event};

/// The reason of a second leg.
const LEFT_UNSEEN: &str = "left unseen";

/// An event that was published while a partner was present, and that the partner may not have seen.
#[derive(Clone, Debug)]
struct Watched {
    user: String,
    seq: u64,
    at: i64,
}

/// A push that the node must decide on: a partner has left without having seen the event.
#[derive(Clone, Debug)]
struct Expected {
    user: String,
    seq: u64,
    until: i64,
}

#[derive(Default)]
pub(super) struct Delivery {
    decisions: BTreeMap<(u64, String), Vec<Decision>>,
    /// Events whose route is the channel, and which are not published yet.
    due: BTreeSet<u64>,
    published: BTreeSet<u64>,
    watched: Vec<Watched>,
    expected: Vec<Expected>,
    seen: BTreeMap<String, u64>,
    /// Requests under way that may show a user everything.
    looking: BTreeMap<String, u32>,
    /// Pushes that wait for the sender or for its decision.
    pub(super) pushes: BTreeSet<(u64, String)>,
}

/// The event that a message of this session tells. `None` for other messages.
fn seq_of(message: &str, session: &str) -> Option<u64> {
    message.strip_prefix(session)?.strip_prefix(':')?.parse().ok()
}

impl Delivery {
    /// The provider has had an event. Users who are present may not have seen it yet.
    fn offered(&mut self, seq: u64, present: &[String], now: i64) {
        self.due.remove(&seq);
        self.published.insert(seq);
        for user in present {
            let seen = self.seen.get(user).copied().unwrap_or_default() >= seq;
            let told = self.decisions.get(&(seq, user.clone())).into_iter().flatten();
            let counts = told.last().is_some_and(|decision| decision.reason == "present");
            if counts && !seen && !self.watched.iter().any(|one| one.user == *user && one.seq == seq) {
                self.watched.push(Watched { user: user.clone(), seq, at: now });
            }
        }
    }

    /// Decisions were stored beside an event.
    pub fn decided(&mut self, id: &str, seq: u64, routing: &[Decision]) -> Result<(), String> {
        for decision in routing {
            let all = self.decisions.entry((seq, decision.user.clone())).or_default();
            all.push(decision.clone());
            let firsts = all.iter().filter(|one| one.legs != "resolve" && one.reason != LEFT_UNSEEN).count();
            if firsts > 1 {
                return Err(format!("{id}: event {seq} has a second leg to {} without a reason", decision.user));
            }
            if all.iter().filter(|one| one.reason == LEFT_UNSEEN).count() > 3 {
                return Err(format!("{id}: event {seq} is pushed to {} again and again", decision.user));
            }
            if decision.legs.starts_with("publish") && !self.published.contains(&seq) {
                self.due.insert(seq);
            }
            if decision.legs.ends_with("push") {
                self.pushes.insert((seq, decision.user.clone()));
                self.expected.retain(|one| one.user != decision.user || one.seq > seq);
            }
        }
        Ok(())
    }

    /// Checks that a new event with an audience has a decision for each member.
    pub fn check_first(
        &self,
        id: &str,
        seq: u64,
        event: &Event,
        routing: &[Decision],
        model: &Model,
    ) -> Result<(), String> {
        if routing.is_empty() || event.parts().0 == "tending" {
            return Ok(());
        }
        for member in model.members.iter().filter(|member| !member.left) {
            let is_author = event.by.as_deref() == Some(&member.user);
            if !is_author && !routing.iter().any(|decision| decision.user == member.user) {
                return Err(format!("{id}: nothing was decided on event {seq} for {}", member.user));
            }
        }
        Ok(())
    }

    /// The first event that is not published yet.
    pub fn first_due(&self) -> Option<u64> {
        self.due.first().copied()
    }

    fn saw(&mut self, user: &str, seq: u64) {
        let seen = self.seen.entry(user.to_owned()).or_default();
        *seen = seq.max(*seen);
        self.watched.retain(|one| one.user != user || one.seq > seq);
        self.expected.retain(|one| one.user != user || one.seq > seq);
    }
}

impl Oracle {
    /// A user has seen the events up to `seq`, or the node may assume so.
    pub fn seen(&mut self, session: &str, user: &impl ToString, seq: u64) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.delivery.saw(&user.to_string(), seq);
        }
    }

    /// A request that shows everything is under way, or is over.
    pub fn looks(&mut self, session: &str, user: &str, begins: bool) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        let seq = session.model.seq;
        let looking = session.delivery.looking.entry(user.to_owned()).or_default();
        *looking = if begins { *looking + 1 } else { looking.saturating_sub(1) };
        session.delivery.saw(user, seq);
    }

    /// A push was taken by the service.
    pub fn pushed(&self, id: &str, user: &str, seq: u64, message: &str) -> Result<(), String> {
        if message.contains('~') {
            return Err(format!("{id}: the push of event {seq} tells a partner's words"));
        }
        if self.was_removed(id) {
            // It was on its way.
            return Ok(());
        }
        let decided = self.sessions.get(id).map(|session| &session.delivery.pushes);
        if !decided.is_some_and(|pushes| pushes.contains(&(seq, user.to_owned()))) {
            return Err(format!("{id}: {user} gets a push of event {seq} that nobody has decided on"));
        }
        Ok(())
    }

    /// The pushes of each session that were decided on.
    pub fn decided_pushes(&self) -> Vec<(String, Vec<(u64, String)>)> {
        let each = self.sessions.iter();
        each.map(|(id, session)| (id.clone(), session.delivery.pushes.iter().cloned().collect())).collect()
    }

    /// Whether the provider has had an event.
    pub fn was_published(&self, id: &str, seq: u64) -> bool {
        self.sessions.get(id).is_some_and(|session| session.delivery.published.contains(&seq))
    }

    /// The provider refuses a message permanently. Users who are present have not got it.
    pub fn refused(&mut self, id: &str, message: &str, present: &[String], now: i64) {
        if let (Some(session), Some(seq)) = (self.sessions.get_mut(id), seq_of(message, id)) {
            session.delivery.offered(seq, present, now);
        }
    }

    /// A message was published on the session's channel.
    #[expect(clippy::too_many_arguments, reason = "all there is to know about a message")]
    pub fn published(
        &mut self,
        id: &str,
        message: &str,
        name: &str,
        data: &Bytes,
        fresh: bool,
        present: &[String],
        now: i64,
    ) -> Result<(), String> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Err(format!("{message} was published, and nothing of {id} is durable"));
        };
        let text = String::from_utf8_lossy(data);
        if text.contains('~') && name != "session.paused" {
            return Err(format!("{message} {name} tells a partner's words"));
        }
        let Some(seq) = seq_of(message, id) else { return Ok(()) };
        if seq > session.model.seq {
            return Err(format!("{message} was published before it was durable"));
        }
        let delivery = &mut session.delivery;
        if fresh && delivery.due.first().is_some_and(|first| *first < seq && delivery.due.contains(&seq)) {
            return Err(format!("{message} was published before event {:?}", delivery.due.first()));
        }
        delivery.offered(seq, present, now);
        Ok(())
    }

    /// The last connection of a user has left. A user with a device must get a push for events that were just
    /// published.
    pub fn left(&mut self, id: &str, user: &str, has_device: bool, now: i64) {
        let grace = self.leave_grace;
        let Some(session) = self.sessions.get_mut(id) else { return };
        let is_member = session.model.members.iter().any(|member| member.user == user && !member.left);
        let delivery = &mut session.delivery;
        let (theirs, others): (Vec<_>, Vec<_>) = delivery.watched.drain(..).partition(|one| one.user == user);
        delivery.watched = others;
        let looking = delivery.looking.get(user).is_some_and(|looking| *looking > 0);
        let missed = theirs.iter().filter(|one| now - one.at < grace - 1_000).map(|one| one.seq).max();
        if let Some(seq) = missed.filter(|_| has_device && is_member && !looking) {
            let pushed = delivery.decisions.get(&(seq, user.to_owned())).into_iter().flatten();
            if !pushed.into_iter().any(|decision| decision.legs.ends_with("push")) {
                delivery.expected.push(Expected { user: user.to_owned(), seq, until: now + 30_000 });
            }
        }
    }

    /// A user is present again: due events are published on the channel.
    pub fn came(&mut self, id: &str, user: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.delivery.expected.retain(|one| one.user != user);
        }
    }

    /// The node was killed or disturbed: due pushes may come later.
    pub fn put_off(&mut self, id: Option<&str>, until: i64) {
        for (session, state) in &mut self.sessions {
            if id.is_none_or(|id| id == session) {
                state.delivery.expected.iter_mut().for_each(|one| one.until = one.until.max(until));
            }
        }
    }

    /// Checks that no push is overdue without a decision.
    pub fn check_expected(&self, now: i64) -> Result<(), String> {
        for (id, session) in &self.sessions {
            if let Some(late) = session.delivery.expected.iter().find(|one| one.until < now) {
                return Err(format!("{id}: {} left without seeing event {}, and gets no push", late.user, late.seq));
            }
        }
        Ok(())
    }

    /// The node was restarted: requests under way are gone.
    pub fn restarted(&mut self) {
        self.sessions.values_mut().for_each(|session| session.delivery.looking.clear());
    }

    /// Checks at the end of the world that nothing is left to publish and nothing is undecided.
    pub fn check_rest(&self) -> Result<(), String> {
        for (id, session) in &self.sessions {
            if let Some(seq) = session.delivery.due.first() {
                return Err(format!("{id}: event {seq} was never published"));
            }
            let decisions = &session.delivery.decisions;
            for ((seq, user), decisions) in decisions {
                let is_member = session.model.members.iter().any(|member| member.user == *user && !member.left);
                if is_member && decisions.iter().all(|decision| decision.legs == "resolve") {
                    return Err(format!("{id}: nothing was decided on event {seq} for {user}"));
                }
            }
        }
        Ok(())
    }
}
