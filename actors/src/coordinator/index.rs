//! Builds the index rows (places in lists, unread marks, announced events) of a store that an earlier version wrote
//! without them. This happens once, before the node serves. From then on each commit updates them.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Coordinator;
use crate::{
    domain::ids::SessionId,
    journal::CommitError,
    ports::{Change, StoreError},
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
        let marker = keys::meta("index");
        if self.store().get(&marker)?.as_deref() == Some(&[VERSION]) {
            return Ok(0);
        }
        for prefix in keys::all_index_rows() {
            self.delete_all(prefix).await?;
        }
        let sessions = self.all_sessions()?;
        if !sessions.is_empty() {
            tracing::info!(
                sessions = sessions.len(),
                "building the index of sessions, which this store does not have yet"
            );
        }
        for session in &sessions {
            if let Err(error) = self.index_session(session).await {
                match error {
                    CommitError::Store(error) => tracing::error!(%session, %error, "session cannot be indexed"),
                    error @ (CommitError::Refused | CommitError::Fenced) => return Err(error),
                }
            }
        }
        self.deps.journal.write(vec![Change::Put(marker, Bytes::from_static(&[VERSION]))]).await?;
        Ok(sessions.len())
    }

    fn all_sessions(&self) -> Result<BTreeSet<SessionId>, StoreError> {
        let mut sessions = BTreeSet::new();
        for page in pages(self.store(), keys::all_memberships()) {
            sessions.extend(page?.iter().filter_map(|(key, _)| keys::session_of_any_membership(key)));
        }
        Ok(sessions)
    }

    async fn index_session(&self, session: &SessionId) -> Result<(), CommitError> {
        if let Some(state) = stored::read(self.store(), session)?.session {
            self.deps.journal.write(index_rows(&state)).await?;
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
