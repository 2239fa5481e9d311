//! Values of any size in rows of at most [`CHUNK`] bytes (and a length).
//!
//! sled writes a page as one log record, and puts a record above 128 KiB into a blob file of its own, which it never syncs. A
//! page holds up to 17 rows and can take in a neighbour's 3: so it is the sum of twenty rows, keys included, that must stay
//! below 128 KiB. (With rows of 64 KiB blob files do appear, and with 8 KiB too.)
//!
//! A value of up to `CHUNK` bytes is stored as it is. Of a longer one, the row holds the first `CHUNK` bytes and the whole
//! length as 8 bytes, and the rest is in rows of its own: key `0xfe, key, 0, chunk number`. So the length of a row tells which it is.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use sled::{Batch, IVec};
use tandem_actors::{
    keys::Key,
    ports::{Change, StoreError},
};

use super::overlay::Before;
use crate::store::rows::RESERVED;

pub(super) const CHUNK: usize = 4096;
const LENGTH: usize = size_of::<u64>();

/// How many rows beyond its own the value of this row has; `None` for a row that is a whole value.
fn continuation(head: &[u8]) -> Option<usize> {
    let length = head.get(CHUNK..)?.first_chunk::<LENGTH>()?;
    Some(continuation_of(u64::from_be_bytes(*length) as usize))
}

fn continuation_of(length: usize) -> usize {
    length.div_ceil(CHUNK).saturating_sub(1)
}

/// The key of the `number`-th row beyond the first, from 1.
fn continuation_key(key: &[u8], number: usize) -> IVec {
    let number = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    [&[RESERVED], key, &[0], &number].concat().into()
}

/// The whole value whose first row is `head`.
pub(super) fn join(
    key: &[u8],
    head: &[u8],
    read: impl Fn(&[u8]) -> Result<Option<IVec>, StoreError>,
) -> Result<Bytes, StoreError> {
    let Some(count) = continuation(head) else { return Ok(Bytes::copy_from_slice(head)) };
    let mut value = BytesMut::with_capacity((count + 1) * CHUNK);
    value.extend_from_slice(&head[..CHUNK]);
    for number in 1..=count {
        let chunk =
            read(&continuation_key(key, number))?.ok_or_else(|| StoreError::new("a part of a row is missing"))?;
        value.extend_from_slice(&chunk);
    }
    Ok(value.freeze())
}

/// The batch that makes the changes, and what each of sled's rows holds before it.
pub(super) fn split(
    changes: &[&Change],
    read: impl Fn(&[u8]) -> Result<Option<IVec>, StoreError>,
) -> Result<(Batch, Vec<Before>), StoreError> {
    let mut writing = Writing { batch: Batch::default(), before: Vec::with_capacity(changes.len()), read };
    // Long values that this group itself has written, with the number of rows beyond the first.
    let mut long: HashMap<&Key, usize> = HashMap::new();
    for change in changes {
        let (key, value) = match change {
            Change::Put(key, value) => (key, Some(value)),
            Change::Delete(key) => (key, None),
        };
        let length = value.map_or(0, Bytes::len);
        let count = continuation_of(length);
        let head = value.map(|value| if count == 0 { value.as_ref().into() } else { long_head(value) });
        let stored = writing.change(key.as_bytes().into(), head)?;
        let old = stored.max(long.get(key).copied().unwrap_or(0));
        if count > 0 {
            long.insert(key, count);
        }
        for (number, chunk) in value.iter().flat_map(|value| value.chunks(CHUNK)).enumerate().skip(1) {
            writing.change(continuation_key(key.as_bytes(), number), Some(chunk.into()))?;
        }
        for number in count + 1..=old {
            writing.change(continuation_key(key.as_bytes(), number), None)?;
        }
    }
    Ok((writing.batch, writing.before))
}

fn long_head(value: &[u8]) -> IVec {
    [&value[..CHUNK], &(value.len() as u64).to_be_bytes()].concat().into()
}

struct Writing<R> {
    batch: Batch,
    before: Vec<Before>,
    read: R,
}

impl<R: Fn(&[u8]) -> Result<Option<IVec>, StoreError>> Writing<R> {
    /// Returns how many rows beyond the first the stored value has.
    fn change(&mut self, key: IVec, value: Option<IVec>) -> Result<usize, StoreError> {
        let before = (self.read)(&key)?;
        let count = before.as_deref().and_then(continuation).unwrap_or(0);
        self.before.push((key.clone(), before));
        match value {
            Some(value) => self.batch.insert(key, value),
            None => self.batch.remove(key),
        }
        Ok(count)
    }
}
