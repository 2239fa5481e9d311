//! The trait of the engines: rows, and atomic durable batches of changes. Ownership, refusal after a failure and the
//! schema are the same for all engines and are implemented above it.

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
};

use bytes::Bytes;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use super::seal::RowCoding;

/// Keys that begin with these bytes belong to the engine. The store's keys (`keys.rs`) begin with an ASCII character.
pub(super) const RESERVED: u8 = 0xfe;

/// Rows of one page when all rows are read.
pub(super) const PAGE: usize = 1024;

/// Whether a row of a store may have this key.
pub(super) fn is_allowed(key: &Key) -> bool {
    key.as_bytes().first().is_some_and(|first| *first < RESERVED)
}

/// Refuses a change with a reserved key.
pub(super) fn check_key(key: &Key) -> Result<(), StoreError> {
    if is_allowed(key) { Ok(()) } else { Err(StoreError::new("a key must begin with a byte below 0xfe")) }
}

pub(super) trait Rows: Send + Sync + 'static {
    /// The value of one row. Sees only durable changes.
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;

    /// The values of several rows, in the order of `keys`. An engine whose readers wait for its writer lets them wait
    /// once.
    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// The rows of a range, as they are at one moment. Sees only durable changes.
    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError>;

    /// The rows whose keys begin with `prefix`, beyond `after`.
    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        Bounds::of(prefix, after, direction).map_or(Ok(Vec::new()), |bounds| self.range(&bounds, direction, limit))
    }

    /// Writes all changes or none, and returns when they are durable. Of two changes for one key, the later one counts.
    /// After an error the rows must be reopened before the next call.
    fn write(&self, changes: &[&Change]) -> Result<(), StoreError>;

    /// The coding of values.
    fn row_coding(&self) -> RowCoding {
        RowCoding::default()
    }

    /// Writes changes of a database that nobody uses yet. They are durable after [`Rows::complete`].
    fn fill(&self, changes: &[&Change]) -> Result<(), StoreError> {
        self.write(changes)
    }

    /// Makes the filled rows durable.
    fn complete(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The best size of one write, in bytes.
    fn batch_bytes(&self) -> usize {
        usize::MAX
    }

    /// Checks whether the files are still where the next start looks for them.
    fn check_identity(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes durable what the engine has written while it was read.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Prepares a fast next start, while nothing is written. Readers continue. Returns whether it did anything.
    fn shorten_next_start(&self) -> std::io::Result<bool> {
        Ok(false)
    }

    /// Closes the files, so that the next start has nothing to repair.
    fn close(&self) {}
}

/// Passes all rows whose keys begin with `prefix` to `take`, in order and page by page.
pub(super) fn in_pages<E>(
    rows: &dyn Rows,
    prefix: &[u8],
    unreadable: impl Fn(StoreError) -> E,
    mut take: impl FnMut(Vec<(Key, Bytes)>) -> Result<(), E>,
) -> Result<(), E> {
    let (prefix, mut last) = (Key::from_bytes(prefix), None);
    loop {
        let page = rows.scan(&prefix, last.as_ref(), Direction::Forward, PAGE).map_err(&unreadable)?;
        let Some((key, _)) = page.last() else { return Ok(()) };
        last = Some(key.clone());
        take(page)?;
    }
}

/// How a stopped store is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// For a copy: a damaged row is an error, and so is a node that uses the database.
    Strict,
    /// To look at the rows: a damaged row is left out.
    Lenient,
}

/// Why an engine did not open its database.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsOpenError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Unreadable(String),
    /// Another process has the file open.
    #[error("the file is in use")]
    Locked,
}

/// The bounds of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub from: Vec<u8>,
    /// Whether `from` itself is excluded.
    pub beyond_from: bool,
    /// Excluded.
    pub to: Vec<u8>,
}

impl Bounds {
    /// `None` if the range is empty. A scan ends before the reserved keys.
    pub fn of(prefix: &Key, after: Option<&Key>, direction: Direction) -> Option<Self> {
        let prefix = prefix.as_bytes();
        let end = successor(prefix).filter(|end| end[0] <= RESERVED).unwrap_or_else(|| vec![RESERVED]);
        let mut bounds = Self { from: prefix.to_vec(), beyond_from: false, to: end };
        match (direction, after.map(Key::as_bytes)) {
            (Direction::Forward, Some(after)) if after >= prefix => {
                bounds.from = after.to_vec();
                bounds.beyond_from = true;
            }
            (Direction::Backward, Some(after)) if after < bounds.to.as_slice() => bounds.to = after.to_vec(),
            _ => {}
        }
        (bounds.from < bounds.to).then_some(bounds)
    }

    /// From the first key up to the second (excluded). `None`: up to the last key.
    pub fn between(from: &Key, to: Option<&Key>) -> Self {
        let to = to.map_or(vec![RESERVED], |to| to.as_bytes().to_vec());
        Self { from: from.as_bytes().to_vec(), beyond_from: false, to }
    }

    /// The same as bounds of Rust's ranges.
    pub fn range(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let from = self.from.as_slice();
        let from = if self.beyond_from { Bound::Excluded(from) } else { Bound::Included(from) };
        (from, Bound::Excluded(&self.to))
    }

    pub fn contains(&self, key: &Key) -> bool {
        RangeBounds::<[u8]>::contains(&self.range(), key.as_bytes())
    }

    /// At most `limit` rows of a map.
    pub fn page_of<V: Clone>(&self, map: &BTreeMap<Key, V>, direction: Direction, limit: usize) -> Vec<(Key, V)> {
        let (from, to) = self.range();
        let range = map.range((from.map(Key::from_bytes), to.map(Key::from_bytes)));
        let copy = |(key, value): (&Key, &V)| (key.clone(), value.clone());
        match direction {
            Direction::Forward => range.take(limit).map(copy).collect(),
            Direction::Backward => range.rev().take(limit).map(copy).collect(),
        }
    }
}

/// The smallest key above all keys with this prefix. `None` for an empty prefix, and for one of 0xff bytes only.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(prefix: &[u8], after: Option<&[u8]>, direction: Direction) -> Option<(Vec<u8>, bool, Vec<u8>)> {
        let after = after.map(Key::from_bytes);
        Bounds::of(&Key::from_bytes(prefix), after.as_ref(), direction).map(|b| (b.from, b.beyond_from, b.to))
    }

    #[test]
    fn a_prefix_ends_before_its_successor() {
        use Direction::*;
        assert_eq!(bounds(b"ab", None, Forward), Some((b"ab".to_vec(), false, b"ac".to_vec())));
        assert_eq!(bounds(b"a\xff\xff", None, Forward), Some((b"a\xff\xff".to_vec(), false, b"b".to_vec())));
        assert_eq!(bounds(b"", None, Forward), Some((vec![], false, vec![RESERVED])));
        assert_eq!(bounds(b"\xfe", None, Forward), None);
        assert_eq!(bounds(b"\xff", None, Backward), None);
    }

    #[test]
    fn after_is_a_lower_bound_forward_and_an_upper_bound_backward() {
        use Direction::*;
        assert_eq!(bounds(b"a", Some(b"ab"), Forward), Some((b"ab".to_vec(), true, b"b".to_vec())));
        assert_eq!(bounds(b"a", Some(b"ab"), Backward), Some((b"a".to_vec(), false, b"ab".to_vec())));
        assert_eq!(bounds(b"b", Some(b"a"), Forward), Some((b"b".to_vec(), false, b"c".to_vec())));
        assert_eq!(bounds(b"b", Some(b"a"), Backward), None);
        assert_eq!(bounds(b"b", Some(b"x"), Forward), None);
        assert_eq!(bounds(b"b", Some(b"x"), Backward), Some((b"b".to_vec(), false, b"c".to_vec())));
    }
}
