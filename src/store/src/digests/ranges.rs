//! The digests of all rows, in ranges of neighbouring keys.

use tandem_actors::keys::Key;
use xxhash_rust::xxh3::xxh3_64;

use super::blocks::Blocks;
use crate::{
    own_rows::{checkpoint_key, log_key},
    rows::Bounds,
    seal::{RowCoding, all_sealed, encrypted},
};

/// Rows in a new range.
pub(super) const FILL: usize = 32;
/// A range with this many rows is divided.
pub(super) const FULL: usize = 64;

/// A hash of the key, and the checksum of key and value that is in the row's seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; DIGEST_BYTES]);

pub(super) const DIGEST_BYTES: usize = HASH_BYTES + size_of::<u32>();
const HASH_BYTES: usize = size_of::<u64>();

impl Digest {
    /// The digest of a row as the engine stores it.
    pub fn of_stored(coding: &RowCoding, key: &Key, stored: &[u8]) -> Self {
        Self::new(hash(key), coding.sum(key, stored))
    }

    /// The digest of a row that the engine is going to store.
    pub fn of_value(coding: &RowCoding, key: &Key, value: &[u8]) -> Self {
        Self::new(hash(key), coding.sum_of_value(key, value))
    }

    pub(super) fn new(hash: u64, sum: u32) -> Self {
        let mut bytes = [0; DIGEST_BYTES];
        bytes[..HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
        bytes[HASH_BYTES..].copy_from_slice(&sum.to_be_bytes());
        Self(bytes)
    }

    pub(super) fn hash(self) -> u64 {
        self.0.first_chunk().map_or(0, |hash| u64::from_be_bytes(*hash))
    }

    pub(super) fn sum(self) -> u32 {
        self.0.last_chunk().map_or(0, |sum| u32::from_be_bytes(*sum))
    }

    pub(super) fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        self.0
    }

    pub(super) fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// Whether it belongs to a row with this key.
    pub fn is_of(self, key: &Key) -> bool {
        self.has_hash(hash(key))
    }

    pub(super) fn has_hash(self, hash: u64) -> bool {
        self.hash() == hash
    }
}

pub(super) fn hash(key: &Key) -> u64 {
    xxh3_64(key.as_bytes())
}

/// Whether the row has no digest: it binds the engine's rows to other files, or holds the schema. These rows are
/// checked when the store is opened.
pub(crate) fn has_no_digest(key: &Key) -> bool {
    key.as_bytes().first() == Some(&b'!')
        && [all_sealed(), encrypted(), log_key(), checkpoint_key(), tandem_actors::keys::meta("schema")].contains(key)
}

/// Every key lies in one range. A range goes from its start to the start of the next range.
#[derive(Debug)]
pub(crate) struct Ranges(Blocks);

/// Ranges that follow each other.
#[derive(Debug)]
pub(crate) struct Part {
    /// The start of each range, and the digests of its rows.
    pub ranges: Vec<(Key, Vec<Digest>)>,
    /// Where the next range begins.
    pub to: Option<Key>,
}

/// A range, and the ranges that replace it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DividedRange {
    pub start: Key,
    pub into: Vec<(Key, Vec<Digest>)>,
}

impl Part {
    pub fn from(&self) -> &Key {
        &self.ranges[0].0
    }

    /// The end of each range.
    pub fn ends(&self) -> impl Iterator<Item = Option<&Key>> {
        self.ranges.iter().skip(1).map(|(start, _)| Some(start)).chain([self.to.as_ref()])
    }
}

impl Ranges {
    /// One range without rows.
    pub(super) fn new() -> Self {
        Self(Blocks::new())
    }

    /// Appends ranges in order, as they are in the file, behind all others. `None` if they are not well-formed.
    pub(super) fn append(&mut self, encoded: &[u8]) -> Option<()> {
        self.0.append(encoded)
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.rows() as u64
    }

    /// The digest that the row with this key must have. `None`: there must be no such row.
    pub fn get(&self, key: &Key) -> Option<Digest> {
        self.0.get(key)
    }

    /// Changes the digests of rows in order. Returns the starts of ranges that have become long or empty.
    pub(super) fn put_all(&mut self, mut rows: &[(&Key, Option<Digest>)]) -> Vec<Key> {
        let mut starts = Vec::new();
        while let Some(((key, row), rest)) = rows.split_first() {
            let count = self.0.put(key, *row);
            rows = rest;
            if count > FULL {
                let start = self.start(key);
                rows = &rows[self.0.put_run(start.as_bytes(), rows)..];
                starts.push(start);
            } else if count == 0 {
                starts.push(self.start(key));
            }
        }
        starts
    }

    pub(super) fn divide(&mut self, DividedRange { start, into }: &DividedRange) {
        self.0.remove(start.as_bytes());
        into.iter().for_each(|(start, digests)| self.0.insert(start.as_bytes(), digests));
        self.0.complete();
    }

    /// The start of the range that a key lies in.
    pub(super) fn start(&self, key: &Key) -> Key {
        Key::from_bytes(self.0.holder(key.as_bytes()).start)
    }

    /// At most `most` ranges with keys within the bounds, from the first one on.
    pub fn first(&self, bounds: &Bounds, most: usize) -> Part {
        let mut ranges = self.0.from(&bounds.from);
        let first = ranges.next().filter(|_| most > 0);
        let within = ranges.take(most.saturating_sub(1)).take_while(|range| range.start < bounds.to.as_slice());
        self.part(first.into_iter().chain(within).map(|range| range.decoded()).collect())
    }

    /// At most `most` ranges with keys within the bounds, up to the last one.
    pub fn last(&self, bounds: &Bounds, most: usize) -> Part {
        let mut ranges = Vec::new();
        for range in self.0.before(&bounds.to).take(most) {
            ranges.push(range.decoded());
            if range.start <= bounds.from.as_slice() {
                break;
            }
        }
        ranges.reverse();
        self.part(ranges)
    }

    fn part(&self, ranges: Vec<(Key, Vec<Digest>)>) -> Part {
        let last = ranges.last().map_or(&[][..], |(start, _)| start.as_bytes());
        Part { to: self.0.after(last).map(|range| Key::from_bytes(range.start)), ranges }
    }

    /// All ranges with their starts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Vec<Digest>)> {
        self.0.iter().map(|range| range.decoded())
    }

    /// The starts of some ranges, spread over all rows.
    pub(super) fn spread(&self, most: usize) -> Vec<Key> {
        self.0.spread(most).map(Key::from_bytes).collect()
    }

    /// All ranges as they are in the file, in several parts.
    pub(super) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        self.0.encoded()
    }
}

/// Divides rows in order into ranges.
pub(super) fn in_ranges(first: &Key, rows: &[(Key, Digest)]) -> Vec<(Key, Vec<Digest>)> {
    let mut ranges: Vec<_> = rows
        .chunks(FILL)
        .map(|rows| (rows[0].0.clone(), rows.iter().map(|(_, digest)| *digest).collect::<Vec<_>>()))
        .collect();
    if let Some((start, _)) = ranges.first_mut() {
        *start = first.clone();
    }
    ranges
}

/// The flaws of the rows in some ranges.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    /// Rows that differ from what was last written.
    pub wrong: Vec<Key>,
    /// Missing rows, by the range in which they should be.
    pub missing: Vec<(Key, Vec<Digest>)>,
}

impl Flaws {
    pub fn is_none(&self) -> bool {
        self.wrong.is_empty() && self.missing.is_empty()
    }
}

/// Compares the rows of one range with their digests.
pub(super) fn compare(start: &Key, mut expected: Vec<Digest>, rows: &[(Key, Digest)], flaws: &mut Flaws) {
    expected.sort_unstable();
    let mut found: Vec<_> = rows.iter().map(|(_, digest)| *digest).collect();
    found.sort_unstable();
    if found == expected {
        return;
    }
    for (key, digest) in rows {
        match expected.iter().position(|expected| expected == digest) {
            Some(place) => drop(expected.remove(place)),
            None => {
                expected.retain(|expected| !expected.is_of(key));
                flaws.wrong.push(key.clone());
            }
        }
    }
    if !expected.is_empty() {
        flaws.missing.push((start.clone(), expected));
    }
}
