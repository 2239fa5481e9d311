//! The files of a log: which are full, which are ready, which can be used again.

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
    read,
    recover::{Slot, UNFINISHED},
};

/// Sizes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSizes {
    /// Bytes of a segment. A larger group gets a segment of its own.
    pub segment: u64,
    /// Of all segments.
    pub most: u64,
    /// Segments that are kept ready.
    pub ready: usize,
}

impl Default for LogSizes {
    fn default() -> Self {
        Self { segment: 16 << 20, most: 1 << 30, ready: 1 }
    }
}

/// What a log takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files, with groups or without.
    pub segments: usize,
    /// The size of all files.
    pub bytes: u64,
    /// Segments with groups.
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

/// A file without a meaning.
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
    /// The writer's.
    active: Option<Ready>,
    /// The last group in a backup. Later groups are kept for the next backup while there is room.
    kept_beyond: Option<u64>,
    /// Groups up to this one are not kept for a backup.
    retired: u64,
    next_number: u64,
    next_name: u64,
    /// Of all files, those that are being made included.
    bytes: u64,
    /// Files that are not needed any more are removed.
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
                // Also one that was ready: it may hold a torn group, and nothing is written over that under the same
                // number.
                None => state.free.push(Free { path, name, file, length }),
            }
        }
        Self { disk, directory: directory.to_owned(), log, config, state: Mutex::new(state) }
    }

    /// A segment for the next records, with room for one of so many bytes.
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

    /// The writer goes on to this segment from another one, with its last group.
    pub fn go_on(&self, to: &Ready, from: Option<(Ready, Option<u64>)>) {
        let mut state = self.state.lock();
        state.active = Some(to.clone());
        match from {
            Some((segment, Some(last))) => state.full.push_back(Full { segment, last }),
            Some((segment, None)) => state.ready.push_back(segment),
            None => {}
        }
    }

    /// The writer leaves a segment, without another one yet.
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

    /// The segments that may hold groups beyond this one, in their order.
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

    /// Keeps segments ready, so that the writer need not wait for one.
    pub fn prepare(&self) -> Result<(), WalError> {
        while self.state.lock().ready.len() < self.config.ready {
            let ready = self.make(self.config.segment)?;
            self.state.lock().ready.push_back(ready);
        }
        Ok(())
    }

    /// The groups up to this one are not needed any more.
    pub fn forget(&self, upto: u64) -> Result<(), WalError> {
        let surplus = {
            let mut state = self.state.lock();
            let kept_beyond = state.kept_beyond.unwrap_or(u64::MAX);
            let mut used = state.bytes - state.free.iter().map(|free| free.length).sum::<u64>();
            // What is kept for others must not keep the writer from writing: the oldest goes first.
            let kept_beyond = kept_beyond.max(state.retired);
            let may_go = |full: &Full, used| full.last <= kept_beyond || used > self.config.most / 2;
            while state.full.front().is_some_and(|full| full.last <= upto && may_go(full, used)) {
                let Some(full) = state.full.pop_front() else { break };
                used -= full.segment.length;
                state.free.push(full.segment.into_free());
            }
            let usual = |free: &Free| free.length == self.config.segment;
            // As many as the writer needed just now are kept ready to be used again.
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

    /// A segment of this length: an old file with a new header, or a new file of zeros.
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
            // Written, not only reserved: writing to it later changes no length and no extent.
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
            // The error that made it useless is the one to tell; a rest is removed at the next start.
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

/// The upkeep of a log's files, for another thread than the writer's.
#[derive(Clone, Debug)]
pub struct Keeper(pub(crate) Arc<Segments>);

impl Keeper {
    /// Keeps segments ready, so that the writer need not wait for one.
    ///
    /// # Errors
    /// If the disk has no room, or the log must not grow: the writer finds that out for itself.
    pub fn prepare(&self) -> Result<(), WalError> {
        self.0.prepare()
    }

    /// The groups up to this one are not needed any more: their segments are used again.
    ///
    /// # Errors
    /// If a file that is not needed cannot be removed.
    pub fn forget(&self, upto: u64) -> Result<(), WalError> {
        self.0.forget(upto)
    }

    /// Keeps the segments with groups after this one, so that a backup can copy them. The oldest go when the log takes
    /// up more than half of [`Config::most`](crate::Config::most). `None` keeps nothing.
    pub fn keep_beyond(&self, group: Option<u64>) {
        self.0.keep_beyond(group);
    }

    /// Groups up to this one are no longer kept for a backup, whatever [`Self::keep_beyond`] says.
    pub fn retire(&self, upto: u64) {
        self.0.retire(upto);
    }

    /// Tells `take` the groups beyond `after` up to `upto`, in order. Those up to `upto` must be durable.
    ///
    /// # Errors
    /// [`WalError::Missing`] if one of them is not there or cannot be read, and what `take` returns.
    pub fn read(
        &self,
        after: u64,
        upto: u64,
        take: impl FnMut(u64, &[u8]) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        read::groups(&self.0, after, upto, take)
    }

    /// Whether the writer has left a segment that has groups beyond this one, which may be forgotten soon.
    pub fn has_left(&self, group: u64) -> bool {
        self.0.has_left(group)
    }

    /// Whether a complete file is kept with groups up to this one alone.
    pub fn keeps_upto(&self, group: u64) -> bool {
        self.0.keeps_upto(group)
    }

    /// From now on, files without needed groups are used for new segments. This is the default.
    pub fn reuse_unused(&self) {
        self.0.reuse_unused();
    }

    /// Removes the files without needed groups, now and from now on. The opposite of [`Self::reuse_unused`].
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn remove_unused(&self) -> Result<(), WalError> {
        self.0.remove_unused()
    }

    /// What the log takes up at present.
    pub fn usage(&self) -> Usage {
        self.0.usage()
    }

    /// Whether the writer will soon have no segment to go on with, unless groups are forgotten.
    pub fn is_tight(&self) -> bool {
        self.0.is_tight()
    }
}
