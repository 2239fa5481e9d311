//! A store in memory.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    ops::Bound,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tandem_actors::{
    domain::ids::{Seq, SessionId},
    keys::{self, Key},
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
};

type Row = (Key, Bytes);

/// Rows in memory, with the contract of [`Store`]. A test can hold commits up, let them fail, and count what is read
/// and written. Rows that were written to a file outlive the process.
#[derive(Default)]
pub struct MemoryStore {
    rows: RwLock<BTreeMap<Key, Bytes>>,
    owners: Mutex<HashMap<SessionId, (OwnerEpoch, Seq)>>,
    last_epoch: AtomicU64,
    file: Option<Mutex<File>>,
    held: Mutex<bool>,
    released: Condvar,
    held_gets: Mutex<HeldGets>,
    gets_released: Condvar,
    fail_next: AtomicBool,
    no_room: AtomicBool,
    fence_next: AtomicBool,
    /// Groups that were written.
    pub flushes: AtomicU64,
    /// Commits in them.
    pub commits: AtomicU64,
    /// Rows that were read.
    pub rows_read: AtomicU64,
    /// How often each prefix was scanned.
    scans: Mutex<BTreeMap<Key, u64>>,
}

/// The longest time for which a row is held, so that a test that waits for itself ends.
const HELD_FOR: Duration = Duration::from_secs(10);

#[derive(Default)]
struct HeldGets {
    prefix: Option<Key>,
    held: usize,
}

/// The first key behind all that begin with `prefix`.
fn end_of(prefix: &Key) -> Bound<Key> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(Key::from_bytes(end));
        }
    }
    Bound::Unbounded
}

/// A group as it is kept in the file: keys, and values or `None` for deletions.
type Recorded = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl MemoryStore {
    /// Rows that are kept in a file as well. Each group is appended to it.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut log = Vec::new();
        file.read_to_end(&mut log)?;
        let mut rows = BTreeMap::new();
        let mut rest = log.as_slice();
        // A group that was cut off in the middle was never acknowledged.
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((group, behind)) = behind.split_at_checked(length) else { break };
            for (key, value) in rmp_serde::from_slice::<Recorded>(group).map_err(io::Error::other)? {
                let key = Key::from_bytes(key);
                match value {
                    Some(value) => drop(rows.insert(key, value.into())),
                    None => drop(rows.remove(&key)),
                }
            }
            rest = behind;
        }
        file.set_len((log.len() - rest.len()) as u64)?;
        Ok(Self { rows: RwLock::new(rows), file: Some(Mutex::new(file)), ..Self::default() })
    }

    /// From here on a commit does not return, until [`MemoryStore::release_commits`].
    pub fn hold_commits(&self) {
        *self.held.lock() = true;
    }

    /// Lets the held commits continue.
    pub fn release_commits(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }

    /// From here on, a row whose key begins with `prefix` is read, but not returned until it is released
    /// ([`MemoryStore::release_gets`]).
    pub fn hold_gets(&self, prefix: &Key) {
        self.held_gets.lock().prefix = Some(prefix.clone());
    }

    /// How many rows are held.
    pub fn held_gets(&self) -> usize {
        self.held_gets.lock().held
    }

    /// Returns the held rows.
    pub fn release_gets(&self) {
        self.held_gets.lock().prefix = None;
        self.gets_released.notify_all();
    }

    /// Nothing is read or written until the guard is dropped.
    pub fn freeze(&self) -> impl Sized + '_ {
        self.rows.write()
    }

    /// The next group fails.
    pub fn fail_next_commit(&self) {
        self.fail_next.store(true, Ordering::SeqCst);
    }

    /// From here on groups are refused because the disk is almost full, or no longer.
    pub fn set_no_room(&self, no_room: bool) {
        self.no_room.store(no_room, Ordering::SeqCst);
    }

    /// The next group is refused as if its sessions had another owner.
    pub fn fence_next_commit(&self) {
        self.fence_next.store(true, Ordering::SeqCst);
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows.read().len()
    }

    /// The rows whose keys begin with `prefix`.
    pub fn rows_under(&self, prefix: &Key) -> Vec<Row> {
        self.read(prefix, None, Direction::Forward, usize::MAX)
    }

    /// How often the rows under exactly this prefix were scanned.
    pub fn scans(&self, prefix: &Key) -> u64 {
        self.scans.lock().get(prefix).copied().unwrap_or(0)
    }

    /// The number of rows whose keys contain `part`.
    pub fn rows_with(&self, part: &[u8]) -> usize {
        self.rows.read().keys().filter(|key| key.as_bytes().windows(part.len()).any(|window| window == part)).count()
    }

    fn read(&self, prefix: &Key, after: Option<&Key>, direction: Direction, limit: usize) -> Vec<Row> {
        let rows = self.rows.read();
        let inside = rows.range((Bound::Included(prefix.clone()), end_of(prefix)));
        let copy = |(key, row): (&Key, &Bytes)| (key.clone(), row.clone());
        match direction {
            Direction::Forward => {
                inside.filter(|(key, _)| after.is_none_or(|after| *key > after)).take(limit).map(copy).collect()
            }
            Direction::Backward => {
                inside.rev().filter(|(key, _)| after.is_none_or(|after| *key < after)).take(limit).map(copy).collect()
            }
        }
    }

    fn record(&self, group: &[Commit]) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let changes = group.iter().flat_map(|commit| &commit.changes);
        let recorded: Recorded = changes
            .map(|change| match change {
                Change::Put(key, value) => (key.as_bytes().to_vec(), Some(value.to_vec())),
                Change::Delete(key) => (key.as_bytes().to_vec(), None),
            })
            .collect();
        let group = rmp_serde::to_vec(&recorded).map_err(StoreError::caused_by)?;
        let mut record = u32::try_from(group.len()).map_err(StoreError::caused_by)?.to_be_bytes().to_vec();
        record.extend(group);
        file.lock().write_all(&record).map_err(StoreError::caused_by)
    }

    fn apply(&self, commit: &Commit, owners: &mut HashMap<SessionId, (OwnerEpoch, Seq)>) -> Verdict {
        if let Some(fence) = &commit.fence {
            match owners.get_mut(&fence.session) {
                Some(owner) if *owner == (fence.epoch, fence.expected) => owner.1 = fence.next,
                _ => return Verdict::Fenced,
            }
        }
        let mut rows = self.rows.write();
        for change in &commit.changes {
            match change {
                Change::Put(key, row) => drop(rows.insert(key.clone(), row.clone())),
                Change::Delete(key) => drop(rows.remove(key)),
            }
        }
        Verdict::Written
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.rows_read.fetch_add(1, Ordering::SeqCst);
        let found = self.rows.read().get(key).cloned();
        let mut gets = self.held_gets.lock();
        gets.held += 1;
        while gets.prefix.as_ref().is_some_and(|prefix| key.as_bytes().starts_with(prefix.as_bytes())) {
            if self.gets_released.wait_for(&mut gets, HELD_FOR).timed_out() {
                break;
            }
        }
        gets.held -= 1;
        Ok(found)
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        *self.scans.lock().entry(prefix.clone()).or_default() += 1;
        let found = self.read(prefix, after, direction, limit);
        self.rows_read.fetch_add(found.len() as u64, Ordering::SeqCst);
        Ok(found)
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        let events = keys::events(session);
        let head = match self.read(&events, None, Direction::Backward, 1).first() {
            Some((key, _)) => {
                let seq = key.as_bytes()[events.as_bytes().len()..].try_into();
                seq.map(Seq::from_be_bytes)
                    .map_err(|_| StoreError::new("an event's key must end in a seq of 8 bytes"))?
            }
            None => 0,
        };
        let epoch = self.last_epoch.fetch_add(1, Ordering::SeqCst) + 1;
        self.owners.lock().insert(session.clone(), (epoch, head));
        Ok(Claim { epoch, head })
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        let mut owners = self.owners.lock();
        if owners.get(session).is_some_and(|(owner, _)| *owner == epoch) {
            owners.remove(session);
        }
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        let mut held = self.held.lock();
        while *held {
            self.released.wait(&mut held);
        }
        drop(held);
        if self.fail_next.swap(false, Ordering::SeqCst) {
            return Err(StoreError::new("told to fail"));
        }
        if self.no_room.load(Ordering::SeqCst) {
            return Err(StoreError::no_room());
        }
        if self.fence_next.swap(false, Ordering::SeqCst) {
            return Ok(vec![Verdict::Fenced; group.len()]);
        }
        self.record(group)?;
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.commits.fetch_add(group.len() as u64, Ordering::SeqCst);
        let mut owners = self.owners.lock();
        Ok(group.iter().map(|commit| self.apply(commit, &mut owners)).collect())
    }
}
