//! Nicknames that a user gives to people. Only the user who gave a nickname ever sees it. Nicknames are stored beside
//! the sessions, so that they hold in all sessions, future ones included.

use std::time::Duration;

use bytes::Bytes;

use super::Coordinator;
use crate::{
    domain::{
        Code, Rejection,
        ids::{self, UserId},
        private_text::PrivateText,
    },
    messages::Refusal,
    ports::{Change, Direction, StoreError},
    rows::{keys, records},
};

impl Coordinator {
    /// Sets or removes the nickname of the person in a relationship.
    pub async fn set_nickname(
        &self,
        user: &UserId,
        relationship: &str,
        nickname: Option<PrivateText>,
    ) -> Result<(), Refusal> {
        let mut known = self.in_order(user)?.into_iter().filter_map(|(_, membership)| membership.connected_person());
        let person = known.find(|person| ids::relationship(user, person) == relationship);
        let person =
            person.ok_or_else(|| Rejection::new(Code::NotFound, "there is no such relationship among yours"))?;
        let changes = match nickname {
            Some(nickname) => vec![
                Change::Put(keys::nickname(user, &person), records::encode(&nickname)),
                Change::Put(keys::nicknamed(&person, user), Bytes::new()),
            ],
            None => forgotten(user, &person),
        };
        self.write_nicknames(changes).await
    }

    /// Deletes the nicknames that the user has given, and those that others gave to the user.
    pub async fn forget_nicknames(&self, user: &UserId) -> Result<(), Refusal> {
        let mut changes = Vec::new();
        for person in self.people_in(&keys::nicknames_of(user))? {
            changes.extend(forgotten(user, &person));
        }
        for other in self.people_in(&keys::nicknamers_of(user))? {
            changes.extend(forgotten(&other, user));
        }
        self.write_nicknames(changes).await
    }

    /// The people whom the keys under `prefix` end with.
    fn people_in(&self, prefix: &keys::Key) -> Result<Vec<UserId>, StoreError> {
        let rows = self.store().scan(prefix, None, Direction::Forward, usize::MAX)?;
        let skip = prefix.as_bytes().len();
        let person = |key: keys::Key| {
            let id = std::str::from_utf8(&key.as_bytes()[skip..]).ok().and_then(|id| id.parse().ok());
            id.ok_or_else(|| StoreError::new("a nickname's row names no user"))
        };
        rows.into_iter().map(|(key, _)| person(key)).collect()
    }

    async fn write_nicknames(&self, changes: Vec<Change>) -> Result<(), Refusal> {
        if changes.is_empty() {
            return Ok(());
        }
        let later = |_| Refusal::unavailable("the nickname could not be written; try again", Duration::from_secs(1));
        self.deps.journal.write(changes).await.map_err(later)
    }
}

fn forgotten(user: &UserId, person: &UserId) -> Vec<Change> {
    vec![Change::Delete(keys::nickname(user, person)), Change::Delete(keys::nicknamed(person, user))]
}
