//! What a group that is not yet durable has changed: for each of sled's keys the value before. Readers are given that one, so
//! nobody sees what a power cut can take back, and nobody waits for a flush.

use std::cmp::Ordering;

use sled::IVec;
use tandem_actors::ports::Direction;

use crate::store::rows::Bounds;

/// One of sled's keys, and its value before the group; `None`: it was not there.
pub(super) type Before = (IVec, Option<IVec>);

#[derive(Default)]
pub(super) struct Overlay {
    /// Sorted by key, each key once.
    rows: Vec<Before>,
}

impl Overlay {
    pub fn new(mut rows: Vec<Before>) -> Self {
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows.dedup_by(|later, earlier| later.0 == earlier.0);
        Self { rows }
    }

    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// `None`: the group does not touch the key.
    pub fn before(&self, key: &[u8]) -> Option<&Option<IVec>> {
        let at = self.rows.binary_search_by(|row| (*row.0).cmp(key)).ok()?;
        Some(&self.rows[at].1)
    }

    /// The rows of `tree` within the bounds as they were before the group.
    pub fn scan(
        &self,
        tree: &sled::Tree,
        bounds: &Bounds,
        direction: Direction,
        limit: usize,
    ) -> sled::Result<Vec<(IVec, IVec)>> {
        let from = if bounds.beyond_from {
            std::ops::Bound::Excluded(bounds.from.as_slice())
        } else {
            std::ops::Bound::Included(bounds.from.as_slice())
        };
        let stored = tree.range::<&[u8], _>((from, std::ops::Bound::Excluded(bounds.to.as_slice())));
        let touched = self.within(bounds).iter();
        match direction {
            Direction::Forward => merge(stored, touched, |a, b| a.cmp(b), limit),
            Direction::Backward => merge(stored.rev(), touched.rev(), |a, b| b.cmp(a), limit),
        }
    }

    fn within(&self, bounds: &Bounds) -> &[Before] {
        let from = self
            .rows
            .partition_point(|row| if bounds.beyond_from { *row.0 <= *bounds.from } else { *row.0 < *bounds.from });
        let to = self.rows.partition_point(|row| *row.0 < *bounds.to);
        self.rows.get(from..to).unwrap_or(&[])
    }
}

/// Both come in `order`; where both have a key, the value before counts.
fn merge<'a>(
    stored: impl Iterator<Item = sled::Result<(IVec, IVec)>>,
    touched: impl Iterator<Item = &'a Before>,
    order: impl Fn(&[u8], &[u8]) -> Ordering,
    limit: usize,
) -> sled::Result<Vec<(IVec, IVec)>> {
    let (mut stored, mut touched) = (stored.peekable(), touched.peekable());
    let mut rows = Vec::new();
    while rows.len() < limit {
        let next = match (stored.peek(), touched.peek()) {
            (None, None) => break,
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(Ok((key, _))), Some((changed, _))) => order(key, changed),
        };
        if next == Ordering::Less {
            rows.extend(stored.next().transpose()?);
            continue;
        }
        if next == Ordering::Equal {
            stored.next();
        }
        if let Some((key, Some(before))) = touched.next() {
            rows.push((key.clone(), before.clone()));
        }
    }
    Ok(rows)
}
