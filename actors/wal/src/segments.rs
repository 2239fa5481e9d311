//! The segments of a log: full ones, the active one, ready ones, and files for reuse.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    disk::{Disk, File, write_all},
    error::{WalError, at},
    layout::{HEADER_BLOCK, RECORD_ALIGNMENT, SEGMENT_SUFFIX, SegmentHeader},
    recover::{Slot, UNFINISHED},
};

/// The sizes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSizes {
    /// Bytes of a segment. A larger group gets a segment of its own.
    pub segment: u64,
    /// Bytes of all segments.
    pub most: u64,
    /// The number of segments that are kept ready.
    pub ready: usize,
}

impl Default for LogSizes {
    fn default() -> Self {
        Self { segment: 16 << 20, most: 1 << 30, ready: 1 }
    }
}

/// The disk usage of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of files, with groups or without.
    pub segments: usize,
    /// The size of all files.
    pub bytes: u64,
    /// The number of segments with groups.
    pub used: usize,
}

/// A segment that takes records.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub path: PathBuf,
    pub name: u64,
    pub file: Arc<dyn File>,
    pub number: u64,
    pub length: u64,
}

/// A segment with groups.
#[derive(Debug)]
pub(crate) struct Full {
    pub segment: Ready,
    pub last: u64,
}

/// A file without needed groups.
#[derive(Debug)]
struct Free {
    path: PathBuf,
    name: u64,
    file: Arc<dyn File>,
    length: u64,
}

#[derive(Debug, Default)]
struct SegmentLists {
    /// In the order of their groups.
    full: VecDeque<Full>,
    ready: VecDeque<Ready>,
    free: Vec<Free>,
    /// The segment of the writer.
    active: Option<Ready>,
    /// The last group in a backup. Later groups are kept for the next backup while there is room.
    kept_beyond: Option<u64>,
    /// Groups up to this one are not kept for a backup.
    retired: u64,
    next_number: u64,
    next_name: u64,
    /// Bytes of all files, including files that are being made.
    bytes: u64,
    /// Files without needed groups are removed instead of reused.
    removes_unused: bool,
}

#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    log: u64,
    config: LogSizes,
    state: Mutex<SegmentLists>,
}

impl Segments {
    /// `slots` in the order of their groups.
    pub fn new(disk: Arc<dyn Disk>, directory: &Path, log: u64, config: LogSizes, slots: Vec<Slot>) -> Self {
        let mut state = SegmentLists { next_number: 1, next_name: 1, ..SegmentLists::default() };
        for Slot { path, name, file, length, header, first, last, number } in slots {
            state.next_name = state.next_name.max(name + 1);
            state.next_number = state.next_number.max(number + 1);
            state.bytes += length;
            match header.filter(|_| first.is_some()) {
                Some(header) => {
                    let segment = Ready { path, name, file, number: header.number, length };
                    state.full.push_back(Full { segment, last });
                }
                // A segment that was ready is not used either: it may contain a torn group, which must not be
                // overwritten under the same number.
                None => state.free.push(Free { path, name, file, length }),
            }
        }
        Self { disk, directory: directory.to_owned(), log, config, state: Mutex::new(state) }
    }

    /// Takes a segment for the next records, with room for a record of this many bytes.
    pub fn take(&self, record: u64) -> Result<Ready, WalError> {
        let needed = HEADER_BLOCK + record.next_multiple_of(RECORD_ALIGNMENT);
        let found = {
            let mut state = self.state.lock();
            let position = state.ready.iter().position(|ready| ready.length >= needed);
            position.and_then(|position| state.ready.remove(position))
        };
        match found {
            Some(ready) => Ok(ready),
            None => self.make(needed.max(self.config.segment)),
        }
    }

    /// The writer moves to this segment from another one, whose last group is given.
    pub fn go_on(&self, to: &Ready, from: Option<(Ready, Option<u64>)>) {
        let mut state = self.state.lock();
        state.active = Some(to.clone());
        match from {
            Some((segment, Some(last))) => state.full.push_back(Full { segment, last }),
            Some((segment, None)) => state.ready.push_back(segment),
            None => {}
        }
    }

    /// The writer leaves its segment, and has no other one yet.
    pub fn leave(&self, segment: Ready, last: Option<u64>) {
        let mut state = self.state.lock();
        state.active = None;
        match last {
            Some(last) => state.full.push_back(Full { segment, last }),
            None => state.ready.push_back(segment),
        }
    }

    pub fn retire(&self, upto: u64) {
        let mut state = self.state.lock();
        state.retired = state.retired.max(upto);
    }

    /// The segments that may have groups after this one, in order.
    pub fn beyond(&self, group: u64) -> Vec<Ready> {
        let state = self.state.lock();
        let full = state.full.iter().filter(|full| full.last > group).map(|full| &full.segment);
        full.chain(&state.active).cloned().collect()
    }

    pub fn log(&self) -> u64 {
        self.log
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn keep_beyond(&self, group: Option<u64>) {
        self.state.lock().kept_beyond = group;
    }

    /// Prepares segments, so that the writer need not wait for one.
    pub fn prepare(&self) -> Result<(), WalError> {
        while self.state.lock().ready.len() < self.config.ready {
            let ready = self.make(self.config.segment)?;
            self.state.lock().ready.push_back(ready);
        }
        Ok(())
    }

    /// Drops the groups up to this one, which are no longer needed.
    pub fn forget(&self, upto: u64) -> Result<(), WalError> {
        let surplus = {
            let mut state = self.state.lock();
            let kept_beyond = state.kept_beyond.unwrap_or(u64::MAX);
            let mut used = state.bytes - state.free.iter().map(|free| free.length).sum::<u64>();
            // Groups for a backup must not block the writer: the oldest are dropped first.
            let kept_beyond = kept_beyond.max(state.retired);
            let may_go = |full: &Full, used| full.last <= kept_beyond || used > self.config.most / 2;
            while state.full.front().is_some_and(|full| full.last <= upto && may_go(full, used)) {
                let Some(full) = state.full.pop_front() else { break };
                used -= full.segment.length;
                state.free.push(full.segment.into_free());
            }
            let usual = |free: &Free| free.length == self.config.segment;
            // Keeps as many files for reuse as the writer has just filled.
            let used_again = || state.full.iter().filter(|full| full.last > upto).count() + 2;
            let needed = if state.removes_unused { 0 } else { used_again() };
            let (mut keep, mut surplus): (Vec<_>, Vec<_>) = state.free.drain(..).partition(usual);
            surplus.extend(keep.drain(needed.min(keep.len())..));
            state.free = keep;
            surplus
        };
        self.remove(surplus)
    }

    pub fn keeps_upto(&self, group: u64) -> bool {
        self.state.lock().full.front().is_some_and(|full| full.last <= group)
    }

    pub fn reuse_unused(&self) {
        self.state.lock().removes_unused = false;
    }

    pub fn remove_unused(&self) -> Result<(), WalError> {
        let unused: Vec<Free> = {
            let mut state = self.state.lock();
            state.removes_unused = true;
            let ready: Vec<_> = state.ready.drain(..).map(Ready::into_free).collect();
            state.free.drain(..).chain(ready).collect()
        };
        self.remove(unused)
    }

    fn remove(&self, unused: Vec<Free>) -> Result<(), WalError> {
        for free in unused {
            self.disk.remove(&free.path).map_err(at("remove", &free.path))?;
            self.state.lock().bytes -= free.length;
        }
        Ok(())
    }

    pub fn has_left(&self, group: u64) -> bool {
        self.state.lock().full.back().is_some_and(|full| full.last > group)
    }

    pub fn usage(&self) -> Usage {
        let state = self.state.lock();
        let active = usize::from(state.active.is_some());
        Usage {
            segments: state.full.len() + state.ready.len() + state.free.len() + active,
            bytes: state.bytes,
            used: state.full.len() + active,
        }
    }

    pub fn is_tight(&self) -> bool {
        let state = self.state.lock();
        let may_grow = state.bytes + self.config.segment <= self.config.most;
        state.ready.is_empty() && state.free.is_empty() && !may_grow
    }

    /// Makes a segment of this length: an old file with a new header, or a new file of zeros.
    fn make(&self, length: u64) -> Result<Ready, WalError> {
        let (number, free) = {
            let mut state = self.state.lock();
            let position = state.free.iter().position(|free| free.length == length);
            let free = position.map(|position| state.free.swap_remove(position));
            if free.is_none() && state.bytes.saturating_add(length) > self.config.most {
                return Err(WalError::Full { bytes: state.bytes });
            }
            if free.is_none() {
                state.bytes += length;
            }
            state.next_number += 1;
            (state.next_number - 1, free)
        };
        match free {
            Some(free) => {
                let header = SegmentHeader { log: self.log, number, length };
                let written = write_all(&*free.file, &header.encode(), 0).and_then(|()| free.file.sync_data());
                match written {
                    Ok(()) => Ok(Ready { path: free.path, name: free.name, file: free.file, number, length }),
                    Err(error) => {
                        let told = at("begin", &free.path)(error);
                        self.state.lock().free.push(free);
                        Err(told)
                    }
                }
            }
            None => self.make_file(number, length).inspect_err(|_| self.state.lock().bytes -= length),
        }
    }

    fn make_file(&self, number: u64, length: u64) -> Result<Ready, WalError> {
        const ZEROS: usize = 1 << 20;
        let name = {
            let mut state = self.state.lock();
            state.next_name += 1;
            state.next_name - 1
        };
        let path = self.directory.join(format!("{name:08}{SEGMENT_SUFFIX}"));
        let unfinished = self.directory.join(format!("{name:08}{UNFINISHED}"));
        let header = SegmentHeader { log: self.log, number, length };
        let fill = |file: &dyn File| {
            // The zeros are written, not only reserved. So later writes change neither the length nor the extents of
            // the file.
            let zeros = vec![0; ZEROS.min(length as usize)];
            let mut offset = 0;
            while offset < length {
                let part = zeros.len().min((length - offset) as usize);
                write_all(file, &zeros[..part], offset)?;
                offset += part as u64;
            }
            write_all(file, &header.encode(), 0)?;
            file.sync_data()
        };
        let make = || {
            let file = self.disk.create(&unfinished)?;
            fill(&*file)?;
            self.disk.rename(&unfinished, &path)?;
            self.disk.sync_directory(&self.directory)?;
            self.disk.open(&path)
        };
        let file = make().map_err(|error| {
            // The first error is returned. If the file cannot be removed, the next start removes it.
            let _removed = self.disk.remove(&unfinished);
            at("make", &path)(error)
        })?;
        Ok(Ready { path, name, file, number, length })
    }
}

impl Ready {
    fn into_free(self) -> Free {
        let Self { path, name, file, length, .. } = self;
        Free { path, name, file, length }
    }
}
