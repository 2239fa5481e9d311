//! Presence of a client: it enters and leaves the channels of its sessions.

use tandem_actors::domain::ids::SessionId;

use super::{Call, Client};
use crate::node::has_phone;

impl Client {
    pub(super) fn toggle_presence(&self, call: &Call) {
        let leaves = self.with(|memory| {
            let leaves = memory.chance.mille(500) && !memory.connected.is_empty();
            leaves.then(|| {
                let place = memory.chance.below(memory.connected.len());
                memory.connected.swap_remove(place)
            })
        });
        if let Some(session) = leaves {
            return self.presence(call, &session, false);
        }
        let Some(session) = self.some_session(call) else { return };
        self.with(|memory| {
            if !memory.connected.contains(&session) {
                memory.connected.push(session.clone());
            }
        });
        self.presence(call, &session, true);
    }

    pub(super) fn presence(&self, call: &Call, session: &SessionId, present: bool) {
        let connection = self.connection(session);
        let (id, user, device) = connection.clone();
        if !present {
            self.with(|memory| memory.connected.retain(|other| other != session));
        }
        if !call.world.provider.set(connection, present) {
            return;
        }
        call.node.realtime.report(session, &self.user, &device, present);
        if call.world.provider.is_cloud {
            return;
        }
        let mut oracle = call.world.oracle.lock();
        if present {
            oracle.came(&id, &user);
        } else if !call.world.provider.is_present(&id, &user) {
            oracle.left(&id, &user, has_phone(&user), call.world.truth());
        }
    }
}
