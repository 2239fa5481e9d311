//! The decision that was made for a request with an `Idempotency-Key`, kept for a while: the same request from the
//! same user is answered again and not executed again. It is stored in the same commit as the decision.
//!
//! The row names the events of the decision and not the answer. A repetition is answered from these events and from
//! the present state, for the present viewer, by the same views as every other answer. So it never shows more than a
//! new query, and no row here holds private text.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        Code, Rejection,
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    messages::{CommandReply, IdempotencyKey, Refusal},
    ports::{Change, Store, StoreError},
    rows::{
        keys::{self, Key},
        pages::pages,
        records,
    },
};

/// What is stored under a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// When the answer was given.
    pub at: Timestamp,
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// Whether something was created.
    pub created: bool,
    /// The session that decided. Absent in rows of earlier versions, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The first and the last `seq` of the events that a session decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<(Seq, Seq)>,
    /// The answer itself, for requests that no session decides. It must not hold private text.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub data: Bytes,
}

impl StoredAnswer {
    /// The session decided on these events.
    pub fn decided(
        session: &SessionId,
        key: &IdempotencyKey,
        created: bool,
        events: (Seq, Seq),
        at: Timestamp,
    ) -> Self {
        debug_assert!(events.0 <= events.1, "the first event comes before the last");
        let session = Some(session.clone());
        Self { at, request: key.request, created, session, events: Some(events), data: Bytes::new() }
    }

    /// An answer that no session made. It must not hold private text.
    pub fn without_session(key: &IdempotencyKey, reply: &CommandReply, at: Timestamp) -> Self {
        Self { at, request: key.request, created: reply.created, session: None, events: None, data: reply.data.clone() }
    }

    /// The row of the answer.
    pub fn change(&self, user: &UserId, key: &IdempotencyKey) -> Change {
        Change::Put(keys::idempotent_answer(user, &key.digest), records::encode(self))
    }

    /// The row in the index by time, for the same commit.
    pub fn change_by_time(&self, user: &UserId, key: &IdempotencyKey) -> Change {
        Change::Put(keys::answer_by_time(self.at, user, &key.digest), Bytes::new())
    }

    /// Refuses a key that came with another request before.
    pub fn check_request(&self, key: &IdempotencyKey) -> Result<(), Rejection> {
        if self.request == key.request {
            return Ok(());
        }
        let message = "this Idempotency-Key was used for another request; send a fresh key with each new request";
        Err(Rejection::new(Code::Conflict, message))
    }

    /// The stored answer again, if it was given to the same request.
    pub fn replay(self, key: &IdempotencyKey) -> Result<CommandReply, Refusal> {
        self.check_request(key)?;
        Ok(CommandReply { created: self.created, data: self.data, replayed: true })
    }
}

/// The answer stored under the key, unless it was stored longer ago than `kept`.
pub fn find(
    store: &dyn Store,
    user: &UserId,
    key: &IdempotencyKey,
    now: Timestamp,
    kept: Duration,
) -> Result<Option<StoredAnswer>, Refusal> {
    let Some(bytes) = store.get(&keys::idempotent_answer(user, &key.digest))? else { return Ok(None) };
    let answer: StoredAnswer = records::decode(&bytes)?;
    Ok(Some(answer).filter(|answer| now.since(answer.at) < kept))
}

/// Deletes a stored answer.
pub fn deletion(key: Key, row: &[u8]) -> Vec<Change> {
    let by_time = records::decode::<StoredAnswer>(row).map(|answer| keys::by_time(&key, answer.at));
    let mut changes: Vec<Change> = by_time.map(Change::Delete).into_iter().collect();
    changes.push(Change::Delete(key));
    changes
}

/// Deletes the answers of this session to this user.
///
/// # Errors
/// If the store fails.
pub(crate) fn deletions_of(store: &dyn Store, user: &UserId, session: &SessionId) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for page in pages(store, keys::idempotent_answers_of(user)) {
        for (key, row) in page? {
            let answer = records::decode::<StoredAnswer>(&row).ok();
            if answer.is_some_and(|answer| answer.session.as_ref() == Some(session)) {
                changes.extend(deletion(key, &row));
            }
        }
    }
    Ok(changes)
}

/// Keys whose commit is not durable yet, so that the store does not show them.
#[derive(Debug, Default)]
pub struct PendingKeys(HashSet<(UserId, [u8; 32])>);

impl PendingKeys {
    /// Adds a key whose commit has been handed to the journal.
    pub fn insert(&mut self, user: &UserId, key: &IdempotencyKey) {
        self.0.insert((user.clone(), key.digest));
    }

    /// Whether the key was added since the last flush.
    pub fn contains(&self, user: &UserId, key: &IdempotencyKey) -> bool {
        self.0.contains(&(user.clone(), key.digest))
    }

    /// All commits so far are durable.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
