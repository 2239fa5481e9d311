//! Rows that are durable in the journal and not yet in the engine. Reads see them over the engine's.
//!
//! There are at most two generations. The frozen one is being written to the engine. The active one gets new commits. A
//! row that changes several times within one generation is written to the engine once, with its last value. A row that
//! is made and deleted within one generation leaves nothing.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use parking_lot::RwLock;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use crate::rows::Bounds;

/// Bytes of memory that a row takes beside its key and value.
pub(crate) const AROUND: usize = 128;

/// Rows by key. `None` for deleted rows.
pub(crate) type Map = BTreeMap<Key, Option<Bytes>>;

#[derive(Debug, Default)]
pub(crate) struct Generation {
    pub rows: Map,
    /// The last group in it.
    pub group: u64,
    number: u64,
    bytes: usize,
    /// Bytes of its groups in the journal.
    pub journal: u64,
    since: Option<Instant>,
}

#[derive(Default)]
struct Generations {
    active: Generation,
    frozen: Option<Arc<Generation>>,
}

#[derive(Default)]
pub(crate) struct Recent {
    state: RwLock<Generations>,
    /// A scan that was repeated several times holds it for reading, so that no generation is frozen meanwhile.
    freezing: RwLock<()>,
}

/// How often a scan is repeated because the generations have changed. After that it blocks such changes.
const PATIENCE: u32 = 3;

/// The amount of recent rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecentSize {
    /// In memory.
    pub bytes: usize,
    /// In memory, in the active generation.
    pub active: usize,
    /// In the journal, and not being written to the engine.
    pub journal: u64,
    /// When the oldest of them was committed.
    pub since: Option<Instant>,
}

/// A row of a scan, and whether it was read from the engine.
pub(crate) type ScannedRow = (Key, Bytes, Origin);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Recent,
    Engine,
}

impl Generation {
    /// A deleted row is only remembered if there `may_be` an older one.
    fn take(&mut self, change: &Change, may_be: impl FnOnce(&Key) -> bool) {
        let (key, value) = match change {
            Change::Put(key, value) => (key, Some(value.clone())),
            Change::Delete(key) => (key, None),
        };
        let length = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let added = length(&value);
        match self.rows.entry(key.clone()) {
            Entry::Vacant(place) => {
                self.bytes += AROUND + key.as_bytes().len() + added;
                place.insert(value);
            }
            Entry::Occupied(row) if value.is_none() && row.get().is_some() && !may_be(key) => {
                self.bytes -= AROUND + key.as_bytes().len() + length(&row.remove());
            }
            Entry::Occupied(mut row) => {
                self.bytes = self.bytes + added - length(row.get());
                row.insert(value);
            }
        }
    }
}

impl Recent {
    /// Adds a durable group. Readers see all of it at once. `is_absent` is true only for rows that the engine certainly
    /// does not have, apart from those of the frozen generation.
    pub fn take<'a>(
        &self,
        group: u64,
        journal: u64,
        changes: impl Iterator<Item = &'a Change>,
        is_absent: impl Fn(&Key) -> bool,
    ) {
        let mut state = self.state.write();
        let Generations { active, frozen } = &mut *state;
        let is_frozen = |key: &Key| frozen.as_ref().is_some_and(|frozen| frozen.rows.contains_key(key));
        changes.for_each(|change| active.take(change, |key| is_frozen(key) || !is_absent(key)));
        active.group = group;
        active.journal += journal;
        active.since.get_or_insert_with(Instant::now);
    }

    pub fn amount(&self) -> RecentSize {
        let state = self.state.read();
        let frozen = state.frozen.as_ref();
        RecentSize {
            bytes: state.active.bytes + frozen.map_or(0, |frozen| frozen.bytes),
            active: state.active.bytes,
            journal: state.active.journal,
            since: frozen.and_then(|frozen| frozen.since).or(state.active.since),
        }
    }

    /// The generation to be written to the engine, if there are rows. Without a frozen generation, it freezes the
    /// active one.
    pub fn freeze(&self) -> Option<Arc<Generation>> {
        let _no_scan = self.freezing.write();
        let mut state = self.state.write();
        if state.frozen.is_none() && state.active.since.is_some() {
            let next = Generation { number: state.active.number + 1, ..Generation::default() };
            let frozen = std::mem::replace(&mut state.active, next);
            state.frozen = Some(Arc::new(frozen));
        }
        state.frozen.clone()
    }

    /// The frozen generation is in the engine.
    pub fn retire(&self) {
        let retired = self.state.write().frozen.take();
        // Its memory is freed after the lock is released.
        drop(retired);
    }

    /// The row, if it is recent. `Some(None)` if it was deleted.
    pub fn get(&self, key: &Key) -> Option<Option<Bytes>> {
        let state = self.state.read();
        let active = state.active.rows.get(key);
        active.or_else(|| state.frozen.as_ref()?.rows.get(key)).cloned()
    }

    /// A scan over recent rows and the engine's rows, as they are at one moment.
    pub fn scan(
        &self,
        bounds: &Bounds,
        direction: Direction,
        limit: usize,
        engine: impl Fn(usize) -> Result<Vec<(Key, Bytes)>, StoreError>,
    ) -> Result<Vec<ScannedRow>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (mut wanted, mut overtaken, mut hold) = (limit, 0, None);
        loop {
            // Read before the engine. A row that moves to the engine meanwhile is then in both, and not in neither.
            let overlay = self.overlay(bounds, direction, wanted.saturating_add(16));
            let page = engine(wanted)?;
            if self.state.read().active.number != overlay.number {
                // The engine may have newer rows by now.
                overtaken += 1;
                if overtaken > PATIENCE && hold.is_none() {
                    hold = Some(self.freezing.read());
                }
                continue;
            }
            let page_ends = (page.len() >= wanted).then(|| page.last().map(|(key, _)| key.clone())).flatten();
            let complete = page_ends.is_none() && overlay.ends.is_none();
            let merged = merge(page, page_ends, overlay, direction, limit);
            if merged.len() == limit || complete {
                return Ok(merged);
            }
            // Deleted rows were counted, so the page is too short.
            wanted = wanted.saturating_mul(4);
        }
    }

    fn overlay(&self, bounds: &Bounds, direction: Direction, most: usize) -> Overlay {
        let state = self.state.read();
        let (mut rows, active_ends) = range(&state.active.rows, bounds, direction, most);
        let mut ends = active_ends;
        if let Some(frozen) = &state.frozen {
            let (older, older_ends) = range(&frozen.rows, bounds, direction, most);
            ends = nearer(ends, older_ends, direction);
            // The sort is stable, so of two rows with one key the active one comes first.
            rows.extend(older);
            rows.sort_by(|(one, _), (other, _)| in_direction(one, other, direction));
            rows.dedup_by(|(later, _), (earlier, _)| later == earlier);
        }
        Overlay { rows, ends, number: state.active.number }
    }
}

/// The recent rows of a range.
struct Overlay {
    rows: Vec<(Key, Option<Bytes>)>,
    /// The recent rows are complete up to this key. `None`: they are complete.
    ends: Option<Key>,
    /// The number of the active generation.
    number: u64,
}

fn in_direction(one: &Key, other: &Key, direction: Direction) -> std::cmp::Ordering {
    match direction {
        Direction::Forward => one.cmp(other),
        Direction::Backward => other.cmp(one),
    }
}

fn nearer(one: Option<Key>, other: Option<Key>, direction: Direction) -> Option<Key> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if in_direction(&one, &other, direction).is_le() { one } else { other }),
        (one, other) => one.or(other),
    }
}

type Rows = Vec<(Key, Option<Bytes>)>;

/// At most `most` rows, and the last key if there are more.
fn range(map: &Map, bounds: &Bounds, direction: Direction, most: usize) -> (Rows, Option<Key>) {
    let rows: Rows = bounds.page_of(map, direction, most);
    let ends = (rows.len() >= most).then(|| rows.last().map(|(key, _)| key.clone())).flatten();
    (rows, ends)
}

fn merge(
    page: Vec<(Key, Bytes)>,
    page_ends: Option<Key>,
    overlay: Overlay,
    direction: Direction,
    limit: usize,
) -> Vec<ScannedRow> {
    let horizon = nearer(page_ends, overlay.ends, direction);
    let within = |key: &Key| horizon.as_ref().is_none_or(|horizon| in_direction(key, horizon, direction).is_le());
    let mut recent = overlay.rows.into_iter().filter(|(key, _)| within(key)).peekable();
    let mut merged = Vec::with_capacity(limit.min(page.len() + recent.size_hint().0));
    let mut page = page.into_iter().filter(|(key, _)| within(key)).peekable();
    while merged.len() < limit {
        let order = match (recent.peek(), page.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((one, _)), Some((other, _))) => in_direction(one, other, direction),
        };
        if order.is_gt() {
            merged.extend(page.next().map(|(key, value)| (key, value, Origin::Engine)));
            continue;
        }
        if order.is_eq() {
            page.next();
        }
        if let Some((key, Some(value))) = recent.next() {
            merged.push((key, value, Origin::Recent));
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use Direction::*;

    use super::*;

    fn key(name: &str) -> Key {
        Key::from_bytes(name.as_bytes())
    }

    fn put(name: &str, value: &'static str) -> Change {
        Change::Put(key(name), value.into())
    }

    fn delete(name: &str) -> Change {
        Change::Delete(key(name))
    }

    fn take(recent: &Recent, group: u64, changes: &[Change]) {
        recent.take(group, 0, changes.iter(), |_| false);
    }

    /// An engine's scan over these rows.
    fn engine<'a>(
        rows: &'a BTreeMap<Key, Bytes>,
        after: Option<&'a Key>,
        direction: Direction,
    ) -> impl Fn(usize) -> Result<Vec<(Key, Bytes)>, StoreError> + 'a {
        move |limit| {
            let copy = |(key, value): (&Key, &Bytes)| (key.clone(), value.clone());
            let beyond = |key: &&Key| after.is_none_or(|after| in_direction(key, after, direction).is_gt());
            let all = rows.iter().filter(|(key, _)| beyond(key)).map(copy);
            Ok(match direction {
                Forward => all.take(limit).collect(),
                Backward => all.rev().take(limit).collect(),
            })
        }
    }

    #[test]
    fn a_scan_is_what_a_scan_of_one_map_would_be() {
        proptest::proptest!(|(
            changes in proptest::collection::vec((0..3_u8, 0..40_u8, proptest::bool::ANY), 0..120),
            after in proptest::option::of(0..40_u8),
            forward in proptest::bool::ANY,
            knows_engine in proptest::bool::ANY,
            limit in 0..12_usize,
        )| {
            let (recent, mut stored, mut whole) = (Recent::default(), BTreeMap::new(), BTreeMap::new());
            let name = |number: u8| format!("x{number:02}");
            for (number, (place, row, is_put)) in changes.iter().enumerate() {
                let value = Bytes::from(number.to_string());
                let change = if *is_put { Change::Put(key(&name(*row)), value.clone()) } else { delete(&name(*row)) };
                match &change {
                    Change::Put(key, value) => whole.insert(key.clone(), value.clone()),
                    Change::Delete(key) => whole.remove(key),
                };
                recent.take(number as u64, 0, [change].iter(), |key| knows_engine && !stored.contains_key(key));
                // The first third goes to the engine, the second is frozen, the third stays active.
                if *place == 0 && let Some(generation) = recent.freeze() {
                    for (key, value) in &generation.rows {
                        match value {
                            Some(value) => stored.insert(key.clone(), value.clone()),
                            None => stored.remove(key),
                        };
                    }
                    recent.retire();
                } else if *place == 1 {
                    recent.freeze();
                }
            }
            let direction = if forward { Forward } else { Backward };
            let after = after.map(|after| key(&name(after)));
            let engine_scan = engine(&stored, after.as_ref(), direction);
            let found = match Bounds::of(&key("x"), after.as_ref(), direction) {
                Some(bounds) => recent.scan(&bounds, direction, limit, engine_scan),
                None => Ok(Vec::new()),
            };
            let found: Vec<_> = found.expect("a scan").into_iter().map(|(key, value, _)| (key, value)).collect();
            let expected = engine(&whole, after.as_ref(), direction)(limit).expect("a scan");
            assert_eq!(found, expected);
        });
    }

    #[test]
    fn a_scan_is_repeated_if_the_generations_change_meanwhile() {
        let recent = Recent::default();
        take(&recent, 1, &[put("xa", "1")]);
        let rounds = AtomicU32::new(0);
        let bounds = Bounds::of(&key("x"), None, Forward).expect("bounds");
        let found = recent.scan(&bounds, Forward, 9, |_| {
            // Between the look at what is recent and the engine's answer, another group is committed and reaches the
            // engine.
            if rounds.fetch_add(1, Ordering::Relaxed) == 0 {
                take(&recent, 2, &[delete("xa"), put("xb", "2")]);
                recent.freeze();
                recent.retire();
            }
            Ok(vec![(key("xb"), "2".into())])
        });
        let names: Vec<_> = found.expect("a scan").into_iter().map(|(key, value, _)| (key, value)).collect();
        assert_eq!(names, [(key("xb"), Bytes::from("2"))], "all of one moment");
    }

    #[test]
    fn a_row_that_is_made_and_deleted_within_one_generation_leaves_nothing() {
        let recent = Recent::default();
        let rows_after = |group, changes: &[Change]| {
            recent.take(group, 0, changes.iter(), |key| *key != self::key("stored"));
            (recent.state.read().active.rows.len(), recent.amount().bytes)
        };
        assert_eq!(rows_after(1, &[put("a", "1"), put("a", "22"), delete("a")]), (0, 0));
        assert_eq!(rows_after(2, &[put("stored", "1"), delete("stored")]).0, 1, "the engine has an older row");
        rows_after(3, &[put("frozen", "1")]);
        recent.freeze().expect("a generation");
        assert_eq!(rows_after(4, &[put("frozen", "2"), delete("frozen")]).0, 1, "the engine is getting an older row");
        assert_eq!(recent.get(&key("frozen")), Some(None));
    }

    #[test]
    fn a_row_that_changes_again_is_counted_once() {
        let recent = Recent::default();
        take(&recent, 1, &[put("xa", "12345")]);
        let once = recent.amount().bytes;
        take(&recent, 2, &[put("xa", "123456"), put("xa", "12345")]);
        assert_eq!(recent.amount().bytes, once);
        take(&recent, 3, &[delete("xa")]);
        assert_eq!(recent.amount().bytes, once - 5);
        assert_eq!(recent.freeze().expect("a generation").rows.len(), 1);
        assert_eq!(recent.get(&key("xa")), Some(None), "deleted, while it is frozen");
    }
}
