//! The sessions and the people of the node, from the rows of accounts and lists. It reads a limited number of rows. On
//! a larger node, the pages say that there are more.

use std::collections::{BTreeMap, HashMap};

use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    keys,
    ports::{Direction, Store, StoreError},
    records::{self, Membership},
};

/// How many rows of each kind are read.
pub const MOST: usize = 10_000;

/// A session in the list of at least one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSession {
    pub session: SessionId,
    pub changed_at: Timestamp,
    pub partners: Vec<UserId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The newest change first.
    pub sessions: Vec<KnownSession>,
    /// The users with an account, each with the number of their sessions in the list above.
    pub people: BTreeMap<UserId, usize>,
    /// There are more rows than were read.
    pub is_partial: bool,
}

impl Directory {
    /// # Errors
    /// If the store fails.
    pub fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let listed = store.scan(&keys::all_listed(), None, Direction::Forward, MOST)?;
        let accounts = store.scan(&keys::accounts(), None, Direction::Forward, MOST)?;
        let mut people: BTreeMap<_, _> =
            accounts.iter().filter_map(|(key, _)| Some((keys::user_of_profile(key)?, 0))).collect();
        let mut sessions: HashMap<SessionId, KnownSession> = HashMap::new();
        for (user, changed_at, session) in listed.iter().filter_map(|(key, _)| keys::parse_any_listed(key)) {
            if let Some(number) = people.get_mut(&user) {
                *number += 1;
            }
            let new = KnownSession { session: session.clone(), changed_at, partners: Vec::new() };
            let known = sessions.entry(session).or_insert(new);
            known.changed_at = known.changed_at.max(changed_at);
            known.partners.push(user);
        }
        let mut sessions: Vec<_> = sessions.into_values().collect();
        sessions.sort_by(|one, other| (other.changed_at, &one.session).cmp(&(one.changed_at, &other.session)));
        Ok(Self { sessions, people, is_partial: listed.len() >= MOST || accounts.len() >= MOST })
    }

    /// The sessions whose id, or one of whose partners' ids, contains this text.
    pub fn sessions_with<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a KnownSession> {
        self.sessions.iter().filter(move |known| {
            known.session.as_str().contains(part) || known.partners.iter().any(|user| user.as_str().contains(part))
        })
    }

    /// The people whose id contains this text, each with the number of their sessions.
    pub fn people_with<'a>(&'a self, part: &'a str) -> impl Iterator<Item = (&'a UserId, usize)> {
        self.people.iter().filter(move |(user, _)| user.as_str().contains(part)).map(|(user, number)| (user, *number))
    }
}

impl KnownSession {
    /// A session, from the list rows of its partners.
    ///
    /// # Errors
    /// If the store fails.
    pub fn memberships(&self, store: &dyn Store) -> Result<Vec<Membership>, StoreError> {
        let row = |user| store.get(&keys::membership(user, &self.session));
        let rows = self.partners.iter().filter_map(|user| row(user).transpose());
        rows.map(|row| records::decode(&row?)).collect()
    }
}
