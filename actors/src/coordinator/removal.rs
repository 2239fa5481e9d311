//! Removes sessions that have been over for longer than `retention.ended`. Rows sorted by time say which they are, so
//! that the cost depends on what is removed. The session's actor deletes its rows in one commit. What the push sender
//! and the realtime provider keep about the session goes afterwards; a row says so until it is done.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::Coordinator;
use crate::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    journal::CommitError,
    messages::{Removal, SessionMessage},
    ports::{Change, Direction, StoreError},
    rows::{
        keys::{self, Key},
        pages::{PAGE, pages},
        records::{self, Membership},
    },
    stored,
};

const TICK: Duration = Duration::from_secs(1);
/// The pause between two turns leaves the journal to commands.
const PAUSE: Duration = Duration::from_millis(20);
/// How many sessions are removed at the same time: they share flushes.
const AT_ONCE: usize = 8;
/// What failed, as for a session in quarantine, is tried again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The meta row of [`Coordinator::index_ended`].
const INDEX: &str = "over";
/// In that row: everything has its row.
const INDEXED: &[u8] = &[1];

/// What the removals know between two turns.
#[derive(Default)]
struct Removals {
    /// When sessions were tried that did not answer.
    tried: HashMap<SessionId, Instant>,
    /// Sessions that other rooms were told to forget once. They are told a second time, for what was on its way.
    told: HashSet<SessionId>,
}

impl Coordinator {
    /// Runs until the process ends.
    pub(super) async fn run_removals(&self) {
        tokio::join!(self.run_index_of_ended(), self.remove_from_time_to_time());
    }

    async fn remove_from_time_to_time(&self) {
        let mut removals = Removals::default();
        loop {
            let mut pause = TICK;
            if let Err(error) = self.remove_what_is_due(&mut removals).await {
                tracing::warn!(%error, "sessions that are over for long cannot be removed now");
                pause = AGAIN_AFTER;
            }
            if let Err(error) = self.forget_removed(&mut removals).await {
                tracing::warn!(%error, "what is left of removed sessions cannot be deleted now");
                pause = AGAIN_AFTER;
            }
            sleep(pause).await;
        }
    }

    async fn remove_what_is_due(&self, removals: &mut Removals) -> Result<(), StoreError> {
        let Some(ended) = self.deps.retention.ended else { return Ok(()) };
        // A removal is for good, so it goes by the settled time: a jump of the clock removes nothing.
        let now = self.deps.clock.settled().as_millis();
        let ended = i64::try_from(ended.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(now.saturating_sub(ended));
        removals.tried.retain(|_, at| at.elapsed() < AGAIN_AFTER);
        for page in pages(self.store(), keys::all_over()) {
            let page = page?;
            let due = page.iter().map_while(|(key, _)| keys::parse_over(key).filter(|(since, _)| *since <= before));
            let due: Vec<_> = due.collect();
            let has_more = due.len() == PAGE;
            let wanted: Vec<_> = due.into_iter().filter(|(_, id)| !removals.tried.contains_key(id)).collect();
            for turn in wanted.chunks(AT_ONCE) {
                self.remove_some(turn, before, removals).await;
                sleep(PAUSE).await;
            }
            if !has_more {
                break;
            }
        }
        Ok(())
    }

    async fn remove_some(&self, due: &[(Timestamp, SessionId)], before: Timestamp, removals: &mut Removals) {
        let asked = due.iter().map(async |(known, id)| {
            let known = *known;
            (id, self.ask(id, |reply| SessionMessage::Remove { known, before, reply }).await)
        });
        for (id, outcome) in join_all(asked).await {
            match outcome {
                // What is still delivered takes a moment.
                Ok(Removal::Removed | Removal::Corrected | Removal::NotYet) => {}
                Err(refusal) => {
                    tracing::debug!(session = %id, %refusal, "session cannot be removed now");
                    removals.tried.insert(id.clone(), Instant::now());
                }
            }
        }
    }

    /// Has other rooms forget what they keep about removed sessions. With that, the removal is complete.
    async fn forget_removed(&self, removals: &mut Removals) -> Result<(), CommitError> {
        let mut complete = 0;
        for page in pages(self.store(), keys::all_removed()) {
            let page = page?;
            let ids: BTreeSet<SessionId> = page.iter().filter_map(|(key, _)| keys::session_of_removed(key)).collect();
            let mut kept = match self.deps.push.get() {
                Some(push) => push.forget(ids.clone()).await?,
                None => BTreeSet::new(),
            };
            for (key, row) in &page {
                let Some(id) = keys::session_of_removed(key) else { continue };
                let participants: Vec<UserId> = records::decode(row).unwrap_or_default();
                if let Err(error) = self.deps.realtime.forget(&id, participants).await {
                    tracing::debug!(session = %id, %error, "the history of a removed session is still there");
                    kept.insert(id);
                }
            }
            let (again, done): (Vec<_>, Vec<_>) =
                ids.into_iter().filter(|id| !kept.contains(id)).partition(|id| !removals.told.contains(id));
            removals.told.extend(again);
            if !done.is_empty() {
                self.deps.journal.write(done.iter().map(|id| Change::Delete(keys::removed(id))).collect()).await?;
                removals.told.retain(|id| !done.contains(id));
                complete += done.len();
            }
        }
        if complete > 0 {
            metrics::counter!("tandem_sessions_removed_total").increment(complete as u64);
            tracing::info!(sessions = complete, "removed sessions that were over for longer than retention.ended");
        }
        Ok(())
    }

    async fn run_index_of_ended(&self) {
        while let Err(error) = self.index_ended().await {
            tracing::warn!(%error, "sessions of earlier versions that are over cannot be indexed now");
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Writes the rows of sessions that an earlier version ended. It goes through the memberships, a page at a time,
    /// and goes on after a restart where it was.
    pub(crate) async fn index_ended(&self) -> Result<(), CommitError> {
        let meta = keys::meta(INDEX);
        let noted = self.store().get(&meta)?;
        if noted.as_deref() == Some(INDEXED) {
            return Ok(());
        }
        let mut after = noted.map(|key| Key::from_bytes(&key));
        loop {
            let all = keys::all_memberships();
            let page = self.store().scan(&all, after.as_ref(), Direction::Forward, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            let is_over =
                |row: &[u8]| records::decode::<Membership>(row).is_ok_and(|membership| !membership.status.is_live());
            let over = page.iter().filter(|(_, row)| is_over(row));
            let sessions: BTreeSet<_> = over.filter_map(|(key, _)| Some(keys::parse_membership(key)?.1)).collect();
            let mut changes = vec![Change::Put(meta.clone(), Bytes::copy_from_slice(last.as_bytes()))];
            for id in sessions {
                let since = stored::read(self.store(), &id)?.session.and_then(|session| session.over_since());
                changes.extend(since.map(|since| Change::Put(keys::over(since, &id), Bytes::new())));
            }
            after = Some(last.clone());
            self.deps.journal.write(changes).await?;
            sleep(PAUSE).await;
        }
        self.deps.journal.write(vec![Change::Put(meta, Bytes::from_static(INDEXED))]).await
    }
}
