//! A group of commits as a record of the journal. Version 2:
//!
//! ```text
//! 2                                     the version
//! time of the group                     milliseconds since 1970; a varint, as all numbers below
//! number of commits
//!   for each: 0, or 1 and its fence     session (length, bytes), epoch, expected, next
//!   number of changes
//!     for each: 0, key                  a row is deleted; key and value are a length and bytes
//!               1, key, value           a row is put
//! ```
//!
//! In a store with encryption the whole group is encrypted ([`crate::cipher`]). Commits that were fenced are not
//! written. Varints are little-endian base 128, as in protocol buffers. Version 1 has no time.

use bytes::Bytes;
use tandem_actors::{
    domain::time::Timestamp,
    keys::Key,
    ports::{Change, Commit, Fence},
};

use crate::{cipher::GROUP, seal::RowCoding};

const VERSION: u8 = 2;
const WITHOUT_TIME: u8 = 1;
/// Bytes of the longest varint.
const NUMBER: usize = 10;

/// An upper bound for the bytes of the group.
pub(super) fn most_bytes(changes: &[Change]) -> usize {
    let bytes = |change: &Change| match change {
        Change::Put(key, value) => 1 + 2 * NUMBER + key.as_bytes().len() + value.len(),
        Change::Delete(key) => 1 + NUMBER + key.as_bytes().len(),
    };
    changes.iter().map(bytes).sum()
}

/// Bytes of a commit beside its changes.
pub(super) const MOST_AROUND: usize = 1 + 5 * NUMBER + 64;

/// Writes groups into a record.
pub(super) struct Encoder<'a>(&'a mut Vec<u8>);

impl<'a> Encoder<'a> {
    pub fn begin(record: &'a mut Vec<u8>, at: Timestamp, commits: usize) -> Self {
        record.push(VERSION);
        let mut encoder = Self(record);
        encoder.number(u64::try_from(at.as_millis()).unwrap_or(0));
        encoder.number(commits as u64);
        encoder
    }

    pub fn commit(&mut self, fence: Option<&Fence>, changes: &[Change]) {
        match fence {
            None => self.0.push(0),
            Some(Fence { session, epoch, expected, next }) => {
                self.0.push(1);
                self.bytes(session.as_str().as_bytes());
                [*epoch, *expected, *next].into_iter().for_each(|number| self.number(number));
            }
        }
        self.number(changes.len() as u64);
        for change in changes {
            match change {
                Change::Delete(key) => {
                    self.0.push(0);
                    self.bytes(key.as_bytes());
                }
                Change::Put(key, value) => {
                    self.0.push(1);
                    self.bytes(key.as_bytes());
                    self.bytes(value);
                }
            }
        }
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// Why a record cannot be decoded. Its checksums are right, so a later version wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotUnderstood {
    #[error("it has record version {0}, this program knows {VERSION}")]
    Version(u8),
    #[error("it ends too early, or goes on too long")]
    Malformed,
    #[error("it is encrypted with a key that this store does not have")]
    Sealed,
}

struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    fn byte(&mut self) -> Result<u8, NotUnderstood> {
        let (first, rest) = self.0.split_first().ok_or(NotUnderstood::Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, NotUnderstood> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(NotUnderstood::Malformed)
    }

    fn bytes(&mut self) -> Result<&'a [u8], NotUnderstood> {
        let length = usize::try_from(self.number()?).map_err(|_| NotUnderstood::Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(NotUnderstood::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn fence(&mut self) -> Result<Option<Fence>, NotUnderstood> {
        if self.byte()? == 0 {
            return Ok(None);
        }
        let session = std::str::from_utf8(self.bytes()?).map_err(|_| NotUnderstood::Malformed)?;
        let session = session.parse().map_err(|_| NotUnderstood::Malformed)?;
        let (epoch, expected, next) = (self.number()?, self.number()?, self.number()?);
        Ok(Some(Fence { session, epoch, expected, next }))
    }

    fn change(&mut self) -> Result<Change, NotUnderstood> {
        let is_put = self.byte()? == 1;
        let key = Key::from_bytes(self.bytes()?);
        Ok(if is_put { Change::Put(key, Bytes::copy_from_slice(self.bytes()?)) } else { Change::Delete(key) })
    }
}

impl Decoder<'_> {
    /// The time at the beginning of the group.
    fn beginning(&mut self) -> Result<Option<Timestamp>, NotUnderstood> {
        match self.byte()? {
            WITHOUT_TIME => Ok(None),
            VERSION => Ok(Some(Timestamp::from_millis(i64::try_from(self.number()?).unwrap_or(i64::MAX)))),
            other => Err(NotUnderstood::Version(other)),
        }
    }
}

/// When a group was written, if that is known.
pub(crate) fn time(record: &[u8]) -> Option<Timestamp> {
    Decoder(record).beginning().ok().flatten()
}

/// Reads a group, and passes each commit on as soon as it is read.
pub(crate) fn decode(record: &[u8], mut tell: impl FnMut(Commit)) -> Result<(), NotUnderstood> {
    let mut record = Decoder(record);
    record.beginning()?;
    for _ in 0..record.number()? {
        let fence = record.fence()?;
        let changes = (0..record.number()?).map(|_| record.change()).collect::<Result<_, _>>()?;
        tell(Commit { fence, changes });
    }
    if record.0.is_empty() { Ok(()) } else { Err(NotUnderstood::Malformed) }
}

/// As [`time`], of a group that may be encrypted.
pub(crate) fn time_stored(coding: &RowCoding, log: u64, group: u64, record: &[u8]) -> Option<Timestamp> {
    if record.first() != Some(&GROUP) {
        return time(record);
    }
    time(&coding.cipher()?.decrypt_group(log, group, record)?)
}

/// As [`decode`], of a group that may be encrypted.
pub(crate) fn decode_stored(
    coding: &RowCoding,
    log: u64,
    group: u64,
    record: &[u8],
    tell: impl FnMut(Commit),
) -> Result<(), NotUnderstood> {
    if record.first() != Some(&GROUP) {
        return decode(record, tell);
    }
    let decrypted = coding.cipher().and_then(|cipher| cipher.decrypt_group(log, group, record));
    decode(&decrypted.ok_or(NotUnderstood::Sealed)?, tell)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_123);

    fn group() -> Vec<Commit> {
        let session: tandem_actors::domain::ids::SessionId = "cabcdefghijklmnopqrstuvwx".parse().expect("an id");
        let key = |name: &str| Key::from_bytes(name.as_bytes());
        let fence = Fence { session, epoch: (7 << 32) + 1, expected: 3, next: 200 };
        vec![
            Commit {
                fence: Some(fence),
                changes: vec![Change::Put(key("ea"), "an event".into()), Change::Delete(key("oa"))],
            },
            Commit { fence: None, changes: vec![Change::Put(key("xa"), vec![9; 130].into())] },
            Commit { fence: None, changes: Vec::new() },
        ]
    }

    fn encoded(group: &[Commit]) -> Vec<u8> {
        let mut record = Vec::new();
        let mut encoder = Encoder::begin(&mut record, AT, group.len());
        group.iter().for_each(|commit| encoder.commit(commit.fence.as_ref(), &commit.changes));
        record
    }

    fn decoded(record: &[u8]) -> Result<Vec<Commit>, NotUnderstood> {
        let mut group = Vec::new();
        decode(record, |commit| group.push(commit)).map(|()| group)
    }

    #[test]
    fn a_group_comes_back_as_it_was_and_fits_into_its_estimate() {
        let record = encoded(&group());
        assert_eq!(format!("{:?}", decoded(&record).expect("understood")), format!("{:?}", group()));
        let most: usize = group().iter().map(|commit| MOST_AROUND + most_bytes(&commit.changes)).sum();
        assert!(record.len() <= most);
        assert_eq!(time(&record), Some(AT));
    }

    /// Every later version must read these bytes.
    #[test]
    fn version_2_is_written_unchanged() {
        let written = encoded(&group()[..1]).escape_ascii().to_string();
        assert_eq!(
            written,
            r"\x02\xfb\xa0\xf1\xc2\xb14\x01\x01\x19cabcdefghijklmnopqrstuvwx\x81\x80\x80\x80p\x03\xc8\x01\x02\x01\x02ea\x08an event\x00\x02oa"
        );
    }

    #[test]
    fn version_1_is_read() {
        let written = encoded(&group());
        let without_time = [&[1], &written[1 + 6..]].concat();
        assert_eq!(format!("{:?}", decoded(&without_time).expect("understood")), format!("{:?}", group()));
        assert_eq!(time(&without_time), None);
    }

    #[test]
    fn other_bytes_are_refused() {
        let record = encoded(&group());
        for length in 0..record.len() {
            assert!(decoded(&record[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(decoded(&[&record[..], b"?"].concat()).err(), Some(NotUnderstood::Malformed));
        assert_eq!(decoded(&[3, 0]).err(), Some(NotUnderstood::Version(3)));
    }
}
