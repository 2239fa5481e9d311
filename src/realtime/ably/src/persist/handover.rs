//! The content of the handover file: logs and members of the channels that are not stored. A digest in front reveals
//! damage.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    decode, encode,
    entry_row::{EntryRow, PresenceRow},
};
use crate::{
    channel::Channel,
    log::{Log, LogLimits},
    protocol::PresenceMessage,
};

const MAGIC: &[u8] = b"tandem handover 1\n";
const DIGEST: usize = 32;
/// Bytes of a row beside its content.
const ROW: usize = 256;

#[derive(Serialize, Deserialize)]
struct ChannelRow {
    name: String,
    log: String,
    seq: u64,
    at: i64,
    /// The numbers have no gaps. The last entry is the head.
    entries: Vec<(u64, EntryRow)>,
    members: Vec<PresenceRow>,
}

/// A channel from the earlier process.
pub struct KeptChannel {
    pub name: Arc<str>,
    pub log: Log,
    pub members: Vec<PresenceMessage>,
}

#[derive(Serialize, Deserialize)]
pub struct Handover {
    app: String,
    /// The time of writing, in milliseconds.
    pub at: i64,
    channels: Vec<ChannelRow>,
    #[serde(skip)]
    size: usize,
}

impl Handover {
    pub fn new(app: &str, at: i64) -> Self {
        Self { app: app.to_owned(), at, channels: Vec::new(), size: 0 }
    }

    /// Adds a channel with the newest part of its log for which there is room. False if there is no room for its
    /// members.
    pub fn add(&mut self, channel: &Channel, most: usize) -> bool {
        let row = channel.read(|log, members| {
            let (seq, at) = log.position();
            let mut size = self.size + ROW + members.iter().map(|member| member.size() + ROW).sum::<usize>();
            if size > most {
                return None;
            }
            let mut entries = Vec::new();
            for entry in log.entries().rev() {
                size += entry.size() + ROW * (1 + entry.count());
                if size > most {
                    break;
                }
                entries.push((entry.seq, EntryRow::of(entry, &log.id)));
            }
            entries.reverse();
            self.size = size.min(most);
            let members = members.iter().map(PresenceRow::of).collect();
            Some(ChannelRow { name: channel.name.to_string(), log: log.id.to_string(), seq, at, entries, members })
        });
        let added = row.is_some();
        self.channels.extend(row);
        added
    }

    pub fn encode(&self) -> Vec<u8> {
        let body = encode(self);
        [MAGIC, &Sha256::digest(&body)[..], &body].concat()
    }

    /// None if the bytes are damaged, or are from another app.
    pub fn decode(bytes: &[u8], app: &str) -> Option<Self> {
        let (digest, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(DIGEST)?;
        if Sha256::digest(body)[..] != *digest {
            return None;
        }
        decode::<Self>(body).ok().filter(|handover| handover.app == app)
    }

    /// The channels, each with its log.
    pub fn channels(self, limits: &LogLimits) -> impl Iterator<Item = KeptChannel> {
        self.channels.into_iter().map(move |row| {
            let name: Arc<str> = row.name.into();
            let mut log = Log::with_head(row.log.into(), row.seq, row.at, limits);
            for (seq, entry) in row.entries {
                log.restore(&name, seq, entry.at, entry.new_entry());
            }
            KeptChannel { name, log, members: row.members.into_iter().map(PresenceRow::read).collect() }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::time::Timestamp;

    use super::*;
    use crate::{
        application::ChannelBinding,
        channel::{Delivery, Persistence, RepeatDetection},
        presence::Members,
        protocol::{Data, Message, data::Payload},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn channel(messages: usize, size: usize) -> Channel {
        let channel = Channel::new(
            "c".into(),
            ChannelBinding::default(),
            Persistence::NotPersisted,
            Log::new(&LogLimits::of_entries(100)),
            Members::default(),
            NOW,
        );
        for n in 0..messages {
            let payload = Payload { data: Some(Data::Text("x".repeat(size).into())), encoding: None };
            let message = Message { payload, ..Message::default() };
            let frame_id = format!("f{n}").into();
            channel
                .publish(frame_id, None, vec![message], RepeatDetection::ByConnection, NOW, |_, _| Delivery::Now)
                .unwrap();
        }
        channel
    }

    fn handed_over(channel: &Channel, most: usize) -> Vec<KeptChannel> {
        let mut handover = Handover::new("app", NOW.as_millis());
        handover.add(channel, most);
        Handover::decode(&handover.encode(), "app").unwrap().channels(&LogLimits::of_entries(100)).collect()
    }

    #[test]
    fn a_channel_continues_as_it_was() {
        let channel = channel(3, 10);
        let [kept] = &handed_over(&channel, 1 << 20)[..] else { panic!("one channel") };
        assert_eq!(kept.log.head(), channel.read(|log, _| log.head()));
        let ids: Vec<_> = kept.log.entries().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["f0", "f1", "f2"]);
    }

    #[test]
    fn the_oldest_entries_are_left_out_if_there_is_no_room() {
        let [kept] = &handed_over(&channel(10, 1_000), 5_000)[..] else { panic!("one channel") };
        let seqs: Vec<_> = kept.log.entries().map(|entry| entry.seq).collect();
        assert_eq!(seqs, [8, 9, 10]);
        assert!(handed_over(&channel(1, 1), 100).is_empty());
    }

    #[test]
    fn damaged_handovers_and_those_of_other_apps_are_ignored() {
        let bytes = Handover::new("app", 1).encode();
        assert!(Handover::decode(&bytes, "app").is_some());
        assert!(Handover::decode(&bytes, "other").is_none());
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(Handover::decode(&damaged, "app").is_none(), "byte {position}");
            assert!(Handover::decode(&bytes[..position], "app").is_none(), "cut at {position}");
        }
    }
}
