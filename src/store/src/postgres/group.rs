//! The changes of one group as arrays for a statement. Of two changes of one row, the later one counts.

use std::collections::HashSet;

use bytes::Bytes;
use tandem_actors::{keys::Key, ports::Change};

use crate::seal::seal;

/// The arrays of one statement.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub deleted: Vec<Key>,
    pub keys: Vec<Key>,
    /// The encoded values.
    pub values: Vec<Bytes>,
}

impl Group {
    /// In the order of `keys`.
    pub fn of<'a>(changes: impl DoubleEndedIterator<Item = &'a Change>) -> Self {
        let mut group = Self::default();
        let mut seen = HashSet::new();
        for change in changes.rev() {
            let (Change::Put(key, _) | Change::Delete(key)) = change;
            if !seen.insert(key) {
                continue;
            }
            match seal(change) {
                Change::Put(key, value) => {
                    group.keys.push(key);
                    group.values.push(value);
                }
                Change::Delete(key) => group.deleted.push(key),
            }
        }
        group
    }

    pub fn deleted(&self) -> Vec<&[u8]> {
        self.deleted.iter().map(Key::as_bytes).collect()
    }

    pub fn keys(&self) -> Vec<&[u8]> {
        self.keys.iter().map(Key::as_bytes).collect()
    }

    pub fn values(&self) -> Vec<&[u8]> {
        self.values.iter().map(AsRef::as_ref).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_of_a_row_is_the_one_that_is_written() {
        let key = |name: &str| Key::from_bytes(name.as_bytes());
        let put = |name: &str, value: &'static str| Change::Put(key(name), value.into());
        let changes =
            [put("xa", "1"), put("xb", "1"), Change::Delete(key("xa")), Change::Delete(key("xc")), put("xc", "2")];
        let group = Group::of(changes.iter());
        assert_eq!((group.deleted, group.keys), (vec![key("xa")], vec![key("xc"), key("xb")]));
        assert!(group.values[0].ends_with(b"2") && group.values[1].ends_with(b"1"));
    }
}
