//! Walks over many rows without holding all of them in memory.

use bytes::Bytes;

use crate::ports::{Direction, Key, Store, StoreError};

/// Rows in one page.
pub(crate) const PAGE: usize = 256;

/// The rows under a prefix in the order of their keys, one page at a time. Rows that are added meanwhile behind the
/// last page are found, too.
pub struct Pages<'a> {
    store: &'a dyn Store,
    prefix: Key,
    after: Option<Key>,
}

/// All rows under `prefix`.
pub fn pages(store: &dyn Store, prefix: Key) -> Pages<'_> {
    Pages { store, prefix, after: None }
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<(Key, Bytes)>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = match self.store.scan(&self.prefix, self.after.as_ref(), Direction::Forward, PAGE) {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        self.after = Some(page.last()?.0.clone());
        Some(Ok(page))
    }
}
