//! What the oracle compares with the node: its rows, the pushes that were decided on, and what is left to deliver.

use bytes::Bytes;
use tandem::push::{ExplainedPush, explain};
use tandem_actors::{
    keys::Key,
    ports::{Direction, StoreError},
};

use super::Node;
use crate::world::World;

/// A push that was decided on.
struct DecidedPush {
    session: String,
    seq: u64,
    user: String,
    /// What became of it, as an operator is told.
    known: Option<ExplainedPush>,
}

impl Node {
    /// Compares the stored rows with the acknowledged ones.
    pub fn check_recovered(&self, world: &World) {
        let checked = match self.rows_of_kind(b'e') {
            Ok(rows) => world.oracle.lock().recovered(&rows, world.truth()),
            Err(error) => Err(error.to_string()),
        };
        world.check(checked);
    }

    /// Pushes that were decided on and are not finished.
    pub fn pushes_under_way(&self, world: &World) -> Vec<String> {
        let pushes = self.decided_pushes(world);
        let open = pushes.iter().filter(|push| !push.known.as_ref().is_some_and(ExplainedPush::is_over));
        open.map(|DecidedPush { session, seq, user, known }| format!("{session}:{seq} to {user}: {known:?}")).collect()
    }

    /// Checks that each event was published whose push ended because the user was present again.
    pub fn check_published_instead(&self, world: &World) {
        for DecidedPush { session, seq, user, known } in self.decided_pushes(world) {
            let is_instead = known.is_some_and(|known| format!("{known:?}").contains("present again"));
            if is_instead && !world.oracle.lock().was_published(&session, seq) {
                world.fail(format!("{session}: {user} gets no push of event {seq}, and it was not published instead"));
            }
        }
    }

    fn decided_pushes(&self, world: &World) -> Vec<DecidedPush> {
        let decided = world.oracle.lock().decided_pushes();
        let of_session = |(session, pushes): (String, Vec<(u64, String)>)| {
            let told = session.parse().ok().and_then(|id| explain(&*self.port, &id, None).ok()).unwrap_or_default();
            let each = pushes.into_iter().map(move |(seq, user)| {
                let known = told.iter().find(|one| one.seq == seq && one.user.as_str() == user).cloned();
                DecidedPush { session: session.clone(), seq, user, known }
            });
            each.collect::<Vec<_>>()
        };
        decided.into_iter().flat_map(of_session).collect()
    }

    /// The sessions that have something left to deliver.
    pub fn outboxes(&self) -> Result<Vec<String>, StoreError> {
        let told = |(key, row): &(Key, Bytes)| {
            let session = String::from_utf8_lossy(&key.as_bytes()[1..]).into_owned();
            let row = rmp_serde::from_slice::<serde_json::Value>(row).unwrap_or_default();
            format!("{session}: {row}")
        };
        Ok(self.rows_of_kind(b'o')?.iter().map(told).collect())
    }

    fn rows_of_kind(&self, kind: u8) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.port.scan(&Key::from_bytes([kind]), None, Direction::Forward, usize::MAX)
    }
}
