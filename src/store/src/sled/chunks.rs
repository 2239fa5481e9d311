//! Values of any size in rows of at most [`CHUNK`] bytes (and a length).
//!
//! sled writes a page as one log record. It puts a record above 128 KiB into a blob file, which it never syncs. A page
//! has up to 17 rows, and can merge 3 rows of a neighbour. So twenty rows with their keys must stay below 128 KiB.
//! (Blob files do appear with rows of 64 KiB, and even with rows of 8 KiB.)
//!
//! A value of up to `CHUNK` bytes is stored as it is. For a longer value, the row has the first `CHUNK` bytes and the
//! whole length as 8 bytes. The rest is in further rows with the keys `0xfe, key, 0, chunk number`. The length of a row
//! shows whether there are further rows.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use sled::{Batch, IVec};
use tandem_actors::ports::{Change, StoreError};

use crate::rows::RESERVED;

pub(super) const CHUNK: usize = 4096;
const LENGTH: usize = size_of::<u64>();
const NUMBER: usize = size_of::<u32>();

/// The number of further rows of a value of this length.
fn continuation(length: usize) -> usize {
    length.div_ceil(CHUNK).saturating_sub(1)
}

/// The key of a further row, numbered from 1.
fn continuation_key(key: &[u8], number: usize) -> IVec {
    let number = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    [&[RESERVED], key, &[0], &number].concat().into()
}

fn long_head(value: &[u8]) -> IVec {
    [&value[..CHUNK], &(value.len() as u64).to_be_bytes()].concat().into()
}

/// The whole value whose first row is `head`. If a part is missing or too long, the result is `head` itself. Its
/// checksum is wrong, so the row counts as damaged and other rows can be read.
pub(super) fn join(
    key: &[u8],
    head: &[u8],
    read: impl Fn(&[u8]) -> Result<Option<IVec>, StoreError>,
) -> Result<Bytes, StoreError> {
    let Some(length) = head.get(CHUNK..).and_then(|rest| rest.first_chunk::<LENGTH>()) else {
        return Ok(Bytes::copy_from_slice(head));
    };
    let length = u64::from_be_bytes(*length) as usize;
    let mut value = BytesMut::from(&head[..CHUNK]);
    for number in 1..=continuation(length) {
        let Some(chunk) = read(&continuation_key(key, number))? else { break };
        value.extend_from_slice(&chunk);
    }
    Ok(if value.len() == length { value.freeze() } else { Bytes::copy_from_slice(head) })
}

/// The long values, with the number of their further rows. The writer must know them without reading, because a read
/// can make sled write (see [`super`]).
#[derive(Default)]
pub(super) struct LongValues(HashMap<IVec, usize>);

impl LongValues {
    pub fn load(tree: &sled::Tree) -> sled::Result<Self> {
        let mut long = HashMap::new();
        for key in tree.range([RESERVED]..).keys() {
            let key = key?;
            let Some((head, number)) = key.split_last_chunk::<NUMBER>() else { continue };
            let Some(head) = head.get(1..head.len() - 1) else { continue };
            let count = long.entry(IVec::from(head)).or_default();
            *count = u32::from_be_bytes(*number).max(*count as u32) as usize;
        }
        Ok(Self(long))
    }

    /// A batch with the changes, and the keys of the changed rows.
    pub fn split(&mut self, changes: &[&Change]) -> (Batch, Vec<IVec>) {
        let mut batch = Batch::default();
        let mut keys = Vec::with_capacity(changes.len());
        for change in changes {
            let (key, value) = match change {
                Change::Put(key, value) => (key.as_bytes(), Some(value)),
                Change::Delete(key) => (key.as_bytes(), None),
            };
            let head = IVec::from(key);
            let count = continuation(value.map_or(0, Bytes::len));
            match value {
                Some(value) if count == 0 => batch.insert(head.clone(), value.as_ref()),
                Some(value) => batch.insert(head.clone(), long_head(value)),
                None => batch.remove(head.clone()),
            }
            if count > 0 || !self.0.is_empty() {
                self.continue_row(&mut batch, &head, value.map_or(&[], |value| value.as_ref()), count);
            }
            keys.push(head);
        }
        (batch, keys)
    }

    fn continue_row(&mut self, batch: &mut Batch, key: &IVec, value: &[u8], count: usize) {
        for (number, chunk) in value.chunks(CHUNK).enumerate().skip(1) {
            batch.insert(continuation_key(key, number), chunk);
        }
        let before = if count > 0 { self.0.insert(key.clone(), count) } else { self.0.remove(key) };
        for number in count + 1..=before.unwrap_or(0) {
            batch.remove(continuation_key(key, number));
        }
    }
}
