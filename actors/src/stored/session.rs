//! The state of a session, read from the store without an actor: for activation, for lists, and for a session in
//! quarantine, whose last good state stays readable. Reading ends at the first unreadable record; everything before it
//! counts.

use crate::{
    domain::{
        Actor, Caller, Context, DomainSettings, Event, Session,
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
        view::{EventsPage, SeenEvent},
    },
    ports::{Direction, Ids, Key, Store, StoreError, StoreFault},
    rows::{
        compacted::{Gaps, read_gaps},
        keys,
        pages::PAGE,
        records::{self, AccountWork, EventRow, SNAPSHOT_VERSION, Snapshot},
    },
};

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// As `event 17`.
    pub record: String,
    pub problem: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.record, self.problem)
    }
}

/// The readable part of a session.
pub(crate) struct StoredSession {
    /// `None` if there is no such session, or nothing of it can be read.
    pub session: Option<Session>,
    /// The `seq` of the snapshot that the reading began with, 0 without one.
    pub snapshot_seq: Seq,
    pub damage: Option<Damage>,
}

/// The snapshot, and the events after it up to the first one that cannot be read.
///
/// # Errors
/// If the store itself fails.
pub(crate) fn read(store: &dyn Store, id: &SessionId) -> Result<StoredSession, StoreError> {
    let mut damage = None;
    let row = split_damage(store.get(&keys::snapshot(id)))?;
    let snapshot = match row.and_then(|row| row.map(|row| read_snapshot(&row)).transpose()) {
        Ok(snapshot) => snapshot.flatten(),
        Err(error) => {
            damage = Some(Damage { record: "snapshot".into(), problem: error.to_string() });
            None
        }
    };
    let snapshot_seq = snapshot.as_ref().map_or(0, Session::seq);
    let mut session = snapshot;
    let mut gaps = NotedGaps { store, id, read: None };
    let mut after = keys::event(id, snapshot_seq);
    loop {
        // One damaged row fails its whole page. The rows up to it are then read one by one.
        let page = match split_damage(store.scan(&keys::events(id), Some(&after), Direction::Forward, PAGE))? {
            Ok(page) => page,
            Err(_) => {
                let next = match gaps.skip(session.as_ref().map_or(0, Session::seq) + 1)? {
                    Ok(next) => next,
                    Err(damage) => return Ok(StoredSession { session, snapshot_seq, damage: Some(damage) }),
                };
                let key = keys::event(id, next);
                match split_damage(store.get(&key))? {
                    Ok(row) => row.map(|row| (key, row)).into_iter().collect(),
                    Err(error) => return Ok(StoredSession::damaged(session, snapshot_seq, next, error)),
                }
            }
        };
        for (_, row) in &page {
            let mut next = session.as_ref().map_or(0, Session::seq) + 1;
            let event = read_event(row);
            if event.as_ref().is_ok_and(|event| event.seq != next) {
                next = match gaps.skip(next)? {
                    Ok(next) => next,
                    Err(damage) => return Ok(StoredSession { session, snapshot_seq, damage: Some(damage) }),
                };
            }
            match event {
                Ok(event) if event.seq == next => match &mut session {
                    Some(session) => session.apply(&event),
                    None => session = Session::start(&event),
                },
                Ok(_) => return Ok(StoredSession::damaged(session, snapshot_seq, next, "it is missing")),
                Err(error) => return Ok(StoredSession::damaged(session, snapshot_seq, next, error)),
            }
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = last,
            None => return Ok(StoredSession { session, snapshot_seq, damage }),
        }
    }
}

/// The gaps that a session's log may have, read when the first one is met.
struct NotedGaps<'a> {
    store: &'a dyn Store,
    id: &'a SessionId,
    read: Option<Gaps>,
}

impl NotedGaps<'_> {
    /// The number of the first event at or after `seq` that must be in the log.
    fn skip(&mut self, seq: Seq) -> Result<Result<Seq, Damage>, StoreError> {
        if self.read.is_none() {
            match split_damage(read_gaps(self.store, self.id))? {
                Ok(gaps) => self.read = Some(gaps),
                Err(error) => {
                    let record = "the note of replaced events".into();
                    return Ok(Err(Damage { record, problem: error.to_string() }));
                }
            }
        }
        Ok(Ok(self.read.as_ref().map_or(seq, |gaps| gaps.skip(seq))))
    }
}

/// Separates the damage of one row, which the caller handles, from a failure of the store, which ends everything.
fn split_damage<T>(outcome: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match outcome {
        Err(error) if error.fault() != StoreFault::Damaged => Err(error),
        other => Ok(other),
    }
}

impl StoredSession {
    fn damaged(session: Option<Session>, snapshot_seq: Seq, seq: Seq, problem: impl std::fmt::Display) -> Self {
        let damage = Damage { record: format!("event {seq}"), problem: problem.to_string() };
        Self { session, snapshot_seq, damage: Some(damage) }
    }
}

/// Skips a snapshot of another version: the events give the same state.
fn read_snapshot(row: &[u8]) -> Result<Option<Session>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u8,
    }
    if records::decode::<Version>(row)?.v != SNAPSHOT_VERSION {
        return Ok(None);
    }
    Ok(Some(records::decode::<Snapshot<Session>>(row)?.session))
}

pub(crate) fn read_event(row: &[u8]) -> Result<Event, StoreError> {
    EventRow::decode(row).map(|row| row.event)
}

/// The account operations that wait for the session.
///
/// # Errors
/// If the store fails.
pub(crate) fn account_work(store: &dyn Store, id: &SessionId) -> Result<Vec<(UserId, AccountWork)>, StoreError> {
    let prefix = keys::account_work_of(id);
    let rows = store.scan(&prefix, None, Direction::Forward, PAGE)?;
    let named = rows.into_iter().map(|(key, row)| {
        let user = key.as_bytes().get(prefix.as_bytes().len()..).and_then(|user| std::str::from_utf8(user).ok());
        let user = user.and_then(|user| user.parse().ok());
        let user = user.ok_or_else(|| StoreError::new("a row of account work names no user"))?;
        Ok((user, records::decode(&row)?))
    });
    named.collect()
}

/// The last good state of a session, with the waiting account operations applied.
pub(crate) struct StateForMembers {
    pub session: Session,
    /// Users whose private text must not be shown, although the log still holds it.
    pub erased: Vec<UserId>,
}

/// The state that members see while the session is in quarantine. Waiting account operations are applied to it.
///
/// # Errors
/// If the store fails.
pub(crate) fn read_for_members(
    store: &dyn Store,
    id: &SessionId,
    ids: &dyn Ids,
    settings: &DomainSettings,
    now: Timestamp,
) -> Result<Option<StateForMembers>, StoreError> {
    let Some(mut session) = read(store, id)?.session else { return Ok(None) };
    let mut erased = Vec::new();
    for (user, work) in account_work(store, id)? {
        if work.erase {
            erased.push(user.clone());
        }
        let by = Actor::User(Caller::nameless(user));
        let context = Context { by, now, ids, settings };
        for command in work.commands() {
            let events = session.decide(&command, &context).unwrap_or_default();
            events.iter().for_each(|event| session.apply(event));
        }
    }
    Ok(Some(StateForMembers { session, erased }))
}

/// The announced events after `after`, at most `limit`, without the private text of `erased`. The cost depends on the
/// size of the page, not on the number of events in between.
///
/// # Errors
/// If the store fails, or holds an event that cannot be read.
pub(crate) fn events_page(
    store: &dyn Store,
    session: &Session,
    viewer: &UserId,
    erased: &[UserId],
    after: Seq,
    limit: usize,
) -> Result<EventsPage, StoreError> {
    let id = session.id();
    let last = store.scan(&keys::events(id), None, Direction::Backward, 1)?;
    let head = last.first().and_then(|(key, _)| keys::seq_of(key)).unwrap_or(0).min(session.seq());
    let mut page = EventsPage { events: Vec::new(), seq: after.min(head), has_more: false };
    let mut cursor = keys::visible_event(id, after);
    loop {
        let wanted = (limit + 1 - page.events.len()).min(PAGE);
        let rows = store.scan(&keys::visible_events(id), Some(&cursor), Direction::Forward, wanted)?;
        let seqs: Vec<Seq> =
            rows.iter().filter_map(|(key, _)| keys::seq_of(key)).take_while(|seq| *seq <= head).collect();
        let events: Vec<Key> = seqs.iter().map(|seq| keys::event(id, *seq)).collect();
        for (seq, row) in seqs.into_iter().zip(store.get_all(&events)?) {
            let Some(row) = row else { continue };
            let event = erased.iter().fold(read_event(&row)?, |event, user| event.redacted(user));
            let Some(seen) = SeenEvent::of(session, &event, viewer) else { continue };
            if page.events.len() == limit {
                page.has_more = true;
                return Ok(page);
            }
            page.seq = seq;
            page.events.push(seen);
        }
        match rows.into_iter().next_back() {
            Some((last, _)) => cursor = last,
            None => {
                page.seq = page.seq.max(head);
                return Ok(page);
            }
        }
    }
}
