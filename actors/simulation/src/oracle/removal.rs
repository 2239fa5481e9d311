//! The removal of sessions: as a whole, of those that are over, after their time, and in the end of all of them.

use std::collections::BTreeSet;

use tandem_actors::{keys::Key, ports::Change};

use super::{Oracle, Session, Status};

/// How long a session is kept after it is over, in milliseconds.
pub const KEPT: i64 = 400_000;
/// The node counts from its own clock's time of the end. The end is stored later, if the disk stands still, and the
/// node's clock and the true time differ by the time that a restart takes.
const CLOSE: i64 = 30_000;
/// A session is looked for once a second, and has to be idle.
const SOON: i64 = 120_000;

/// Events that change nothing that the partners see.
const LOOKS: [&str; 4] = ["viewed", "nudge_refused", "saw_share_tab", "activity_shown"];

/// The session whose removal this row notes.
fn removed_by(key: &Key) -> Option<&str> {
    std::str::from_utf8(key.as_bytes().strip_prefix(b"Z")?).ok()
}

impl Oracle {
    /// The sessions that these changes remove.
    pub(super) fn removals(&mut self, changes: &[&Change], now: i64) -> Result<BTreeSet<String>, String> {
        let mut removed = BTreeSet::new();
        for change in changes {
            let Change::Put(key, _) = change else { continue };
            if let Some(id) = removed_by(key) {
                self.remove(id, now)?;
                removed.insert(id.to_owned());
            }
        }
        Ok(removed)
    }

    /// Nothing of the session is there any more.
    pub(super) fn remove(&mut self, id: &str, now: i64) -> Result<(), String> {
        let Some(session) = self.sessions.get(id) else {
            return Err(format!("{id} is removed, and was not there"));
        };
        match session.over_at {
            None => return Err(format!("{id} is removed, and is not over")),
            // A clock that is wrong says when the session ended.
            Some(over_at) if !self.jumps && now - over_at < KEPT - CLOSE => {
                return Err(format!("{id} is removed {} ms after its end", now - over_at));
            }
            Some(_) => {}
        }
        if let Some(seq) = session.delivery.first_due() {
            return Err(format!("{id} is removed, and event {seq} was never published"));
        }
        self.sessions.remove(id);
        // A request that comes again begins anew.
        self.operations.retain(|_, operation| operation.session.as_deref() != Some(id));
        self.removed.insert(id.to_owned(), now);
        Ok(())
    }

    /// Whether a session was removed at or after this time.
    pub(super) fn was_there_at(&self, id: &str, at: i64) -> bool {
        self.removed.get(id).is_some_and(|removed_at| at <= *removed_at)
    }

    pub(super) fn was_removed(&self, id: &str) -> bool {
        self.removed.contains_key(id)
    }

    /// The number of sessions that were removed.
    pub fn removed(&self) -> usize {
        self.removed.len()
    }

    /// Checks, at the end of the world, that no session is kept for too long. A resolved one may have something
    /// planned.
    pub fn check_removed(&self, now: i64) -> Result<(), String> {
        let late = |session: &Session| {
            let planned = session.model.status == Status::Resolved;
            session.over_at.is_some() && !planned && session.changed_at + KEPT + SOON < now
        };
        match self.sessions.iter().find(|(_, session)| !self.jumps && late(session)) {
            Some((id, _)) => Err(format!("{id} is over for long, and is still there")),
            None => Ok(()),
        }
    }
}

impl Session {
    /// An event of this name is stored.
    pub(super) fn note_end(&mut self, name: &str, now: i64) {
        if !self.model.status.is_live() {
            self.over_at.get_or_insert(now);
        }
        if !LOOKS.contains(&name) {
            self.changed_at = now;
        }
    }
}
