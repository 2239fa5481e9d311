//! The oracle checks the node's promises at every step. It sees what the node stores, answers and publishes, and what
//! the clients do. It knows the stored form of events, and shares no code with the node's decisions.

mod answers;
mod delivery;
mod erasure;
mod model;
mod removal;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tandem_actors::{keys::Key, ports::Change};

pub use self::answers::{Outcome, Sent};
pub use self::model::{Limits, Model, Status};
pub use self::removal::KEPT;
use self::{answers::Operation, delivery::Delivery, model::Event};

/// The time within which all waiting work must end, in milliseconds.
pub const PATIENCE: i64 = 75_000;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Decision {
    pub user: String,
    pub legs: String,
    pub reason: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Row {
    event: Event,
    #[serde(default)]
    routing: Vec<Decision>,
}

/// An event, as the store has it.
struct Stored {
    bytes: Bytes,
    row: Row,
}

#[derive(Default)]
struct Session {
    model: Model,
    /// In the order of `seq`, which begins with 1.
    stored: Vec<Stored>,
    delivery: Delivery,
    /// When a fault last hit an actor of the session.
    harmed_at: Option<i64>,
    /// Members whose account was erased.
    erased: BTreeSet<String>,
    /// Events that are no longer in the log.
    gone: BTreeSet<u64>,
    /// How many of them nobody has seen.
    unseen: u32,
    /// When its end was stored.
    over_at: Option<i64>,
    /// When the last event was stored that changes what partners see.
    changed_at: i64,
}

pub struct Oracle {
    pub limits: Limits,
    pub leave_grace: i64,
    sessions: BTreeMap<String, Session>,
    operations: BTreeMap<u64, Operation>,
    /// Sessions and users of erasures whose commit was not read to its end yet.
    erasures: Vec<(String, String)>,
    /// Until when the disk or the whole node was disturbed.
    disturbed_until: i64,
    /// Whether the clock may be wrong.
    jumps: bool,
    /// When sessions were removed.
    removed: BTreeMap<String, i64>,
    /// Trace lines about the events stored since the last trace line. `None` without `--trace`.
    pub stored: Option<Vec<String>>,
}

/// The session and the `seq` in the key of an event.
fn event_key(key: &Key) -> Option<(&str, u64)> {
    let (b'e', rest) = key.as_bytes().split_first()? else { return None };
    let (session, seq) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let session = std::str::from_utf8(session.strip_suffix(&[0])?).ok()?;
    Some((session, u64::from_be_bytes(seq.try_into().ok()?)))
}

impl Oracle {
    pub fn new(trace: bool, jumps: bool) -> Self {
        // If the clock may be set back, the time since the last nudge is unknown.
        let nudge_interval = if jumps { 0 } else { 60_000 };
        Self {
            limits: Limits { abandon_after: 7_200_000, nudge_interval },
            leave_grace: 30_000,
            sessions: BTreeMap::new(),
            operations: BTreeMap::new(),
            erasures: Vec::new(),
            disturbed_until: i64::MIN,
            jumps,
            removed: BTreeMap::new(),
            stored: trace.then(Vec::new),
        }
    }

    /// The state of the session, built from its stored events.
    pub fn model(&self, session: &str) -> Option<&Model> {
        self.sessions.get(session).map(|session| &session.model)
    }

    pub fn sessions(&self) -> impl Iterator<Item = (&String, &Model)> {
        self.sessions.iter().map(|(id, session)| (id, &session.model))
    }

    /// The disk or the node is disturbed: until then, and a little longer, any request may be refused.
    pub fn disturbed(&mut self, until: i64) {
        self.disturbed_until = self.disturbed_until.max(until);
    }

    /// A fault has hit an actor of this session.
    pub fn harmed(&mut self, session: &str, now: i64) {
        self.sessions.entry(session.to_owned()).or_default().harmed_at = Some(now);
    }

    /// A session is in quarantine. If a fault has put it there, the fault lasts until an operator releases the session.
    pub fn quarantined(&mut self, id: &str, now: i64) {
        let harmed = self.sessions.get_mut(id).and_then(|session| session.harmed_at.as_mut());
        if let Some(at) = harmed.filter(|at| now - **at < PATIENCE) {
            *at = now;
            self.put_off(Some(id), now + 120_000);
        }
    }

    /// A commit is durable.
    pub fn committed(&mut self, changes: &[&Change], now: i64) -> Result<(), String> {
        let removed = self.removals(changes, now)?;
        // The rows that an erasure rewrites come before the event that tells of it.
        for change in changes {
            if let Change::Put(key, row) = change {
                self.erasure_stored(key, row);
            }
        }
        for change in changes {
            match change {
                Change::Put(key, value) => {
                    if let Some((session, seq)) = event_key(key) {
                        self.event_stored(session, seq, value, now)?;
                    }
                }
                Change::Delete(key) => {
                    if let Some((session, seq)) = event_key(key).filter(|(session, _)| !removed.contains(*session)) {
                        self.replaced(session, seq)?;
                    }
                }
            }
        }
        self.check_erasures()
    }

    /// Checks what is left after the erasures that were just stored.
    fn check_erasures(&mut self) -> Result<(), String> {
        for (id, user) in std::mem::take(&mut self.erasures) {
            self.sessions.entry(id.clone()).or_default().forgotten(&id, &user)?;
        }
        Ok(())
    }

    fn erasure_stored(&mut self, key: &Key, row: &Bytes) {
        let Some((id, _)) = event_key(key) else { return };
        if let Some(user) = erasure::erased_by(row) {
            self.sessions.entry(id.to_owned()).or_default().erased.insert(user);
        }
    }

    fn event_stored(&mut self, id: &str, seq: u64, value: &Bytes, now: i64) -> Result<(), String> {
        let row: Row = rmp_serde::from_slice(value).map_err(|error| format!("an event cannot be read: {error}"))?;
        let limits = self.limits;
        let session = self.sessions.entry(id.to_owned()).or_default();
        if seq <= session.model.seq {
            if let Some(stored) = &mut self.stored {
                stored.push(format!("stored again {id}:{seq}, told {:?}", row.routing));
            }
            return session.rewritten(id, seq, value, row);
        }
        session.model.take(&row.event, limits).map_err(|error| format!("{id}: {error}"))?;
        let (name, fields) = row.event.parts();
        session.note_end(name, now);
        if let Some(stored) = &mut self.stored {
            stored.push(format!("stored {id}:{seq} {name} by {:?}, told {:?}", row.event.by, row.routing));
        }
        let erased = row.event.by.clone().filter(|_| name == "account_erased");
        let done = answers::marker_of(name, fields);
        session.delivery.decided(id, seq, &row.routing)?;
        session.delivery.check_first(id, seq, &row.event, &row.routing, &session.model)?;
        session.stored.push(Stored { bytes: value.clone(), row });
        self.erasures.extend(erased.map(|user| (id.to_owned(), user)));
        match done {
            Some(operation) => self.carried_out(operation, id, seq),
            None => Ok(()),
        }
    }

    /// Checks, after a pause that is longer than an invitation lasts, that no timer was forgotten.
    pub fn check_timers(&self, now: i64) -> Result<(), String> {
        for (id, Session { model, .. }) in &self.sessions {
            if model.status == Status::Invited && !model.expired && model.expires_at + 30_000 < now {
                return Err(format!("{id}: the invitation has not expired"));
            }
        }
        Ok(())
    }

    /// Checks the stored events after a start. All events that were durable before must be there, unchanged. Events
    /// that were not acknowledged may be there as well.
    pub fn recovered(&mut self, rows: &[(Key, Bytes)], now: i64) -> Result<(), String> {
        rows.iter().for_each(|(key, row)| self.erasure_stored(key, row));
        let mut there: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (key, value) in rows {
            let Some((id, seq)) = event_key(key) else { continue };
            there.entry(id.to_owned()).or_default().insert(seq);
            if !self.sessions.contains_key(id) && self.was_removed(id) {
                return Err(format!("{id} was removed, and is there again"));
            }
            let known = self.sessions.get(id).and_then(|session| session.stored.get(seq as usize - 1));
            if known.is_none_or(|known| known.bytes != *value) {
                self.sessions.entry(id.to_owned()).or_default().skip_to(seq);
                self.event_stored(id, seq, value, now)?;
            }
        }
        let durable: Vec<(String, u64)> =
            self.sessions.iter().map(|(id, session)| (id.clone(), session.model.seq)).collect();
        for (id, last) in durable {
            let found = there.remove(&id).unwrap_or_default();
            if found.is_empty() && last > 0 {
                // Its removal may be durable although nobody was told. Otherwise it is lost, and `remove` says so.
                self.remove(&id, now).map_err(|error| format!("after a start, {error}"))?;
                continue;
            }
            if !found.contains(&last) && last > 0 {
                return Err(format!("{id}: event {last} was durable, and is not there"));
            }
            for seq in (1..last).filter(|seq| !found.contains(seq)) {
                self.replaced(&id, seq)?;
            }
        }
        self.check_erasures()
    }

    fn replaced(&mut self, id: &str, seq: u64) -> Result<(), String> {
        let session = self.sessions.entry(id.to_owned()).or_default();
        session.replaced(seq).map_err(|error| format!("{id}: event {seq} is gone: {error}"))
    }
}

/// Events that nobody but the node can read, and that later ones of the same kind replace.
const REPLACED: [&str; 14] = [
    "activity_shown",
    "empathy_draft_saved",
    "feel_heard_offered",
    "invitation_written",
    "need_declined",
    "need_walked",
    "needs_validated",
    "nudge_refused",
    "path_chosen",
    "ranking_submitted",
    "renamed",
    "saw_share_tab",
    "topic_frame_confirmed",
    "viewed",
];

impl Session {
    /// An event is no longer in the log. Later ones have to say all that it said.
    fn replaced(&mut self, seq: u64) -> Result<(), String> {
        if self.gone.contains(&seq) {
            return Ok(());
        }
        let split = self.stored.get_mut(seq as usize - 1..).and_then(<[Stored]>::split_first_mut);
        let (event, later) = split.ok_or("it was not there")?;
        let (name, fields) = event.row.event.parts();
        let by = &event.row.event.by;
        if !REPLACED.contains(&name) || !event.row.routing.is_empty() || later.is_empty() {
            return Err(format!("{name} stays in the log"));
        }
        let says_again = |field: &str, value: &Value| {
            later.iter().map(|later| &later.row.event).any(|later| {
                let (other, fields) = later.parts();
                let is_same = other == name || (field == "topic" && other == "topic_frame_confirmed");
                let is_said = if field == "need" { fields[field] == *value } else { !fields[field].is_null() };
                later.by == *by && is_same && is_said
            })
        };
        // What an erasure in the same commit has taken out of the later events, nothing says again.
        let is_taken = |value: &Value| value.is_string() && by.as_ref().is_some_and(|by| self.erased.contains(by));
        let fields: Vec<_> = fields
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null() && !is_taken(value))
            .collect();
        let is_again = later.iter().any(|later| later.row.event.parts().0 == name && later.row.event.by == *by);
        if name != "nudge_refused" && !(is_again || name == "invitation_written") {
            return Err(format!("no later {name} is there"));
        }
        if let Some((field, _)) = fields.iter().find(|(field, value)| !says_again(field, value)) {
            return Err(format!("no later {name} has its {field}"));
        }
        self.gone.insert(seq);
        event.row.event.body = Value::Null;
        Ok(())
    }

    /// Events of a commit whose outcome was unknown may have been replaced in the same commit: nobody has seen them.
    fn skip_to(&mut self, seq: u64) {
        for unseen in self.model.seq + 1..seq {
            let event = Event { seq: unseen, at: 0, by: None, body: Value::Null };
            self.stored.push(Stored { bytes: Bytes::new(), row: Row { event, routing: Vec::new() } });
            self.gone.insert(unseen);
            self.unseen += 1;
            self.model.seq = unseen;
        }
    }

    /// Checks a stored event that is written again: only deliveries may be added, and an erasure may remove texts.
    fn rewritten(&mut self, id: &str, seq: u64, value: &Bytes, row: Row) -> Result<(), String> {
        let Some(stored) = self.stored.get(seq as usize - 1) else {
            return Err(format!("{id}: event {seq} is written before the one before"));
        };
        let (before, after) = (&stored.row, &row);
        self.check_kept(before, after).map_err(|problem| format!("{id}: event {seq} {problem}"))?;
        let noted = before.routing.len().min(after.routing.len());
        let fresh = after.routing[noted..].to_vec();
        self.stored[seq as usize - 1] = Stored { bytes: value.clone(), row };
        self.delivery.decided(id, seq, &fresh)
    }
}
