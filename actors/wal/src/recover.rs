//! Recovery: finds the segments in a directory and reads their groups in order.
//!
//! A group is written only when the previous group is durable. So an intact record after a bad one proves that the bad
//! one was acknowledged: the log is damaged. A bad record without an intact one after it is the torn end of the log.
//! After a torn end, the next start begins a new segment with the same group number. So only the group numbers show
//! whether a group is missing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    disk::{Disk, File, read_all},
    error::{WalError, at},
    layout::{HEADER_BLOCK, HeaderFlaw, RECORD_HEADER, RecordHeader, SEGMENT_SUFFIX, SegmentHeader, VERSION},
    read::Content,
};

/// The suffix of segments that are being created.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// A file of the log.
#[derive(Debug)]
pub(crate) struct Slot {
    pub path: PathBuf,
    /// The number in its name.
    pub name: u64,
    pub file: Arc<dyn File>,
    pub length: u64,
    /// `None` if the header is bad.
    pub header: Option<SegmentHeader>,
    /// The group of its first intact record.
    pub first: Option<u64>,
    /// The group of the last intact record so far.
    pub last: u64,
    /// The highest segment number that this file may have had.
    pub number: u64,
}

impl Slot {
    /// The content of the file, without records of an earlier use of the file.
    pub(crate) fn content(&self, log: u64) -> Result<Content, WalError> {
        self.load(log, self.header.map(|header| header.number))
    }

    /// The content of the file, with the records of all uses.
    pub(crate) fn content_of_all_uses(&self, log: u64) -> Result<Content, WalError> {
        self.load(log, None)
    }

    fn load(&self, log: u64, segment: Option<u64>) -> Result<Content, WalError> {
        Content::load(&*self.file, log, segment).map_err(at("read", &self.path))
    }
}

/// All files of the log, in no order.
pub(crate) fn slots(disk: &dyn Disk, directory: &Path, log: u64) -> Result<Vec<Slot>, WalError> {
    let names = disk.names(directory).map_err(at("look into", directory))?;
    let numbered = |name: &String| name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok();
    let found = names.iter().filter_map(|name| Some((directory.join(name), numbered(name)?)));
    found.map(|(path, name)| slot(disk, path, name, log)).collect()
}

fn slot(disk: &dyn Disk, path: PathBuf, name: u64, log: u64) -> Result<Slot, WalError> {
    let file = disk.open(&path).map_err(at("open", &path))?;
    let length = file.length().map_err(at("measure", &path))?;
    let block = read_all(&*file, 0, HEADER_BLOCK as usize).map_err(at("read", &path))?;
    let header = match SegmentHeader::decode(&block) {
        Ok(header) if header.log != log => return Err(WalError::Foreign { path }),
        Ok(header) => Some(header),
        Err(HeaderFlaw::Unreadable) => None,
        Err(HeaderFlaw::Version(found)) => return Err(WalError::Version { path, found, known: VERSION }),
    };
    let first = first_group(&*file, log, header).map_err(at("read", &path))?;
    let number = header.map_or(0, |header| header.number);
    Ok(Slot { path, name, file, length, header, first, last: 0, number })
}

/// The group of the first intact record. A torn record does not count: a later segment has a group of the same number.
fn first_group(file: &dyn File, log: u64, header: Option<SegmentHeader>) -> std::io::Result<Option<u64>> {
    let Some(header) = header else { return Ok(None) };
    let beginning = read_all(file, HEADER_BLOCK, RECORD_HEADER)?;
    let first = RecordHeader::decode(&beginning, log).filter(|first| first.segment == header.number);
    if let Some(first) = first {
        let record = read_all(file, HEADER_BLOCK, RECORD_HEADER + first.length)?;
        if first.payload(&record).is_some() {
            return Ok(Some(first.group));
        }
    }
    let content = Content::load(file, log, Some(header.number))?;
    Ok(content.search(HEADER_BLOCK).next().map(|record| record.group))
}

/// Restores bad headers of slots that have groups after `after`. Each record has its segment's number. Returns the
/// paths of these slots.
pub(crate) fn restore_headers(slots: &mut [Slot], log: u64, after: u64) -> Result<Vec<PathBuf>, WalError> {
    let mut restored = Vec::new();
    for slot in slots.iter_mut().filter(|slot| slot.header.is_none()) {
        let content = slot.content_of_all_uses(log)?;
        // Records of an earlier use have lower group numbers.
        let Some(latest) = content.search(HEADER_BLOCK).max_by_key(|record| record.group) else { continue };
        let number = latest.segment;
        slot.number = number;
        if latest.group <= after {
            continue;
        }
        slot.header = Some(SegmentHeader { log, number, length: slot.length });
        slot.first = content.search(HEADER_BLOCK).find(|record| record.segment == number).map(|record| record.group);
        restored.push(slot.path.clone());
    }
    Ok(restored)
}

/// Visits the groups after `after` in order, and returns the number of the last one. `slots` are sorted by their first
/// group. `empty` slots have no group.
pub(crate) fn walk(
    slots: &mut [Slot],
    empty: &[Slot],
    log: u64,
    after: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), WalError>,
) -> Result<u64, WalError> {
    let Some(oldest) = slots.first() else { return Ok(after) };
    if let Some(first) = oldest.first.filter(|first| *first > after + 1) {
        return Err(WalError::Missing { path: oldest.path.clone(), needed: after + 1, oldest: first });
    }
    for index in 1..slots.len() {
        slots[index - 1].last = slots[index].first.unwrap_or_default().saturating_sub(1);
    }
    let begin = slots.iter().rposition(|slot| slot.first.is_some_and(|first| first <= after + 1)).unwrap_or(0);
    let mut expected = slots[begin].first.unwrap_or_default();
    let mut end = HEADER_BLOCK;
    for index in begin..slots.len() {
        let slot = &slots[index];
        let first = slot.first.unwrap_or_default();
        if first != expected {
            if first > after + 1 || first < expected {
                let before = (&slots[index.saturating_sub(1)], end);
                return Err(match missing_between(slot, empty, log, before)? {
                    Some((path, offset)) => WalError::Damaged { path, offset, group: expected },
                    None => WalError::Missing { path: slot.path.clone(), needed: expected, oldest: first },
                });
            }
            expected = first;
        }
        end = walk_segment(slot, log, after, &mut expected, &mut visit)?;
        // A killed process may have left groups in the kernel's cache only. They must be durable before anybody sees
        // them.
        slot.file.sync_data().map_err(at("sync", &slot.path))?;
        slots[index].last = expected - 1;
    }
    Ok((expected - 1).max(after))
}

/// The place of a group that is missing before a segment. It is where a bad record is: at the end of the previous
/// segment, in a segment without an intact group, or at the beginning of this one. `None` if a whole segment is missing
/// or was reused.
pub(crate) fn missing_between(
    slot: &Slot,
    empty: &[Slot],
    log: u64,
    before: (&Slot, u64),
) -> Result<Option<(PathBuf, u64)>, WalError> {
    let content = slot.content(log)?;
    if content.record(HEADER_BLOCK).is_none_or(|record| Some(record.group) != slot.first) {
        return Ok(Some((slot.path.clone(), HEADER_BLOCK)));
    }
    let beginnings = empty.iter().map(|slot| (slot, HEADER_BLOCK));
    for (slot, offset) in std::iter::once(before).chain(beginnings) {
        let beginning = read_all(&*slot.file, offset, RECORD_HEADER).map_err(at("read", &slot.path))?;
        let number = slot.header.map(|header| header.number);
        let is_left_over = RecordHeader::decode(&beginning, log).is_some_and(|header| Some(header.segment) != number);
        if !is_left_over && beginning.iter().any(|byte| *byte != 0) {
            return Ok(Some((slot.path.clone(), offset)));
        }
    }
    Ok(None)
}

/// Visits the groups of one segment. Returns the offset after the last one.
fn walk_segment(
    slot: &Slot,
    log: u64,
    after: u64,
    expected: &mut u64,
    visit: &mut impl FnMut(u64, &[u8]) -> Result<(), WalError>,
) -> Result<u64, WalError> {
    let content = slot.content(log)?;
    let mut offset = HEADER_BLOCK;
    loop {
        if let Some(record) = content.record(offset).filter(|record| record.group == *expected) {
            if record.group > after {
                visit(record.group, record.payload)?;
            }
            *expected += 1;
            offset = record.end;
            continue;
        }
        match content.search(offset).find(|record| record.group >= *expected) {
            None => return Ok(offset),
            // The damaged groups are no longer needed.
            Some(good) if good.group <= after + 1 || good.group == *expected => {
                *expected = good.group;
                offset = good.offset;
            }
            Some(_) => return Err(WalError::Damaged { path: slot.path.clone(), offset, group: *expected }),
        }
    }
}
