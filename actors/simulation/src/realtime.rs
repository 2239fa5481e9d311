//! The realtime provider: the embedded endpoint, which has the presence sets in memory, or a cloud, which is queried
//! and reports late. It fails, is slow, reports an error for messages that it has published, and sometimes never
//! answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    ports::{
        BoxFuture, Channel, PresenceChange, PresenceMember, PresenceSink, PresenceSource, Publication, Realtime,
        RealtimeError,
    },
};
use tokio::time::sleep;

use crate::{
    plan::{Chance, Fault, Plan},
    world::World,
};

/// A connection: the session, the user, and its name.
type Connection = (String, String, String);

struct State {
    chance: Chance,
    present: BTreeSet<Connection>,
    /// The ids of published messages by session. A message with a known id is not delivered again.
    published: BTreeMap<String, BTreeSet<String>>,
}

pub struct Provider {
    state: Mutex<State>,
    fails: bool,
    /// A cloud answers late, and reports presence late and out of order.
    pub is_cloud: bool,
}

impl Provider {
    pub fn new(plan: &Plan) -> Self {
        let state = State { chance: plan.chance("provider", 0), present: BTreeSet::new(), published: BTreeMap::new() };
        Self {
            state: Mutex::new(state),
            fails: plan.has(Fault::Provider),
            is_cloud: plan.chance("provider", 1).mille(400),
        }
    }

    pub fn is_present(&self, session: &str, user: &str) -> bool {
        let state = self.state.lock();
        state.present.iter().any(|(at, who, _)| at == session && who == user)
    }

    fn members(&self, session: &str) -> Vec<PresenceMember> {
        let state = self.state.lock();
        let here = state.present.iter().filter(|(at, ..)| at == session);
        here.filter_map(|(_, user, connection)| {
            let (user, connection) = (user.parse().ok()?, connection.clone());
            Some(PresenceMember { user, connection, at: Timestamp::from_millis(0) })
        })
        .collect()
    }

    /// A connection enters or leaves. Returns whether anything has changed.
    pub fn set(&self, connection: Connection, present: bool) -> bool {
        let mut state = self.state.lock();
        if present { state.present.insert(connection) } else { state.present.remove(&connection) }
    }
}

/// The provider as one run of the node sees it.
pub struct RealtimePort {
    pub world: Arc<World>,
    pub sink: Mutex<Option<Weak<dyn PresenceSink>>>,
}

enum Behaviour {
    Good,
    /// Nothing is published, and the answer is an error.
    Unavailable,
    /// Some messages are published, and the answer is an error.
    FailsAfterwards,
    Refuses,
}

impl RealtimePort {
    fn behaviour(&self) -> (Behaviour, Duration) {
        let provider = &self.world.provider;
        let mut state = provider.state.lock();
        let chance = &mut state.chance;
        let usual = if provider.is_cloud { 40 } else { 0 };
        if !provider.fails || self.world.is_free_of_faults() {
            return (Behaviour::Good, Duration::from_millis(usual));
        }
        let late = chance.pause(usual, 4_000);
        match chance.below(100) {
            0..=5 => (Behaviour::Unavailable, late),
            6..=9 => (Behaviour::FailsAfterwards, late),
            10 if chance.mille(100) => (Behaviour::Refuses, late),
            _ => (Behaviour::Good, late),
        }
    }

    /// Reports that a connection has entered or left. The embedded endpoint reports at once, a cloud later.
    pub fn report(self: &Arc<Self>, session: &SessionId, user: &UserId, connection: &str, present: bool) {
        let vanished = !present && self.world.provider.state.lock().chance.mille(300);
        let source = if self.world.provider.is_cloud { PresenceSource::Webhook } else { PresenceSource::Embedded };
        let at = Timestamp::from_millis(self.world.truth());
        let (user, connection) = (user.clone(), connection.to_owned());
        let change = PresenceChange { user, connection, present, vanished, at, source };
        self.world.note(|| format!("presence {session} {} {present}", change.user), &[]);
        if !self.world.provider.is_cloud {
            return self.tell(session, change);
        }
        let late = self.world.provider.state.lock().chance.pause(80, 3_000);
        let (port, session) = (self.clone(), session.clone());
        actix::spawn(async move {
            sleep(late).await;
            port.tell(&session, change);
        });
    }

    fn tell(&self, session: &SessionId, change: PresenceChange) {
        let sink = self.sink.lock().as_ref().and_then(Weak::upgrade);
        if let Some(sink) = sink {
            sink.presence(session, change);
        }
    }

    /// Live connections answer pings, so the node learns that everything written before has arrived.
    fn delivered(&self, session: &SessionId, seq: u64) {
        if self.world.provider.is_cloud {
            return;
        }
        let sink = self.sink.lock().as_ref().and_then(Weak::upgrade);
        let Some(sink) = sink else { return };
        for user in &self.world.users {
            let here = self.world.provider.is_present(session.as_str(), user);
            if here
                && self.world.provider.state.lock().chance.mille(400)
                && let Ok(user) = user.parse()
            {
                self.world.oracle.lock().seen(session.as_str(), &user, seq);
                sink.delivered(session, &user, seq);
            }
        }
    }

    fn present_users(&self, session: &SessionId) -> Vec<String> {
        let (provider, users) = (&self.world.provider, self.world.users.iter());
        users.filter(|user| provider.is_present(session.as_str(), user)).cloned().collect()
    }

    fn refuse_one(&self, publication: &Publication) {
        let Channel::Session(session) = &publication.channel else { return };
        self.world.note(|| format!("refused {}", publication.id), &[]);
        let (present, truth) = (self.present_users(session), self.world.truth());
        self.world.oracle.lock().refused(session.as_str(), &publication.id, &present, truth);
    }

    fn publish_one(&self, publication: &Publication) {
        let Channel::Session(session) = &publication.channel else { return };
        let fresh = {
            let mut state = self.world.provider.state.lock();
            state.published.entry(session.to_string()).or_default().insert(publication.id.clone())
        };
        self.world
            .note(|| format!("published {} {} fresh {fresh}", publication.id, publication.name), &publication.data);
        let truth = self.world.truth();
        let present = self.present_users(session);
        let checked = self.world.oracle.lock().published(
            session.as_str(),
            &publication.id,
            publication.name,
            &publication.data,
            fresh,
            &present,
            truth,
        );
        self.world.check(checked);
        if let Some(seq) = publication.id.rsplit(':').next().and_then(|seq| seq.parse().ok()) {
            self.delivered(session, seq);
        }
    }
}

fn unavailable() -> RealtimeError {
    RealtimeError::Unavailable { reason: "told to fail".into(), retry_after: None }
}

/// A shared handle to the port, because its futures outlive a call.
#[derive(Clone)]
pub struct RealtimeHandle(pub Arc<RealtimePort>);

impl Realtime for RealtimeHandle {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        let port = self.0.clone();
        let (behaviour, late) = port.behaviour();
        Box::pin(async move {
            if !late.is_zero() {
                sleep(late).await;
            }
            match behaviour {
                Behaviour::Unavailable => Err(unavailable()),
                Behaviour::Refuses => {
                    batch.iter().for_each(|one| port.refuse_one(one));
                    Err(RealtimeError::Refused { reason: "told to refuse".into() })
                }
                Behaviour::FailsAfterwards => {
                    let done = port.world.provider.state.lock().chance.below(batch.len() + 1);
                    batch.iter().take(done).for_each(|one| port.publish_one(one));
                    Err(unavailable())
                }
                Behaviour::Good => {
                    batch.iter().for_each(|one| port.publish_one(one));
                    Ok(())
                }
            }
        })
    }

    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>> {
        let (port, session) = (self.0.clone(), session.clone());
        let (behaviour, late) = port.behaviour();
        Box::pin(async move {
            if !late.is_zero() {
                sleep(late).await;
            }
            match behaviour {
                Behaviour::Good => Ok(port.world.provider.members(session.as_str())),
                Behaviour::Refuses => std::future::pending().await,
                Behaviour::Unavailable | Behaviour::FailsAfterwards => Err(unavailable()),
            }
        })
    }

    fn members_in_memory(&self, session: &SessionId) -> Option<Vec<PresenceMember>> {
        let provider = &self.0.world.provider;
        (!provider.is_cloud).then(|| provider.members(session.as_str()))
    }
}
