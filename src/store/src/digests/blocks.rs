//! Ranges in memory, in blocks of some dozens, encoded as in the file. A block needs one allocation, and a read file
//! is copied into blocks without a step for each row.
//!
//! ```text
//! a range: length of its start (u32), start, number of digests (u32), digests; big-endian
//! ```

use std::{
    collections::BTreeMap,
    iter,
    ops::Bound::{self, Excluded, Included, Unbounded},
};

use tandem_actors::keys::Key;

use super::ranges::{DIGEST_BYTES, Digest, hash};

/// A block that is read, or divided, has about this many bytes.
const BLOCK: usize = 8 << 10;
const NUMBER: usize = size_of::<u32>();

/// All ranges in order. The first one begins before all keys.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Each block has a name. It holds the ranges that begin between its name and the next one.
    blocks: BTreeMap<Box<[u8]>, Vec<u8>>,
    ranges: usize,
    rows: usize,
}

/// A range in its block.
#[derive(Clone, Copy)]
pub(super) struct EncodedRange<'a> {
    pub start: &'a [u8],
    digests: &'a [[u8; DIGEST_BYTES]],
    /// Where it begins in the block.
    at: usize,
}

impl<'a> EncodedRange<'a> {
    pub fn decode(block: &'a [u8], at: usize) -> Option<Self> {
        let (start, rest) = take(block.get(at..)?, 1)?;
        let (digests, _) = take(rest, DIGEST_BYTES)?;
        Some(Self { start, digests: digests.as_chunks().0, at })
    }

    pub fn len(&self) -> usize {
        self.digests.len()
    }

    pub fn digests(&self) -> impl Iterator<Item = Digest> + use<'a> {
        self.digests.iter().map(|digest| Digest::from_bytes(*digest))
    }

    /// The start as a key, and the digests.
    pub fn decoded(&self) -> (Key, Vec<Digest>) {
        (Key::from_bytes(self.start), self.digests().collect())
    }

    fn place(&self, hash: u64) -> Option<usize> {
        let hash = hash.to_be_bytes();
        self.digests.iter().position(|digest| digest.starts_with(&hash))
    }

    /// Where its digests begin in the block.
    fn first(&self) -> usize {
        self.at + NUMBER + self.start.len() + NUMBER
    }

    /// Where it ends in the block.
    pub fn end(&self) -> usize {
        self.first() + self.digests.len() * DIGEST_BYTES
    }
}

/// Takes a number, and that many parts of this size.
fn take(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER>()?;
    rest.split_at_checked((u32::from_be_bytes(*number) as usize).checked_mul(size)?)
}

pub(super) fn number(number: usize) -> [u8; NUMBER] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

pub(super) fn encode(to: &mut Vec<u8>, start: &[u8], digests: &[Digest]) {
    to.extend(number(start.len()));
    to.extend_from_slice(start);
    to.extend(number(digests.len()));
    digests.iter().for_each(|digest| to.extend(digest.to_bytes()));
}

/// The names of blocks that may hold the key's range.
fn up_to(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Unbounded, Included(key))
}

/// The ranges of a block, or of a part of the file.
fn ranges_of(block: &[u8]) -> impl DoubleEndedIterator<Item = EncodedRange<'_>> + use<'_> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(range) = EncodedRange::decode(block, at) {
        at = range.end();
        ranges.push(range);
    }
    ranges.into_iter()
}

/// The last range of a block that begins up to this key.
fn holder<'a>(block: &'a [u8], key: &[u8]) -> Option<EncodedRange<'a>> {
    let mut at = 0;
    let next = || EncodedRange::decode(block, at).filter(|range| range.start <= key).inspect(|range| at = range.end());
    iter::from_fn(next).last()
}

impl Blocks {
    pub fn new() -> Self {
        let mut new = Self { blocks: BTreeMap::from([(Box::default(), Vec::new())]), ranges: 0, rows: 0 };
        new.complete();
        new
    }

    /// Makes the first range again, if it is not there.
    pub fn complete(&mut self) {
        if self.iter().next().is_none_or(|range| !range.start.is_empty()) {
            self.insert(&[], &[]);
        }
    }

    /// Appends encoded ranges in order, behind all others. `None` if they are not well-formed or not in order.
    pub fn append(&mut self, encoded: &[u8]) -> Option<()> {
        let last = self.blocks.values().next_back().and_then(|block| ranges_of(block).next_back());
        let last = last.map(|range| range.start.to_vec());
        let mut last = last.as_deref();
        let (mut begin, mut at) = (0, 0);
        let mut cut = Vec::new();
        while at < encoded.len() {
            let range = EncodedRange::decode(encoded, at)?;
            if range.start.is_empty() && self.ranges == 1 && self.rows == 0 && at == 0 {
                // It replaces the empty first range.
                (last, self.ranges) = (None, 0);
                self.blocks.clear();
            }
            if last.is_some_and(|last| last >= range.start) {
                return None;
            }
            if at - begin >= BLOCK {
                cut.push(begin..at);
                begin = at;
            }
            last = Some(range.start);
            self.ranges += 1;
            self.rows += range.len();
            at = range.end();
        }
        cut.push(begin..at);
        for part in cut.into_iter().filter(|part| !part.is_empty()) {
            let block = &encoded[part];
            let name = EncodedRange::decode(block, 0)?.start;
            self.blocks.insert(name.into(), block.to_vec());
        }
        Some(())
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The range that a key lies in.
    pub fn holder(&self, key: &[u8]) -> EncodedRange<'_> {
        let mut blocks = self.blocks.range::<[u8], _>(up_to(key)).rev();
        blocks.find_map(|(_, block)| holder(block, key)).expect("the first range begins before all keys")
    }

    pub fn get(&self, key: &Key) -> Option<Digest> {
        let range = self.holder(key.as_bytes());
        range.place(hash(key)).map(|place| Digest::from_bytes(range.digests[place]))
    }

    /// Returns how many rows the key's range has.
    pub fn put(&mut self, key: &Key, row: Option<Digest>) -> usize {
        let mut blocks = self.blocks.range_mut::<[u8], _>(up_to(key.as_bytes())).rev();
        let found =
            blocks.find_map(|(_, block)| holder(block, key.as_bytes()).map(|range| range.at).map(|at| (block, at)));
        let (block, at) = found.expect("the first range begins before all keys");
        let range = EncodedRange::decode(block, at).expect("it was just found");
        let (place, mut count, first, end) = (range.place(hash(key)), range.len(), range.first(), range.end());
        let place = place.map(|place| first + place * DIGEST_BYTES);
        match (place, row) {
            (Some(place), Some(row)) => block[place..place + DIGEST_BYTES].copy_from_slice(&row.to_bytes()),
            (Some(place), None) => {
                block.copy_within(end - DIGEST_BYTES..end, place);
                block.drain(end - DIGEST_BYTES..end);
                count -= 1;
                self.rows -= 1;
            }
            (None, Some(row)) => {
                insert_at(block, end, &row.to_bytes());
                count += 1;
                self.rows += 1;
            }
            (None, None) => return count,
        }
        block[first - NUMBER..first].copy_from_slice(&number(count));
        self.divide_block(key.as_bytes());
        count
    }

    /// Changes those of the rows that lie in this range, and returns how many they are. The rows are in order. The
    /// range may be long, so it is not searched for each of them.
    pub fn put_run(&mut self, start: &[u8], rows: &[(&Key, Option<Digest>)]) -> usize {
        let end = self.after(start).map(|range| range.start);
        let here = rows.partition_point(|(key, _)| end.is_none_or(|end| key.as_bytes() < end));
        if here > 0 {
            let mut digests: BTreeMap<u64, Digest> =
                self.holder(start).digests().map(|digest| (digest.hash(), digest)).collect();
            for (key, row) in &rows[..here] {
                match row {
                    Some(row) => digests.insert(hash(key), *row),
                    None => digests.remove(&hash(key)),
                };
            }
            self.insert(start, &digests.into_values().collect::<Vec<_>>());
        }
        here
    }

    /// Removes the range that begins with this key, if there is one.
    pub fn remove(&mut self, start: &[u8]) {
        let Some((name, block)) = self.blocks.range_mut::<[u8], _>(up_to(start)).next_back() else { return };
        let Some(range) = holder(block, start).filter(|range| range.start == start) else { return };
        let (at, end) = (range.at, range.end());
        self.ranges -= 1;
        self.rows -= range.len();
        block.drain(at..end);
        if block.is_empty() && !name.is_empty() {
            let name = name.clone();
            self.blocks.remove(&name);
        }
    }

    /// Puts a range in its place. It replaces one that begins with the same key.
    pub fn insert(&mut self, start: &[u8], digests: &[Digest]) {
        self.remove(start);
        let (_, block) =
            self.blocks.range_mut::<[u8], _>(up_to(start)).next_back().expect("the first block has no name");
        let at = holder(block, start).map_or(0, |range| range.end());
        let mut encoded = Vec::new();
        encode(&mut encoded, start, digests);
        insert_at(block, at, &encoded);
        self.ranges += 1;
        self.rows += digests.len();
        self.divide_block(start);
    }

    /// Divides the block that a key lies in, if it is long and has several ranges.
    fn divide_block(&mut self, key: &[u8]) {
        let Some((_, block)) = self.blocks.range_mut::<[u8], _>(up_to(key)).next_back() else { return };
        if block.len() <= 2 * BLOCK {
            return;
        }
        let middle = block.len() / 2;
        let starts = ranges_of(block).map(|range| (range.at, range.start)).filter(|(at, _)| *at > 0);
        let Some((at, name)) = starts.min_by_key(|(at, _)| at.abs_diff(middle)) else { return };
        let name = Box::from(name);
        let rest = block[at..].to_vec();
        block.truncate(at);
        block.shrink_to_fit();
        self.blocks.insert(name, rest);
    }

    pub fn iter(&self) -> impl Iterator<Item = EncodedRange<'_>> {
        self.blocks.values().flat_map(|block| ranges_of(block))
    }

    /// The ranges from the one that a key lies in.
    pub fn from(&self, key: &[u8]) -> impl Iterator<Item = EncodedRange<'_>> {
        let first = self.holder(key).start;
        let blocks = self.blocks.range::<[u8], _>((Included(first), Unbounded));
        // The name of its block may be a smaller key.
        let before = self.blocks.range::<[u8], _>((Unbounded, Excluded(first))).next_back();
        let blocks = before.into_iter().chain(blocks);
        blocks.flat_map(|(_, block)| ranges_of(block)).skip_while(move |range| range.start < first)
    }

    /// The ranges that begin before this key, from the last one back.
    pub fn before<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = EncodedRange<'a>> {
        let blocks = self.blocks.range::<[u8], _>((Unbounded, Excluded(key))).rev();
        blocks.flat_map(|(_, block)| ranges_of(block).rev()).skip_while(move |range| range.start >= key)
    }

    /// The first range that begins after this key.
    pub fn after(&self, key: &[u8]) -> Option<EncodedRange<'_>> {
        self.from(key).find(|range| range.start > key)
    }

    /// The encoded ranges, block by block.
    pub fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.values().map(Vec::as_slice)
    }

    /// At most this many starts of ranges, from blocks at equal distances.
    pub fn spread(&self, most: usize) -> impl Iterator<Item = &[u8]> {
        let step = self.blocks.len().div_ceil(most.max(1)).max(1);
        let blocks = self.blocks.values().step_by(step);
        blocks.filter_map(|block| EncodedRange::decode(block, 0)).map(|range| range.start)
    }
}

/// A vector would double its space.
fn insert_at(block: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if block.capacity() - block.len() < bytes.len() {
        block.reserve_exact(bytes.len().max(block.len() / 8));
    }
    block.splice(at..at, bytes.iter().copied());
}

#[cfg(test)]
mod tests;
