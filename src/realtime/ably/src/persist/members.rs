//! Stored presence sets: a row for each member of a persisted channel. It changes together with the log, so that no
//! member is lost in a restart.
//!
//! Keys: `m <app> 0 <channel> 0 <connection> 0 <SHA-256 of the client id>`. Client ids can be too long for keys.

use sha2::{Digest, Sha256};

use super::{PersistentRows, decode, encode, entry_row::PresenceRow, row_key};
use crate::{
    log::{Entry, EntryBody},
    protocol::{PresenceAction, PresenceMessage},
    storage::{Change, RowKey, StorageError},
};

/// The changes of stored members that an entry causes.
pub(super) fn changes<'e>(app: &'e str, entry: &'e Entry) -> impl Iterator<Item = Change> + 'e {
    let events = match &entry.body {
        EntryBody::Presence(events) => events.as_slice(),
        EntryBody::Messages(_) => &[],
    };
    events.iter().map(|event| {
        let key = member_key(app, &entry.channel, event);
        match event.is_present() {
            true => Change::Put(key, encode(&PresenceRow::of(&event.with_action(PresenceAction::Present)))),
            false => Change::Delete(key),
        }
    })
}

impl PersistentRows {
    /// The stored members of all channels, each with its channel's name.
    pub fn members(&self, app: &str) -> Result<Vec<(String, PresenceMessage)>, StorageError> {
        let prefix = row_key(&[b"m", app.as_bytes(), b"\0"]);
        let channel = |key: &[u8]| {
            let rest = &key[prefix.len()..];
            let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        };
        let rows = self.scan_all(&prefix)?;
        rows.iter().map(|(key, row)| Ok((channel(key), decode::<PresenceRow>(row)?.read()))).collect()
    }

    /// Deletes the row of a member whose channel is no longer persisted.
    pub fn forget_member(&self, app: &str, channel: &str, member: &PresenceMessage) {
        self.write(vec![Change::Delete(member_key(app, channel, member))], |_| ());
    }
}

fn member_key(app: &str, channel: &str, member: &PresenceMessage) -> RowKey {
    row_key(&[
        b"m",
        app.as_bytes(),
        b"\0",
        channel.as_bytes(),
        b"\0",
        member.connection_id.as_bytes(),
        b"\0",
        &Sha256::digest(member.client_id.as_bytes()),
    ])
}
