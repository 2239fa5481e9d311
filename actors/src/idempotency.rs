//! Answers kept for a while, so that the same request from the same user, sent again, is answered and not done again. The answer is
//! stored in the same commit as what it answers.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Code, Rejection, ids::UserId, time::Timestamp},
    keys::{self, Key},
    messages::{Refusal, Reply},
    ports::{Change, Store},
    records,
};

/// How long a stored answer is replayed.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A caller's key, as digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// SHA-256 of the key itself.
    pub digest: [u8; 32],
    /// SHA-256 of what was asked: the same key for another request is a mistake.
    pub request: [u8; 32],
}

/// A stored answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredAnswer {
    pub at: Timestamp,
    pub request: [u8; 32],
    pub created: bool,
    pub data: Bytes,
}

impl StoredAnswer {
    pub fn new(key: &IdempotencyKey, reply: &Reply, at: Timestamp) -> Self {
        Self { at, request: key.request, created: reply.created, data: reply.data.clone() }
    }

    pub fn change(&self, user: &UserId, key: &IdempotencyKey) -> Change {
        Change::Put(keys::idempotent_answer(user, &key.digest), records::encode(self))
    }

    /// The row by which it is found when it has been kept long enough. Belongs into the same commit.
    pub fn change_by_time(&self, user: &UserId, key: &IdempotencyKey) -> Change {
        Change::Put(keys::answer_by_time(self.at, user, &key.digest), Bytes::new())
    }

    /// The answer again, if it was given to the same request.
    pub fn replay(self, key: &IdempotencyKey) -> Result<Reply, Refusal> {
        if self.request == key.request {
            Ok(Reply { created: self.created, data: self.data, replayed: true })
        } else {
            let message = "this Idempotency-Key was used for another request; send a fresh key with each new request";
            Err(Rejection::new(Code::Conflict, message).into())
        }
    }
}

/// The answer stored under the key, unless it is too old.
pub fn find(
    store: &dyn Store,
    user: &UserId,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<StoredAnswer>, Refusal> {
    let Some(bytes) = store.get(&keys::idempotent_answer(user, &key.digest))? else { return Ok(None) };
    let answer: StoredAnswer = records::decode(&bytes)?;
    Ok(Some(answer).filter(|answer| now.since(answer.at) < KEPT_FOR))
}

/// Deletes a stored answer.
pub fn deletion(key: Key, row: &[u8]) -> Vec<Change> {
    let by_time = records::decode::<StoredAnswer>(row).map(|answer| keys::by_time(&key, answer.at));
    let mut changes: Vec<Change> = by_time.map(Change::Delete).into_iter().collect();
    changes.push(Change::Delete(key));
    changes
}

/// Answers whose commit is not durable yet: the store does not show them.
#[derive(Debug, Default)]
pub struct PendingAnswers(HashMap<(UserId, [u8; 32]), StoredAnswer>);

impl PendingAnswers {
    pub fn insert(&mut self, user: &UserId, key: &IdempotencyKey, answer: StoredAnswer) {
        self.0.insert((user.clone(), key.digest), answer);
    }

    pub fn find(&self, user: &UserId, key: &IdempotencyKey) -> Option<StoredAnswer> {
        self.0.get(&(user.clone(), key.digest)).cloned()
    }

    /// All commits so far are durable: the store has them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
