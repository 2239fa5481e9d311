//! A digest of each row as it was last written, stored outside the engine.
//!
//! Both engines trust the links between their pages. A flipped bit in a link can bring back an older page, whose rows
//! have good seals. sled skips what it cannot read in its log. Therefore the store keeps a [`Digest`] of each row, in
//! memory and in a file of its own. Rows are compared with their digests whenever the engine is read. So older rows,
//! missing rows and reappeared deleted rows are found and named.
//!
//! Digests are kept in ranges of some dozens of neighbouring rows. A single row is compared by itself. A scan reads
//! whole ranges, so that it notices missing rows. Ranges that would become long are divided before their new rows are
//! written: otherwise each scan in a new store would read most of it.
//!
//! Digests change after the engine's rows and before the recent rows are forgotten. Rows that are being written are
//! not compared, because readers get the recent rows.

mod blocks;
mod checked;
mod division;
mod file;
mod ranges;

use std::{
    collections::HashSet,
    convert::identity,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tandem_actors::{keys::Key, ports::StoreError};

pub(super) use self::ranges::{Digest, has_no_digest};
pub(super) use self::{
    checked::CheckedRows,
    file::{DigestReader, LoadError, LoadedDigests, load, loaded},
};
use self::{
    file::DigestFile,
    ranges::{Flaws, Part, Ranges, compare, in_ranges},
};
use crate::{
    disk::Disk,
    recent::Generation,
    rows::{Bounds, Rows, in_pages},
    seal::RowCoding,
};

/// Changes that are applied while readers wait.
const TURN: usize = 512;

/// A row as the engine stores it.
type StoredRow = (Key, bytes::Bytes);

struct DigestState {
    ranges: Ranges,
    /// Rows that are being written to the engine.
    writing: Option<Arc<WrittenKeys>>,
    /// Counts the changes of this state.
    moment: u64,
    /// The engine may have rows without a digest, from before a start or a failure.
    is_behind: bool,
    /// Ranges that were divided because of what is being written, as they were: from where to where. The file does not
    /// have their parts yet.
    predivided: Vec<(Key, Option<Key>)>,
}

/// The hashes of the keys that a checkpoint is writing to the engine.
struct WrittenKeys(HashSet<u64>);

impl WrittenKeys {
    fn of(generation: &Generation) -> Arc<Self> {
        Arc::new(Self(generation.rows.keys().map(ranges::hash).collect()))
    }

    fn contain(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }
}

pub(super) struct Digests {
    state: RwLock<DigestState>,
    /// None: in memory only.
    file: Option<Mutex<DigestFile>>,
    disk: Arc<dyn Disk>,
    coding: RowCoding,
}

/// What the engine must have for a key.
enum Expected {
    /// A row with this digest, or none.
    Row(Option<Digest>),
    /// The row is being written, or has no digest.
    Unknown,
}

impl Expected {
    fn may_be_there(&self) -> bool {
        !matches!(self, Self::Row(None))
    }

    /// Whether this is what the engine has.
    fn is(&self, coding: &RowCoding, key: &Key, stored: Option<&[u8]>) -> bool {
        match self {
            Self::Row(digest) => stored.map(|stored| Digest::of_stored(coding, key, stored)) == *digest,
            Self::Unknown => true,
        }
    }
}

/// Some ranges as they were at one moment.
struct RangesRead {
    part: Part,
    writing: Option<Arc<WrittenKeys>>,
    moment: u64,
}

impl Digests {
    /// The engine may have some of the rows of `writing`.
    pub fn new(
        loaded: LoadedDigests,
        writing: Option<Arc<Generation>>,
        disk: Arc<dyn Disk>,
        coding: RowCoding,
    ) -> Self {
        let LoadedDigests { ranges, file, .. } = loaded;
        let is_behind = writing.is_some();
        let writing = writing.map(|generation| WrittenKeys::of(&generation));
        let state = RwLock::new(DigestState { ranges, writing, moment: 0, is_behind, predivided: Vec::new() });
        Self { state, file: file.map(Mutex::new), disk, coding }
    }

    /// Called before the rows of a generation are written to the engine. `take_break` gets the time of the work since
    /// its last call.
    ///
    /// # Errors
    /// If the engine cannot be read. It can be called again.
    pub fn begin(
        &self,
        generation: &Arc<Generation>,
        engine: &dyn Rows,
        take_break: &dyn Fn(Duration),
    ) -> Result<(), StoreError> {
        let writing = WrittenKeys::of(generation);
        {
            let mut state = self.state.write();
            state.writing = Some(writing);
            state.moment += 1;
        }
        self.predivide(generation, engine, take_break)
    }

    /// Called when the rows of the generation are in the engine. `take_break` gets the time of the work since its last
    /// call.
    ///
    /// # Errors
    /// If the file cannot be written. It can be called again.
    pub fn finish(
        &self,
        generation: &Generation,
        engine: &dyn Rows,
        take_break: &dyn Fn(Duration),
    ) -> Result<(), StoreError> {
        let mut began = Instant::now();
        let mut turn_ended = || {
            take_break(began.elapsed());
            began = Instant::now();
        };
        let digest = |value: &bytes::Bytes, key| Digest::of_value(&self.coding, key, value);
        let mut changes = Vec::with_capacity(generation.rows.len());
        for (key, value) in &generation.rows {
            changes.push((key, value.as_ref().map(|value| digest(value, key))));
            if changes.len() % TURN == 0 {
                turn_ended();
            }
        }
        self.state.write().is_behind = true;
        let mut full: Vec<Key> = Vec::new();
        for turn in changes.chunks(TURN) {
            let added = self.state.write().ranges.put_all(turn);
            full.extend(added);
            turn_ended();
        }
        full.dedup();
        let divided = self.divide(full, engine)?;
        let mut in_file = self.predivided();
        in_file.extend_from_slice(&divided);
        let mut file = self.file.as_ref().map(Mutex::lock);
        // The file is written before the ranges in memory change. If that fails, the next attempt divides the same
        // ranges.
        if let Some(file) = &mut file {
            file.add(&*self.disk, generation.group, &changes, &in_file).map_err(StoreError::caused_by)?;
        }
        {
            let mut state = self.state.write();
            divided.iter().for_each(|divided| state.ranges.divide(divided));
            state.writing = None;
            state.is_behind = false;
            state.predivided.clear();
            state.moment += 1;
        }
        let Some(mut file) = file else { return Ok(()) };
        if file.is_long() {
            // Readers continue, because nothing else changes the state.
            let state = self.state.read();
            let directory = file.directory();
            match DigestFile::write(&directory, &*self.disk, file.log(), generation.group, &state.ranges, file.keyed())
            {
                Ok(new) => *file = new,
                Err(error) => {
                    tracing::warn!(%error, "the file of the digests could not be written anew; it goes on to grow");
                    file.postpone();
                }
            }
        }
        Ok(())
    }

    /// Whether the engine certainly does not have the row. Then the row need not be deleted. It does not wait: while
    /// digests are being changed, nothing is certain.
    pub fn excludes(&self, key: &Key) -> bool {
        let Some(state) = self.state.try_read() else { return false };
        !state.is_behind && !has_no_digest(key) && state.ranges.get(key).is_none()
    }

    /// The number of rows, and some ranges spread over all rows.
    fn sample(&self, most: usize) -> (u64, Vec<Part>) {
        let state = self.state.read();
        let starts = state.ranges.spread(most);
        let parts = starts.iter().map(|start| state.ranges.first(&Bounds::between(start, None), 1));
        (state.ranges.rows(), parts.collect())
    }

    /// Writes all digests into a new file with keyed checksums.
    fn write_keyed(&self, directory: &Path) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let (mut file, state) = (file.lock(), self.state.read());
        *file = DigestFile::write(directory, &*self.disk, file.log(), file.group(), &state.ranges, true)?;
        Ok(())
    }

    fn see(&self, ranges: impl FnOnce(&Ranges) -> Part) -> RangesRead {
        let state = self.state.read();
        RangesRead { part: ranges(&state.ranges), writing: state.writing.clone(), moment: state.moment }
    }

    /// What the engine must have for these keys, and the moment of that.
    fn expected(&self, keys: &[Key]) -> (u64, Vec<Expected>) {
        let state = self.state.read();
        let is_written = |key| state.writing.as_ref().is_some_and(|writing| writing.contain(ranges::hash(key)));
        let expected = keys.iter().map(|key| match is_written(key) || has_no_digest(key) {
            true => Expected::Unknown,
            false => Expected::Row(state.ranges.get(key)),
        });
        (state.moment, expected.collect())
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.state.read().ranges.rows()
    }

    fn moment(&self) -> u64 {
        self.state.read().moment
    }
}

fn digests_of<'a>(coding: &RowCoding, rows: impl IntoIterator<Item = &'a StoredRow>) -> Vec<(Key, Digest)> {
    let rows = rows.into_iter().filter(|(key, _)| !has_no_digest(key));
    rows.map(|(key, stored)| (key.clone(), Digest::of_stored(coding, key, stored))).collect()
}

impl RangesRead {
    /// Compares these ranges with what the engine has in them.
    fn compare(&self, coding: &RowCoding, rows: &[StoredRow]) -> Flaws {
        let is_written = |hash: u64| self.writing.as_ref().is_some_and(|writing| writing.contain(hash));
        let rows = digests_of(coding, rows.iter().filter(|(key, _)| !is_written(ranges::hash(key))));
        let (mut flaws, mut rows) = (Flaws::default(), rows.as_slice());
        for ((start, digests), end) in self.part.ranges.iter().zip(self.part.ends()) {
            let here = end.map_or(rows.len(), |end| rows.partition_point(|(key, _)| key < end));
            let (of_range, rest) = rows.split_at(here);
            rows = rest;
            let expected = digests.iter().filter(|digest| !is_written(digest.hash())).copied().collect();
            compare(start, expected, of_range, &mut flaws);
        }
        flaws
    }
}

/// The digests of the engine's present rows, in memory.
pub(super) fn survey(rows: &dyn Rows, log: u64, group: u64) -> Result<LoadedDigests, StoreError> {
    let (coding, mut ranges) = (rows.row_coding(), Ranges::new());
    in_pages(rows, b"", identity, |page| {
        let first = if ranges.rows() == 0 { Key::from_bytes([]) } else { page[0].0.clone() };
        let mut encoded = Vec::new();
        for (start, digests) in in_ranges(&first, &digests_of(&coding, &page)) {
            blocks::encode(&mut encoded, start.as_bytes(), &digests);
        }
        ranges.append(&encoded).ok_or_else(|| StoreError::new("the engine's rows are not in order"))
    })?;
    let keyed = coding.cipher().is_some();
    Ok(LoadedDigests { log, group, keyed, ranges, file: None })
}

/// Writes digests into a store's directory.
pub(super) fn write(loaded: &LoadedDigests, directory: &Path, disk: &dyn Disk) -> io::Result<()> {
    DigestFile::write(directory, disk, loaded.log, loaded.group, &loaded.ranges, loaded.keyed).map(drop)
}
