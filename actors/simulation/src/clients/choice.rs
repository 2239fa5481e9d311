//! Chooses the next action of a client.

use tandem_actors::domain::ids::SessionId;

use super::{Call, Client, Request, key_of};
use crate::{actions::Action, oracle::Status};

impl Client {
    /// A session of this user.
    pub(super) fn some_session(&self, call: &Call) -> Option<SessionId> {
        let user = self.user.as_str();
        let oracle = call.world.oracle.lock();
        let mine: Vec<_> = oracle
            .sessions()
            .filter(|(_, model)| model.members.iter().any(|member| member.user == user && !member.left))
            .map(|(id, _)| id.clone())
            .collect();
        drop(oracle);
        self.with(|memory| memory.chance.pick(&mine).and_then(|id| id.parse().ok()))
    }

    /// An invitation that this user may accept.
    fn some_invitation(&self, call: &Call) -> Option<SessionId> {
        let oracle = call.world.oracle.lock();
        let open = oracle.sessions().filter(|(_, model)| {
            model.status == Status::Invited && model.members.iter().all(|member| member.user != self.user.as_str())
        });
        let open: Vec<_> = open.map(|(id, _)| id.clone()).collect();
        drop(oracle);
        self.with(|memory| memory.chance.pick(&open).and_then(|id| id.parse().ok()))
    }

    pub(super) fn choose(&self, call: &Call) -> Option<Request> {
        let number = call.world.number();
        let user = self.user.as_str();
        let fresh = self.with(|memory| memory.chance.below(100));
        let live = {
            let oracle = call.world.oracle.lock();
            oracle.sessions().filter(|(_, model)| model.status.is_live()).count()
        };
        let (action, session) = match fresh {
            _ if live < 3 => (Action::Create, None),
            0..=1 if live < 10 => (Action::Create, None),
            2..=9 => {
                let declines = self.with(|memory| memory.chance.mille(80));
                (if declines { Action::Decline } else { Action::Accept }, Some(self.some_invitation(call)?))
            }
            _ => {
                let session = self.some_session(call)?;
                let oracle = call.world.oracle.lock();
                let model = oracle.model(session.as_str())?;
                let side = model.side(user)?;
                (self.with(|memory| Action::next(model, side, &mut memory.chance)), Some(session))
            }
        };
        let body = {
            let oracle = call.world.oracle.lock();
            let model = session.as_ref().and_then(|session| oracle.model(session.as_str()));
            let seen = model.and_then(|model| Some((model, model.side(user)?)));
            self.with(|memory| action.body(user, number, seen, &mut memory.chance))
        };
        let has_key = !self.is_clumsy || self.with(|memory| memory.chance.mille(800));
        let key = has_key.then(|| key_of(number, 0));
        call.world.oracle.lock().begin(number, action.name(), user, has_key, action.has_marker());
        Some(Request { number, action, session, body, key })
    }
}
