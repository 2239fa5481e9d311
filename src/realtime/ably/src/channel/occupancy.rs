//! How many connections use a channel, and how.

use super::Channel;
use crate::protocol::Modes;

/// Numbers for `GET /channels/{channel}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    pub connections: usize,
    pub publishers: usize,
    pub subscribers: usize,
    pub presence_connections: usize,
    pub presence_members: usize,
    pub presence_subscribers: usize,
}

impl Channel {
    pub fn occupancy(&self) -> Occupancy {
        let inner = self.inner.lock();
        let with = |mode| inner.subscribers.iter().filter(|subscriber| subscriber.modes.has(mode)).count();
        let mut present: Vec<&str> = inner.members.iter().map(|member| &*member.connection_id).collect();
        present.dedup();
        Occupancy {
            connections: inner.subscribers.len(),
            publishers: with(Modes::PUBLISH),
            subscribers: with(Modes::SUBSCRIBE),
            presence_connections: present.len(),
            presence_members: inner.members.len(),
            presence_subscribers: with(Modes::PRESENCE_SUBSCRIBE),
        }
    }
}
