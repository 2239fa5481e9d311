//! Builds the index rows (invitations, memberships, places in lists, unread marks, announced events, timers, ends) from
//! the sessions' logs: in a store that an earlier version wrote without them, and after a repair that has lost rows.
//! This happens before the node serves. From then on each commit updates them.

use bytes::Bytes;

use super::Coordinator;
use crate::{
    domain::{Session, ids::SessionId},
    journal::CommitError,
    ports::{Change, Direction, StoreError, StoreFault},
    rows::{
        keys::{self, Key},
        pages::pages,
    },
    session::rows::index_rows,
    stored,
};

/// The version of the index rows. Raise it when their meaning changes: the next start then rebuilds them.
const VERSION: u8 = 1;

impl Coordinator {
    /// Builds the index rows unless they exist. Returns how many sessions were indexed.
    ///
    /// # Errors
    /// If the store fails. A session that cannot be read is skipped, and named in the log.
    pub async fn index_sessions(&self) -> Result<usize, CommitError> {
        let marker = keys::index_marker();
        if self.store().get(&marker)?.as_deref() == Some(&[VERSION]) {
            return Ok(0);
        }
        for prefix in keys::all_index_rows() {
            self.delete_all(prefix).await?;
        }
        self.delete_outdated_memberships().await?;
        let mut sessions = 0;
        let mut after = None;
        while let Some(session) = self.next_with_events(&mut after)? {
            if sessions == 0 {
                tracing::info!("building the index of sessions, which this store does not have or has lost in part");
            }
            self.index_or_report(&session).await?;
            sessions += 1;
        }
        for page in pages(self.store(), keys::all_snapshots()) {
            for session in page?.iter().filter_map(|(key, _)| keys::session_of_log(key)) {
                if self.store().scan(&keys::events(&session), None, Direction::Forward, 1)?.is_empty() {
                    self.index_or_report(&session).await?;
                    sessions += 1;
                }
            }
        }
        self.deps.journal.write(vec![Change::Put(marker, Bytes::from_static(&[VERSION]))]).await?;
        Ok(sessions)
    }

    /// The first session with an event after this place, which moves behind the session's events.
    fn next_with_events(&self, after: &mut Option<Key>) -> Result<Option<SessionId>, StoreError> {
        while let Some((key, _)) = self.store().scan(&keys::all_events(), after.as_ref(), Direction::Forward, 1)?.pop()
        {
            let session = keys::session_of_log(&key);
            *after = Some(session.as_ref().map_or(key, keys::end_of_events));
            if session.is_some() {
                return Ok(session);
            }
        }
        Ok(None)
    }

    /// A session that has fallen back may have lost that somebody joined, whose membership still opens its channel.
    /// Of a damaged session only a part is known, so its memberships stay.
    async fn delete_outdated_memberships(&self) -> Result<(), CommitError> {
        for page in pages(self.store(), keys::all_memberships()) {
            let mut outdated = Vec::new();
            for (key, _) in page? {
                let Some((user, session)) = keys::parse_membership(&key) else { continue };
                let stored = stored::read(self.store(), &session)?;
                let is_without = |state: Session| state.participants().all(|participant| *participant != user);
                if stored.damage.is_none() && stored.session.is_some_and(is_without) {
                    outdated.push(Change::Delete(key));
                }
            }
            if !outdated.is_empty() {
                self.deps.journal.write(outdated).await?;
            }
        }
        Ok(())
    }

    async fn index_or_report(&self, session: &SessionId) -> Result<(), CommitError> {
        match self.index_session(session).await {
            Err(CommitError::Store(error)) if error.fault() == StoreFault::Damaged => {
                tracing::error!(%session, %error, "session cannot be indexed");
                Ok(())
            }
            // The marker must not be written if the store has failed.
            done => done,
        }
    }

    async fn index_session(&self, session: &SessionId) -> Result<(), CommitError> {
        let stored = stored::read(self.store(), session)?;
        if let Some(state) = stored.session {
            let mut rows = index_rows(&state, &self.deps.domain);
            let waiting = stored::account_work(self.store(), session)?;
            // A waiting erasure hides the session from its user already.
            let hidden = waiting.into_iter().filter(|(_, work)| work.erase);
            let mut unchanged: Vec<Key> = hidden.map(|(user, _)| keys::membership(&user, session)).collect();
            if stored.damage.is_some() {
                // A membership may say more than what is known before the damage.
                for key in state.participants().map(|user| keys::membership(user, session)) {
                    unchanged.extend(self.store().get(&key)?.map(|_| key));
                }
            }
            rows.retain(|row| !matches!(row, Change::Put(key, _) if unchanged.contains(key)));
            self.deps.journal.write(rows).await?;
        }
        for page in pages(self.store(), keys::events(session)) {
            let page = page?;
            let announced =
                page.iter().filter_map(|(_, row)| stored::read_event(row).ok()).filter(|e| e.is_announced());
            let rows: Vec<_> =
                announced.map(|event| Change::Put(keys::visible_event(session, event.seq), Bytes::new())).collect();
            if !rows.is_empty() {
                self.deps.journal.write(rows).await?;
            }
        }
        Ok(())
    }

    async fn delete_all(&self, prefix: Key) -> Result<(), CommitError> {
        for page in pages(self.store(), prefix) {
            self.deps.journal.write(page?.into_iter().map(|(key, _)| Change::Delete(key)).collect()).await?;
        }
        Ok(())
    }
}
