//! Deletes what is kept about the pushes of sessions that were removed. What is under way ends first.

use std::collections::BTreeSet;

use tandem_actors::{
    domain::ids::SessionId,
    journal::CommitError,
    keys::{self, Key},
    ports::{Change, Direction, StoreError},
    records,
};

use super::{
    rows::{self, Delivery, DeliveryState, PushRecord},
    sender::Sender,
};

const PAGE: usize = 500;

impl Sender {
    /// Returns the sessions of which a push is under way. Index rows that name what is gone stay until their time: the
    /// sender passes over them.
    pub(super) async fn forget_sessions(
        &self,
        sessions: BTreeSet<SessionId>,
    ) -> Result<BTreeSet<SessionId>, CommitError> {
        let mut under_way = BTreeSet::new();
        // Jobs first: one that becomes a record meanwhile is found when this is called again.
        let mut changes = self.jobs_of(&sessions)?;
        for session in sessions {
            changes.extend(self.keys_under(&rows::session_paces(&session))?.into_iter().map(Change::Delete));
            if !self.records_of(&session, &mut changes)? {
                under_way.insert(session);
            }
        }
        if !changes.is_empty() {
            self.commit(changes).await?;
        }
        Ok(under_way)
    }

    fn jobs_of(&self, sessions: &BTreeSet<SessionId>) -> Result<Vec<Change>, StoreError> {
        let jobs = self.keys_under(&keys::push_jobs())?;
        let theirs = |key: &Key| keys::session_of_push_job(key).is_some_and(|session| sessions.contains(&session));
        let claimed = self.claimed.lock();
        Ok(jobs.into_iter().filter(|key| theirs(key) && !claimed.contains(key)).map(Change::Delete).collect())
    }

    /// Adds the deletion of records and deliveries. False if some of them are under way.
    fn records_of(&self, session: &SessionId, changes: &mut Vec<Change>) -> Result<bool, StoreError> {
        let mut all_over = true;
        for key in self.keys_under(&rows::records_of(session))? {
            let Some(row) = self.store.get(&key)? else { continue };
            let Ok(PushRecord { id, .. }) = records::decode::<PushRecord>(&row) else {
                changes.push(Change::Delete(key));
                continue;
            };
            let deliveries = self.store.scan(&rows::deliveries(&id), None, Direction::Forward, PAGE)?;
            let is_sent_now = |row: &[u8]| {
                records::decode::<Delivery>(row).is_ok_and(|one| matches!(one.state, DeliveryState::Started))
            };
            if deliveries.iter().any(|(_, row)| is_sent_now(row)) {
                all_over = false;
                continue;
            }
            changes.push(Change::Delete(key));
            changes.extend(deliveries.into_iter().map(|(key, _)| Change::Delete(key)));
        }
        Ok(all_over)
    }

    fn keys_under(&self, prefix: &Key) -> Result<Vec<Key>, StoreError> {
        let mut keys: Vec<Key> = Vec::new();
        loop {
            let page = self.store.scan(prefix, keys.last(), Direction::Forward, PAGE)?;
            if page.is_empty() {
                return Ok(keys);
            }
            keys.extend(page.into_iter().map(|(key, _)| key));
        }
    }
}
