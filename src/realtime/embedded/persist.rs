//! What outlives a restart: the logs of persisted channels, connections that may be resumed, and revocations. Rows of the node's store,
//! written through its journal.
//!
//! Keys: `l <app> 0 <channel> 0 <seq> <part>` for entries, `c <app> 0 <connection>`, `v <app> 0 <random>`.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tandem_actors::{
    journal::Journal,
    keys::{self, Key},
    ports::{Change, Commit, Direction, Store, StoreError},
    records,
};

use super::{
    auth::{ClientId, revocation::Revocation},
    log::{Body, Draft, Entry, Log},
    outbox::Mark,
    protocol::{Data, ErrorInfo, Message, PresenceAction, PresenceMessage, data::Payload},
};

/// Values stay below what every engine takes in one piece.
const PART: usize = 48 * 1024;

#[derive(Serialize, Deserialize)]
struct EntryRow {
    log: String,
    at: i64,
    id: String,
    connection_id: Option<String>,
    #[serde(default)]
    messages: Option<Vec<MessageRow>>,
    #[serde(default)]
    presence: Option<Vec<PresenceRow>>,
    #[serde(default)]
    mark: Option<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct PayloadRow {
    text: Option<String>,
    binary: Option<serde_bytes::ByteBuf>,
    encoding: Option<String>,
    /// As JSON.
    extras: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MessageRow {
    id: Option<String>,
    name: Option<String>,
    client_id: Option<String>,
    payload: PayloadRow,
}

#[derive(Serialize, Deserialize)]
struct PresenceRow {
    action: u8,
    id: String,
    client_id: String,
    connection_id: String,
    timestamp: i64,
    payload: PayloadRow,
}

impl PayloadRow {
    fn of(payload: &Payload, extras: Option<&serde_json::Value>) -> Self {
        let (text, binary) = match &payload.data {
            None => (None, None),
            Some(Data::Text(text)) => (Some(text.to_string()), None),
            Some(Data::Binary(bytes)) => (None, Some(serde_bytes::ByteBuf::from(bytes.to_vec()))),
        };
        let encoding = payload.encoding.as_deref().map(str::to_owned);
        Self { text, binary, encoding, extras: extras.map(ToString::to_string) }
    }

    fn read(self) -> (Payload, Option<Box<serde_json::Value>>) {
        let binary = self.binary.map(|bytes| Data::Binary(bytes.into_vec().into()));
        let data = self.text.map(|text| Data::Text(text.into())).or(binary);
        let extras = self.extras.and_then(|text| serde_json::from_str(&text).ok()).map(Box::new);
        (Payload { data, encoding: self.encoding.map(Into::into) }, extras)
    }
}

impl EntryRow {
    fn of(entry: &Entry, log: &str) -> Self {
        let text = |part: &Arc<str>| part.as_ref().to_owned();
        let mut row = EntryRow {
            log: log.to_owned(),
            at: entry.at,
            id: text(&entry.id),
            connection_id: entry.connection_id.as_ref().map(text),
            messages: None,
            presence: None,
            mark: entry.mark.as_ref().map(|mark| (mark.session.as_str().to_owned(), mark.seq)),
        };
        match &entry.body {
            Body::Messages(messages) => {
                let rows = messages.iter().map(|message| MessageRow {
                    id: message.id.as_ref().map(text),
                    name: message.name.as_deref().map(str::to_owned),
                    client_id: message.client_id.as_ref().map(text),
                    payload: PayloadRow::of(&message.payload, message.extras.as_deref()),
                });
                row.messages = Some(rows.collect());
            }
            Body::Presence(events) => {
                let rows = events.iter().map(|event| PresenceRow {
                    action: event.action as u8,
                    id: text(&event.id),
                    client_id: text(&event.client_id),
                    connection_id: text(&event.connection_id),
                    timestamp: event.timestamp,
                    payload: PayloadRow::of(&event.payload, event.extras.as_deref()),
                });
                row.presence = Some(rows.collect());
            }
        }
        row
    }

    fn draft(self) -> Draft {
        let messages = self.messages.unwrap_or_default().into_iter().map(|row| {
            let (payload, extras) = row.payload.read();
            Message {
                id: row.id.map(Into::into),
                name: row.name.map(Into::into),
                client_id: row.client_id.map(Into::into),
                payload,
                extras,
            }
        });
        let body = match self.presence {
            None => Body::Messages(messages.collect()),
            Some(events) => Body::Presence(
                events
                    .into_iter()
                    .map(|row| {
                        let (payload, extras) = row.payload.read();
                        PresenceMessage {
                            action: PresenceAction::from_number(row.action.into()).unwrap_or(PresenceAction::Absent),
                            id: row.id.into(),
                            client_id: row.client_id.into(),
                            connection_id: row.connection_id.into(),
                            timestamp: row.timestamp,
                            payload,
                            extras,
                        }
                    })
                    .collect(),
            ),
        };
        let mark = self.mark.and_then(|(session, seq)| Some(Arc::new(Mark { session: session.parse().ok()?, seq })));
        Draft { id: self.id.into(), connection_id: self.connection_id.map(Into::into), body, mark }
    }
}

/// A connection that may be resumed after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub struct PeerRow {
    pub secret: String,
    pub key_name: String,
    pub client_id: Option<String>,
    /// When its socket was lost; none while it has one.
    pub dropped_at: Option<i64>,
}

impl PeerRow {
    pub fn client_id_of(client_id: &ClientId) -> Option<String> {
        match client_id {
            ClientId::None => None,
            ClientId::Any => Some("*".to_owned()),
            ClientId::Is(id) => Some(id.as_ref().to_owned()),
        }
    }
}

/// A stored entry as history reads it.
pub struct Stored {
    pub seq: u64,
    pub at: i64,
    pub log: Arc<str>,
    pub draft: Draft,
    parts: u8,
}

#[derive(Clone)]
pub struct Rows {
    store: Arc<dyn Store>,
    journal: Journal,
}

impl Rows {
    pub fn new(store: Arc<dyn Store>, journal: Journal) -> Self {
        Self { store, journal }
    }

    pub fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    /// Queues changes; `done` hears when they are durable.
    fn write(&self, changes: Vec<Change>, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        let told = move |result: Result<(), tandem_actors::journal::CommitError>| {
            done(result.map_err(|error| {
                tracing::error!(%error, "realtime rows were not written");
                ErrorInfo::unavailable("the message could not be stored")
            }));
        };
        self.journal.append(Commit { fence: None, changes }, Box::new(told));
    }

    // ---- logs ----

    pub fn keep(&self, app: &str, entry: &Entry, log: &Log, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        let row = records::encode(&EntryRow::of(entry, &log.id));
        let parts = row.len().div_ceil(PART).max(1);
        let changes = (0..parts).map(|part| {
            let piece = row.slice(part * PART..row.len().min((part + 1) * PART));
            let left = u8::try_from(parts - 1 - part).unwrap_or(u8::MAX);
            let value = [&[left][..], &piece].concat();
            Change::Put(entry_key(app, &entry.channel, entry.seq, u8::try_from(part).unwrap_or(u8::MAX)), value.into())
        });
        self.write(changes.collect(), done);
    }

    /// Entries of a channel beyond a `seq` (exclusive), in one direction, until `enough` says so.
    pub fn entries(
        &self,
        app: &str,
        channel: &str,
        from: Option<u64>,
        direction: Direction,
        mut visit: impl FnMut(Stored) -> bool,
    ) -> Result<(), StoreError> {
        let prefix = log_prefix(app, channel);
        // The bound is strictly beyond all parts of `from`.
        let mut after = from.map(|seq| match direction {
            Direction::Forward => entry_key(app, channel, seq, u8::MAX),
            Direction::Backward => entry_key(app, channel, seq, 0),
        });
        let mut pieces: Vec<(u8, Bytes)> = Vec::new();
        let mut current = None;
        loop {
            let rows = self.store.scan(&prefix, after.as_ref(), direction, 128)?;
            let last = rows.last().map(|(key, _)| key.clone());
            for (key, value) in rows {
                let Some((seq, part)) = read_entry_key(&key) else { continue };
                if current.is_some_and(|current| current != seq) {
                    pieces.clear();
                }
                current = Some(seq);
                pieces.push((part, value));
                let complete = match direction {
                    Direction::Forward => pieces.last().is_some_and(|(_, value)| value.first() == Some(&0)),
                    Direction::Backward => part == 0,
                };
                if complete {
                    pieces.sort_by_key(|(part, _)| *part);
                    let parts = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
                    let whole: Vec<u8> =
                        pieces.drain(..).flat_map(|(_, value)| value.slice(1.min(value.len())..)).collect();
                    let row: EntryRow = records::decode(&whole)?;
                    let stored = Stored { seq, at: row.at, log: row.log.as_str().into(), draft: row.draft(), parts };
                    if !visit(stored) {
                        return Ok(());
                    }
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// A channel's log as it was, with its entries since `horizon`. A log of which an entry is missing begins after the gap.
    pub fn load_log(&self, app: &str, channel: &Arc<str>, horizon: i64) -> Result<Option<Log>, StoreError> {
        let mut recent: Vec<Stored> = Vec::new();
        let mut head = None;
        self.entries(app, channel, None, Direction::Backward, |stored| {
            let next = recent.last().map_or(stored.seq, |later: &Stored| later.seq.saturating_sub(1));
            let head = head.get_or_insert((stored.log.clone(), stored.seq, stored.at));
            let belongs = stored.seq == next && stored.log == head.0 && stored.at >= horizon;
            if belongs {
                recent.push(stored);
            }
            belongs
        })?;
        let Some((id, seq, at)) = head else { return Ok(None) };
        let mut log = Log::continued(id, seq, at);
        for stored in recent.into_iter().rev() {
            log.restore(channel, stored.seq, stored.at, stored.draft);
        }
        Ok(Some(log))
    }

    /// Deletes a channel's entries from before `horizon`, at most some hundreds at a time; the newest one stays, it says where the log is.
    pub fn expire_log(&self, app: &str, channel: &str, head: u64, horizon: i64) -> Result<(), StoreError> {
        let mut expired = Vec::new();
        self.entries(app, channel, None, Direction::Forward, |stored| {
            let old = stored.at < horizon && stored.seq < head;
            if old {
                expired.extend((0..stored.parts).map(|part| Change::Delete(entry_key(app, channel, stored.seq, part))));
            }
            old && expired.len() < 1_000
        })?;
        if !expired.is_empty() {
            self.write(expired, |_| ());
        }
        Ok(())
    }

    // ---- connections ----

    pub fn keep_peer(&self, app: &str, connection: &str, row: &PeerRow) {
        self.write(vec![Change::Put(peer_key(app, connection), records::encode(row))], |_| ());
    }

    pub fn forget_peer(&self, app: &str, connection: &str) {
        self.write(vec![Change::Delete(peer_key(app, connection))], |_| ());
    }

    pub fn peer(&self, app: &str, connection: &str) -> Result<Option<PeerRow>, StoreError> {
        self.store.get(&peer_key(app, connection))?.map(|bytes| records::decode(&bytes)).transpose()
    }

    /// The ids of all stored connections.
    pub fn peers(&self, app: &str) -> Result<Vec<String>, StoreError> {
        let prefix = keys::realtime(&[b"c", app.as_bytes(), b"\0"]);
        let id = |key: &Key| String::from_utf8(key.as_bytes()[prefix.as_bytes().len()..].to_vec()).ok();
        Ok(self.scan_all(&prefix)?.iter().filter_map(|(key, _)| id(key)).collect())
    }

    // ---- revocations ----

    pub fn keep_revocation(&self, app: &str, revocation: &Revocation) {
        let key = keys::realtime(&[b"v", app.as_bytes(), b"\0", super::random_id(12).as_bytes()]);
        self.write(vec![Change::Put(key, records::encode(revocation))], |_| ());
    }

    pub fn revocations(&self, app: &str) -> Result<Vec<Revocation>, StoreError> {
        let rows = self.scan_all(&keys::realtime(&[b"v", app.as_bytes(), b"\0"]))?;
        rows.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    fn scan_all(&self, prefix: &Key) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let mut all: Vec<(Key, Bytes)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.clone());
            let page = self.store.scan(prefix, after.as_ref(), Direction::Forward, 512)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}

fn decode<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, StoreError> {
    records::decode(bytes)
}

fn log_prefix(app: &str, channel: &str) -> Key {
    keys::realtime(&[b"l", app.as_bytes(), b"\0", channel.as_bytes(), b"\0"])
}

fn entry_key(app: &str, channel: &str, seq: u64, part: u8) -> Key {
    keys::realtime(&[b"l", app.as_bytes(), b"\0", channel.as_bytes(), b"\0", &seq.to_be_bytes(), &[part]])
}

fn read_entry_key(key: &Key) -> Option<(u64, u8)> {
    let (rest, part) = key.as_bytes().split_last_chunk::<1>().map(|(rest, part)| (rest, part[0]))?;
    let (_, seq) = rest.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), part))
}

fn peer_key(app: &str, connection: &str) -> Key {
    keys::realtime(&[b"c", app.as_bytes(), b"\0", connection.as_bytes()])
}

impl Rows {
    /// The channels of which something is stored, each with its head.
    pub fn channels(&self, app: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let prefix = keys::realtime(&[b"l", app.as_bytes(), b"\0"]);
        let mut channels = Vec::new();
        // From the last entry of one channel to the last entry of the channel before it.
        let mut after: Option<Key> = None;
        while let Some((key, _)) = self.store.scan(&prefix, after.as_ref(), Direction::Backward, 1)?.pop() {
            let name = &key.as_bytes()[prefix.as_bytes().len()..];
            let (Some((seq, _)), Some(name)) =
                (read_entry_key(&key), name.len().checked_sub(10).map(|end| &name[..end]))
            else {
                after = Some(key);
                continue;
            };
            let name = String::from_utf8_lossy(name).into_owned();
            after = Some(log_prefix(app, &name));
            channels.push((name, seq));
        }
        Ok(channels)
    }
}
