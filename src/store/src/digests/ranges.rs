//! The digests of all rows, in ranges of neighbouring keys.

use std::{collections::BTreeMap, ops::Bound};

use tandem_actors::keys::Key;
use xxhash_rust::xxh3::xxh3_64;

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
pub(crate) struct Digest([u32; 3]);

pub(super) const DIGEST_BYTES: usize = 12;

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
        Self([(hash >> 32) as u32, hash as u32, sum])
    }

    pub(super) fn hash(self) -> u64 {
        u64::from(self.0[0]) << 32 | u64::from(self.0[1])
    }

    pub(super) fn sum(self) -> u32 {
        self.0[2]
    }

    pub(super) fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        let mut bytes = [0; DIGEST_BYTES];
        bytes.chunks_exact_mut(4).zip(self.0).for_each(|(bytes, part)| bytes.copy_from_slice(&part.to_be_bytes()));
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        let mut parts = [0; 3];
        for (part, bytes) in parts.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *part = u32::from_be_bytes(*bytes);
        }
        Self(parts)
    }

    /// Whether it belongs to a row with this key.
    pub fn is_of(self, key: &Key) -> bool {
        self.has_hash(hash(key))
    }

    pub(super) fn has_hash(self, hash: u64) -> bool {
        self.0[0] == (hash >> 32) as u32 && self.0[1] == hash as u32
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
pub(crate) struct Ranges(BTreeMap<Box<[u8]>, Vec<Digest>>);

/// Ranges that follow each other.
#[derive(Debug)]
pub(crate) struct Part {
    /// The start of each range, and the digests of its rows.
    pub ranges: Vec<(Key, Vec<Digest>)>,
    /// Where the next range begins.
    pub to: Option<Key>,
}

/// A range, and the ranges that replace it.
#[derive(Debug, PartialEq, Eq)]
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
    /// From ranges in order; the first one begins before all keys.
    pub(super) fn of(ranges: impl Iterator<Item = (Key, Vec<Digest>)>) -> Self {
        let mut map: BTreeMap<_, _> = ranges.map(|(start, digests)| (start.as_bytes().into(), digests)).collect();
        map.entry(Box::default()).or_default();
        Self(map)
    }

    fn holder(&mut self, key: &[u8]) -> &mut Vec<Digest> {
        let found = self.0.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        found.expect("the first range begins before all keys").1
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.values().map(Vec::len).sum::<usize>() as u64
    }

    /// The digest that the row with this key must have. `None`: there must be no such row.
    pub fn get(&self, key: &Key) -> Option<Digest> {
        let hash = hash(key);
        let range = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(key.as_bytes()))).next_back();
        range.and_then(|(_, digests)| digests.iter().copied().find(|digest| digest.has_hash(hash)))
    }

    /// Returns how many rows its range has.
    pub(super) fn put(&mut self, key: &Key, row: Option<Digest>) -> usize {
        let hash = hash(key);
        let digests = self.holder(key.as_bytes());
        let place = digests.iter().position(|digest| digest.has_hash(hash));
        match (place, row) {
            (Some(place), Some(row)) => digests[place] = row,
            (Some(place), None) => drop(digests.swap_remove(place)),
            (None, Some(row)) => digests.push(row),
            (None, None) => {}
        }
        digests.len()
    }

    pub(super) fn divide(&mut self, DividedRange { start, into }: &DividedRange) {
        self.0.remove(start.as_bytes());
        for (start, digests) in into {
            self.0.insert(start.as_bytes().into(), digests.clone());
        }
        self.0.entry(Box::default()).or_default();
    }

    /// The start of the range that a key lies in.
    pub(super) fn start(&self, key: &Key) -> Key {
        let found = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(key.as_bytes()))).next_back();
        found.map_or_else(|| Key::from_bytes([]), |(start, _)| Key::from_bytes(&**start))
    }

    /// At most `limit` ranges with keys within the bounds, from the first one on.
    pub fn first(&self, bounds: &Bounds, most: usize) -> Part {
        let from = self.start(&Key::from_bytes(bounds.from.as_slice()));
        let mut following = self.0.range::<[u8], _>((Bound::Included(from.as_bytes()), Bound::Unbounded));
        let within = following
            .by_ref()
            .take(most)
            .take_while(|(start, _)| start.as_ref() < bounds.to.as_slice() || start.as_ref() == from.as_bytes());
        let ranges: Vec<_> = within.map(|(start, digests)| (Key::from_bytes(&**start), digests.clone())).collect();
        self.part(ranges)
    }

    /// At most `limit` ranges with keys within the bounds, up to the last one.
    pub fn last(&self, bounds: &Bounds, most: usize) -> Part {
        let before = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(bounds.to.as_slice())));
        let mut ranges = Vec::new();
        for (start, digests) in before.rev().take(most) {
            ranges.push((Key::from_bytes(&**start), digests.clone()));
            if **start <= *bounds.from {
                break;
            }
        }
        ranges.reverse();
        self.part(ranges)
    }

    fn part(&self, ranges: Vec<(Key, Vec<Digest>)>) -> Part {
        let last = ranges.last().map_or(&[][..], |(start, _)| start.as_bytes());
        let next = self.0.range::<[u8], _>((Bound::Excluded(last), Bound::Unbounded)).next();
        Part { to: next.map(|(start, _)| Key::from_bytes(&**start)), ranges }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[Digest])> {
        self.0.iter().map(|(start, digests)| (&**start, digests.as_slice()))
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

/// Compares the rows of one range with their digests. It ignores the keys in `left_out`.
pub(super) fn compare(
    start: &Key,
    digests: &[Digest],
    rows: &[(Key, Digest)],
    left_out: impl Iterator<Item = u64>,
    flaws: &mut Flaws,
) {
    let mut expected = digests.to_vec();
    for hash in left_out {
        expected.retain(|digest| !digest.has_hash(hash));
    }
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
