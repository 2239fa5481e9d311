//! The engine's rows, each compared with its digest.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use tandem_actors::{
    keys::Key,
    ports::{Direction, StoreError},
};

use super::{
    Digests, Flaws, Part, has_no_digest,
    ranges::{Digest, FILL, Ranges},
};
use crate::{
    names::record,
    open_engine::OpenEngine,
    recent::Generation,
    row_check::RowCheck,
    rows::{Bounds, Rows, Strictness},
    seal::RowCoding,
};

/// The kind of row that a session's state depends on.
const EVENTS: u8 = b'e';
/// How many numbers after the last existing event are searched for missing events.
const FURTHER: u64 = 10_000;
/// Ranges that are read at once.
const MOST: usize = 64;
/// Ranges from which the size of all rows is estimated.
const SAMPLE: usize = 64;

/// Rows from the engine.
pub(crate) type FoundRows = Vec<(Key, Bytes)>;

pub(crate) struct CheckedRows {
    pub engine: OpenEngine,
    pub digests: Digests,
    pub check: RowCheck,
    /// Strict: a scan with a flaw fails. Lenient: wrong rows are left out and logged, unless one of them may be an
    /// event.
    pub strictness: Strictness,
}

impl CheckedRows {
    /// Updates the digests: the engine now has the rows of this generation. `take_break` gets the time of the work
    /// since its last call.
    pub fn finish(&self, generation: &Generation, take_break: &dyn Fn(Duration)) -> Result<(), StoreError> {
        self.digests.finish(generation, &self.engine, take_break)
    }

    /// Prepares the digests for this generation, before its rows are written. `take_break` as for `finish`.
    pub fn begin(&self, generation: &Arc<Generation>, take_break: &dyn Fn(Duration)) -> Result<(), StoreError> {
        self.digests.begin(generation, &self.engine, take_break)
    }

    /// Reads some ranges: their digests, their rows, and the differences between them.
    fn read(&self, ranges: impl Fn(&Ranges) -> Part) -> Result<(Part, FoundRows, Flaws), StoreError> {
        loop {
            let seen = self.digests.see(&ranges);
            let bounds = Bounds::between(seen.part.from(), seen.part.to.as_ref());
            let rows = self.engine.range(&bounds, Direction::Forward, usize::MAX)?;
            let flaws = seen.compare(&self.digests.coding, &rows);
            if flaws.is_none() || self.digests.moment() == seen.moment {
                return Ok((seen.part, rows, flaws));
            }
        }
    }

    /// Replaces plain checksums with keyed ones when encryption begins. A wrong row keeps its digest, so that it is
    /// still found.
    pub fn key_digests(&self, directory: &Path) -> Result<(), StoreError> {
        let plain = RowCoding::default();
        let mut at = Some(Key::from_bytes([]));
        while let Some(from) = at {
            let bounds = Bounds::between(&from, None);
            let part = self.digests.state.read().ranges.first(&bounds, MOST);
            let rows =
                self.engine.range(&Bounds::between(part.from(), part.to.as_ref()), Direction::Forward, usize::MAX)?;
            let mut state = self.digests.state.write();
            let plain_rows = rows.iter().filter(|(key, stored)| {
                !has_no_digest(key) && state.ranges.get(key) == Some(Digest::of_stored(&plain, key, stored))
            });
            let keyed: Vec<_> = plain_rows
                .map(|(key, stored)| (key, Some(Digest::of_stored(&self.digests.coding, key, stored))))
                .collect();
            state.ranges.put_all(&keyed);
            at = part.to;
        }
        self.digests.write_keyed(directory).map_err(StoreError::caused_by)
    }

    /// Bytes of all keys and values, estimated from some ranges of rows.
    pub fn live_bytes(&self) -> Result<u64, StoreError> {
        let (all, parts) = self.digests.sample(SAMPLE);
        let (mut rows, mut bytes) = (0, 0);
        for part in parts {
            for (key, value) in
                self.engine.range(&Bounds::between(part.from(), part.to.as_ref()), Direction::Forward, usize::MAX)?
            {
                rows += 1;
                bytes += (key.as_bytes().len() + value.len()) as u64;
            }
        }
        Ok((u128::from(bytes) * u128::from(all)).checked_div(rows).unwrap_or(0) as u64)
    }

    /// Compares all rows, and reports all flaws. Returns the number of rows.
    pub fn look_through(&self, mut tell: impl FnMut(Flaws)) -> Result<u64, StoreError> {
        let mut count = 0;
        self.pages(|rows, flaws| {
            count += rows.len() as u64;
            if !flaws.is_none() {
                tell(flaws);
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// All rows from the engine, page by page, each page with its flaws. The rows of one page are of one moment.
    pub fn pages<E: From<StoreError>>(&self, mut take: impl FnMut(FoundRows, Flaws) -> Result<(), E>) -> Result<(), E> {
        let mut at = Some(Key::from_bytes([]));
        while let Some(from) = at {
            let bounds = Bounds::between(&from, None);
            let (part, rows, flaws) = self.read(|ranges| ranges.first(&bounds, MOST))?;
            take(rows, flaws)?;
            at = part.to;
        }
        Ok(())
    }

    fn judge(&self, bounds: &Bounds, flaws: Flaws, rows: &mut Vec<(Key, Bytes)>) -> Result<(), StoreError> {
        let mut first = None;
        for key in &flaws.wrong {
            let error = self.check.log_damage(key, StoreError::outdated(record(key)));
            if bounds.contains(key) {
                first.get_or_insert(error);
            }
        }
        for (start, missing) in &flaws.missing {
            let what = format!("one of {} rows that are gone, at or after {},", missing.len(), record(start));
            let error = self.check.log_damage(start, StoreError::outdated(what));
            if self.strictness == Strictness::Strict || is_event_of(&bounds.from, rows, &flaws.wrong, missing) {
                first.get_or_insert(error);
            }
        }
        let is_of_events = bounds.from.first() == Some(&EVENTS);
        if let Some(error) = first.filter(|_| is_of_events || self.strictness == Strictness::Strict) {
            return Err(error);
        }
        rows.retain(|(key, _)| !flaws.wrong.contains(key));
        Ok(())
    }
}

/// Whether a missing row may be an event of the session whose events are read from `from` on. Other sessions with rows
/// in the same range are not affected.
fn is_event_of(from: &[u8], rows: &[(Key, Bytes)], wrong: &[Key], missing: &[Digest]) -> bool {
    let Some(length) = from.iter().position(|byte| *byte == 0) else { return true };
    let session = &from[..=length];
    // A wrong key may contain any number.
    let known = rows.iter().filter(|(key, _)| !wrong.contains(key));
    let last = known.filter_map(|(key, _)| key.as_bytes().strip_prefix(session)?.first_chunk::<8>()).next_back();
    let last = last.map_or(0, |seq| u64::from_be_bytes(*seq));
    (1..=last.saturating_add(FURTHER)).any(|seq| {
        let key = Key::from_bytes([session, &seq.to_be_bytes()].concat());
        missing.iter().any(|digest| digest.is_of(&key))
    })
}

impl Rows for CheckedRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_all(std::slice::from_ref(key))?.pop().flatten())
    }

    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        loop {
            let (moment, expected) = self.digests.expected(keys);
            // A row that must not be there was deleted or never written. If the engine has it, the engine is damaged.
            let places: Vec<usize> = (0..keys.len()).filter(|place| expected[*place].may_be_there()).collect();
            let asked: Vec<Key> = places.iter().map(|place| keys[*place].clone()).collect();
            if asked.is_empty() {
                return Ok(vec![None; keys.len()]);
            }
            let (mut found, mut wrong) = (vec![None; keys.len()], None);
            for (place, stored) in places.into_iter().zip(self.engine.get_all(&asked)?) {
                if !expected[place].is(&self.digests.coding, &keys[place], stored.as_deref()) {
                    wrong.get_or_insert(&keys[place]);
                }
                found[place] = stored;
            }
            match wrong {
                None => return Ok(found),
                Some(key) if self.digests.moment() == moment => {
                    return Err(self.check.log_damage(key, StoreError::outdated(record(key))));
                }
                Some(_) => {}
            }
        }
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let (mut left, mut found) = (bounds.clone(), Vec::new());
        let most = (limit / FILL + 1).min(MOST);
        loop {
            let (part, mut rows, flaws) = self.read(|ranges| match direction {
                Direction::Forward => ranges.first(&left, most),
                Direction::Backward => ranges.last(&left, most),
            })?;
            if !flaws.is_none() {
                self.judge(&left, flaws, &mut rows)?;
            }
            rows.retain(|(key, _)| left.contains(key));
            if direction == Direction::Backward {
                rows.reverse();
            }
            found.extend(rows);
            let next = match direction {
                Direction::Forward => part.to.as_ref().map(|to| to.as_bytes().to_vec()),
                Direction::Backward => Some(part.from().as_bytes().to_vec()),
            };
            match (direction, next) {
                (Direction::Forward, Some(next)) if next < left.to => {
                    (left.from, left.beyond_from) = (next, false);
                }
                (Direction::Backward, Some(next)) if next > left.from => left.to = next,
                _ => {
                    found.truncate(limit);
                    return Ok(found);
                }
            }
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    fn write(&self, changes: &[&tandem_actors::ports::Change]) -> Result<(), StoreError> {
        self.engine.write(changes)
    }

    fn batch_bytes(&self) -> usize {
        self.engine.batch_bytes()
    }

    fn check_identity(&self) -> Result<(), StoreError> {
        self.engine.check_identity()
    }

    fn close(&self) {
        self.engine.close();
    }
}

#[cfg(test)]
mod tests {
    use tandem_actors::{
        keys,
        ports::{Change, Commit, Store, StoreFault},
    };

    use super::*;
    use crate::{Engine, Location, Options, copy, engine::open_database, open, seal::seal, verify};

    fn key(name: &str) -> Key {
        Key::from_bytes(name.as_bytes())
    }

    fn put(name: &str, value: &'static str) -> Change {
        Change::Put(key(name), value.into())
    }

    fn commit(store: &dyn Store, changes: Vec<Change>) {
        store.commit(&[Commit { fence: None, changes }]).expect("written");
    }

    fn location(engine: Engine, path: &Path) -> Location {
        Location { engine, path: path.to_owned() }
    }

    /// Writes rows with intact seals, as a damaged page of the engine can show them.
    fn tamper(at: &Location, changes: &[Change]) {
        let rows = open_database(at, &at.path.join(at.engine.name()), &Options::default()).expect("a database");
        let sealed: Vec<_> = changes.iter().map(seal).collect();
        rows.write(&sealed.iter().collect::<Vec<_>>()).expect("written");
    }

    fn is_damaged(store: &dyn Store, name: &str) -> bool {
        store.get(&key(name)).is_err_and(|error| error.fault() == StoreFault::Damaged)
    }

    #[test]
    fn older_rows_missing_rows_and_reappeared_rows_are_found_and_named() {
        for engine in Engine::ALL {
            let directory = tempfile::tempdir().expect("a directory");
            let at = location(engine, &directory.path().join("store"));
            let store = open(&at, &Options::default()).expect("a store");
            commit(&*store, (b'a'..=b'z').map(|name| put(&format!("x{}", name as char), "first")).collect());
            commit(&*store, vec![put("xb", "second"), Change::Delete(key("xc"))]);
            store.close();
            drop(store);
            tamper(&at, &[put("xb", "first"), put("xc", "first"), Change::Delete(key("xd"))]);

            let store = open(&at, &Options::default()).expect("the rest is there");
            let found = ["xa", "xb", "xc", "xd", "xe"].map(|name| is_damaged(&*store, name));
            assert_eq!(found, [false, true, false, true, false], "{engine}");
            assert_eq!(store.get(&key("xc")).expect("read"), None, "{engine}: deleted is deleted");
            let all = |names: &[&str]| store.get_all(&names.iter().map(|name| key(name)).collect::<Vec<_>>());
            assert!(all(&["xa", "xb"]).is_err_and(|error| error.fault() == StoreFault::Damaged), "{engine}");
            commit(&*store, vec![put("xf", "recent")]);
            let some = all(&["xf", "xc", "xa", "xzz"]).expect("those are as they should be");
            assert_eq!(some, [Some("recent".into()), None, Some("first".into()), None], "{engine}");
            let rows = store.scan(&key("x"), None, Direction::Forward, 99).expect("a scan");
            assert_eq!(rows.len(), 23, "{engine}: all but the deleted one and the two that are not as they should be");
            assert!(rows.iter().all(|(key, _)| !["xb", "xc", "xd"].map(self::key).contains(key)));
            drop(store);
            assert_eq!(verify(&at, &Options::default()).expect("looked at").bad.len(), 3, "{engine}");
            let to = location(engine, &directory.path().join("copy"));
            copy(&at.clone().into(), &to.clone().into(), &Options::default(), |_| {})
                .expect_err("nothing damaged is copied in silence");
        }
    }

    #[test]
    fn a_missing_event_affects_its_session_and_no_other() {
        for engine in Engine::ALL {
            let directory = tempfile::tempdir().expect("a directory");
            let at = location(engine, directory.path());
            let [hurt, other] = ["caaaaaaaaaaaaaaaaaaaaaaaa", "caaaaaaaaaaaaaaaaaaaaaaab"]
                .map(|id| id.parse().expect("an id of a session"));
            let store = open(&at, &Options::default()).expect("a store");
            let events = |session| (1..=5).map(move |seq| Change::Put(keys::event(session, seq), "event".into()));
            commit(&*store, events(&hurt).chain(events(&other)).collect());
            store.close();
            drop(store);
            tamper(&at, &[Change::Delete(keys::event(&hurt, 5))]);

            let store = open(&at, &Options::default()).expect("the rest is there");
            assert_eq!(store.claim(&hurt).expect_err("its end is gone").fault(), StoreFault::Damaged);
            assert_eq!(store.claim(&other).expect("a claim").head, 5);
            let events = store.scan(&keys::events(&other), None, Direction::Forward, 99).expect("a log");
            assert_eq!(events.len(), 5);
        }
    }

    /// Ranges are divided, emptied and read back from the file as they were.
    #[test]
    fn digests_are_right_after_many_writes_and_deletes() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = location(Engine::Redb, directory.path());
        for round in 0..6_u32 {
            let store = open(&at, &Options::default()).expect("a store");
            let name = |number: u32| format!("x{:05}", number * 7919 % 20_011);
            commit(&*store, (0..2_000).map(|number| put(&name(round * 1_000 + number), "row")).collect());
            if round % 2 == 1 {
                commit(&*store, (0..1_500).map(|number| Change::Delete(key(&name(number)))).collect());
            }
            let rows = store.scan(&key("x"), None, Direction::Backward, usize::MAX).expect("a scan").len();
            if round % 3 < 2 {
                store.close();
            }
            drop(store);
            assert_eq!(verify(&at, &Options::default()).expect("looked at").bad, [""; 0], "round {round}");
            let store = open(&at, &Options::default()).expect("a store");
            let again = store.scan(&key("x"), None, Direction::Forward, usize::MAX).expect("a scan").len();
            assert_eq!(again, rows, "round {round}");
        }
    }
}
