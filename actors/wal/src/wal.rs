//! The writer of a log.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    disk::{Disk, write_all},
    error::{WalError, at},
    keeper::Keeper,
    layout::{HEADER_BLOCK, LARGEST_PAYLOAD, RECORD_HEADER, end_of_record, seal_record},
    recover::{self, UNFINISHED},
    segments::{LogSizes, Ready, Segments},
};

/// The result of the recovery by [`Wal::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The last group in the log.
    pub last: u64,
    /// Segments whose bad header was restored from their records.
    pub restored: Vec<PathBuf>,
}

/// The writer of a log. There is one at a time.
pub struct Wal {
    segments: Arc<Segments>,
    log: u64,
    active: Option<Active>,
    next: u64,
    record: Vec<u8>,
}

struct Active {
    segment: Ready,
    /// The offset of the next record.
    end: u64,
    last: Option<u64>,
}

impl Wal {
    /// Opens the log in an existing directory, which may be empty. `log` is the id of the log, which never changes.
    /// `replay` gets the groups after `after`, in order.
    ///
    /// # Errors
    /// If an acknowledged group after `after` cannot be read, or the files cannot be used at all.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        log: u64,
        config: LogSizes,
        after: u64,
        mut replay: impl FnMut(u64, &[u8]),
    ) -> Result<(Self, Recovery), WalError> {
        // A killed process may have left names in the kernel's cache only. A segment must not be used before its name
        // is durable.
        disk.sync_directory(directory).map_err(at("sync", directory))?;
        remove_unfinished(&*disk, directory)?;
        let mut slots = recover::slots(&*disk, directory, log)?;
        let restored = recover::restore_headers(&mut slots, log, after)?;
        let (mut used, empty): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| slot.first.is_some());
        used.sort_by_key(|slot| slot.first);
        let last = recover::walk(&mut used, &empty, log, after, |group, payload| {
            replay(group, payload);
            Ok(())
        })?;
        let slots = used.into_iter().chain(empty).collect();
        let segments = Arc::new(Segments::new(disk, directory, log, config, slots));
        let wal = Self { segments, log, active: None, next: last + 1, record: Vec::new() };
        Ok((wal, Recovery { last, restored }))
    }

    /// The last group.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// The number of the segment that is being written.
    pub fn segment(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.segment.number)
    }

    /// A handle with which another thread maintains the segments, while this one writes.
    pub fn keeper(&self) -> Keeper {
        Keeper(self.segments.clone())
    }

    /// Reserves space, so that a group of this many bytes can be appended.
    ///
    /// # Errors
    /// If the disk is full, or the log has reached its limit ([`WalError::Full`]). It can be tried again.
    pub fn reserve(&mut self, payload: usize) -> Result<(), WalError> {
        if payload as u64 > LARGEST_PAYLOAD {
            return Err(WalError::TooLarge { bytes: payload as u64 });
        }
        if self.active.as_ref().is_some_and(|active| end_of_record(active.end, payload) <= active.segment.length) {
            return Ok(());
        }
        let segment = self.segments.take((RECORD_HEADER + payload) as u64)?;
        let before = self.active.take().map(|Active { segment, last, .. }| (segment, last));
        self.segments.go_on(&segment, before);
        self.active = Some(Active { segment, end: HEADER_BLOCK, last: None });
        Ok(())
    }

    /// Writes the next group into another segment, so that no segment has both earlier and later groups.
    pub fn leave_segment(&mut self) {
        if let Some(Active { segment, last, .. }) = self.active.take() {
            self.segments.leave(segment, last);
        }
    }

    /// Begins a group. The caller appends its bytes to the returned buffer.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        self.record.clear();
        self.record.resize(RECORD_HEADER, 0);
        &mut self.record
    }

    /// Writes the group that was begun, and returns its number when it is durable.
    ///
    /// # Errors
    /// After an error of the disk it is unknown whether the group was written. Nothing may be appended any more.
    pub fn append(&mut self) -> Result<u64, WalError> {
        self.reserve(self.record.len().saturating_sub(RECORD_HEADER))?;
        let Some(active) = &mut self.active else { return Err(WalError::Full { bytes: 0 }) };
        let (group, path) = (self.next, &active.segment.path);
        seal_record(&mut self.record, self.log, active.segment.number, group);
        write_all(&*active.segment.file, &self.record, active.end).map_err(at("write to", path))?;
        active.segment.file.sync_data().map_err(at("sync", path))?;
        active.end += self.record.len() as u64;
        active.last = Some(group);
        self.next += 1;
        Ok(group)
    }

    /// Checks whether the active segment is still where the next start looks for it.
    ///
    /// # Errors
    /// If it is not there.
    pub fn check_in_place(&self) -> Result<(), WalError> {
        let Some(Active { segment, .. }) = &self.active else { return Ok(()) };
        segment.file.check_in_place().map_err(at("find", &segment.path))
    }
}

fn remove_unfinished(disk: &dyn Disk, directory: &Path) -> Result<(), WalError> {
    let names = disk.names(directory).map_err(at("look into", directory))?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
        let path = directory.join(name);
        disk.remove(&path).map_err(at("remove", &path))?;
    }
    Ok(())
}
