//! Verifies a whole log, and salvages its good groups. It changes nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    disk::{Disk, read_all},
    error::WalError,
    layout::{HEADER_BLOCK, SEGMENT_SUFFIX, SegmentHeader},
    recover::{self, Slot},
};

/// A damaged place in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlace {
    /// The segment's file.
    pub path: PathBuf,
    /// The offset in the file, in bytes.
    pub offset: u64,
    /// What is damaged.
    pub what: BadPart,
    /// The rest of the group.
    pub payload: Option<Vec<u8>>,
}

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPart {
    /// A segment's header.
    Header,
    /// A group with intact groups after it.
    Group(u64),
}

impl BadPlace {
    /// Whether a group after this one is damaged.
    pub fn is_beyond(&self, group: u64) -> bool {
        matches!(self.what, BadPart::Group(bad) if bad > group)
    }
}

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, offset {}: ", self.path.display(), self.offset)?;
        match self.what {
            BadPart::Header => f.write_str("the segment's header is damaged"),
            BadPart::Group(group) => write!(f, "group {group} is damaged"),
        }
    }
}

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of files, with groups or without.
    pub segments: usize,
    /// The number of intact groups.
    pub groups: u64,
    /// The first intact group. `None` without a group.
    pub first: Option<u64>,
    /// The last intact group.
    pub last: Option<u64>,
    /// Empty if every acknowledged group can be read.
    pub bad: Vec<BadPlace>,
    /// A group that was never acknowledged: the process or the power ended while it was written.
    pub torn: Option<(PathBuf, u64)>,
}

/// Verifies all groups of the log in a directory. A bad header is reported only if its segment has groups after
/// `after`. Otherwise the file was being prepared for reuse.
///
/// # Errors
/// If the files cannot be read, or belong to another log.
pub fn verify(disk: &dyn Disk, directory: &Path, log: u64, after: u64) -> Result<Report, WalError> {
    salvage(disk, directory, log, after, &mut |_, _| {})
}

/// As [`verify`]. In addition it passes all good groups to `take`, in order.
///
/// # Errors
/// As [`verify`].
pub fn salvage(
    disk: &dyn Disk,
    directory: &Path,
    log: u64,
    after: u64,
    take: &mut dyn FnMut(u64, &[u8]),
) -> Result<Report, WalError> {
    let mut slots = recover::slots(disk, directory, log)?;
    let mut report = Report { segments: slots.len(), ..Report::default() };
    for path in recover::restore_headers(&mut slots, log, after)? {
        report.bad.push(BadPlace { path, offset: 0, what: BadPart::Header, payload: None });
    }
    let (mut slots, empty): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| slot.first.is_some());
    slots.sort_by_key(|slot| slot.first);
    report.first = slots.first().and_then(|slot| slot.first);
    let mut expected = report.first.unwrap_or(1);
    let mut end: Option<(&Slot, u64)> = None;
    for slot in &slots {
        if let (Some(first), Some(before)) = (slot.first, end)
            && first > expected
        {
            // Segments that are no longer needed are reused in any order.
            if first > after + 1 {
                let found = recover::missing_between(slot, &empty, log, before)?;
                let (path, offset) = found.unwrap_or_else(|| (slot.path.clone(), HEADER_BLOCK));
                report.bad.push(BadPlace { path, offset, what: BadPart::Group(expected), payload: None });
            }
            expected = first;
        }
        end = Some((slot, verify_segment(slot, log, &mut expected, &mut report, take)?));
    }
    report.last = report.first.map(|_| expected - 1);
    report.torn = torn(log, end.into_iter().chain(empty.iter().map(|slot| (slot, HEADER_BLOCK))))?;
    Ok(report)
}

/// Passes the intact groups of a segment to `take` and reports the damaged ones. Returns the offset after the last one.
fn verify_segment(
    slot: &Slot,
    log: u64,
    expected: &mut u64,
    report: &mut Report,
    take: &mut dyn FnMut(u64, &[u8]),
) -> Result<u64, WalError> {
    let content = slot.content(log)?;
    let mut offset = HEADER_BLOCK;
    loop {
        if let Some(record) = content.record(offset).filter(|record| record.group == *expected) {
            take(record.group, record.payload);
            report.groups += 1;
            *expected += 1;
            offset = record.end;
            continue;
        }
        let Some(good) = content.search(offset).find(|record| record.group >= *expected) else { return Ok(offset) };
        if good.group > *expected {
            report.bad.push(BadPlace {
                path: slot.path.clone(),
                offset,
                what: BadPart::Group(*expected),
                payload: Some(content.suspect(offset, good.offset).to_vec()),
            });
        }
        *expected = good.group;
        offset = good.offset;
    }
}

/// The incomplete group that begins at one of these places, if there is one.
fn torn<'a>(log: u64, places: impl Iterator<Item = (&'a Slot, u64)>) -> Result<Option<(PathBuf, u64)>, WalError> {
    for (slot, offset) in places {
        let content = slot.content_of_all_uses(log)?;
        let number = slot.header.map(|header| header.number);
        if content.header(offset).is_some_and(|header| Some(header.segment) == number) {
            return Ok(Some((slot.path.clone(), offset)));
        }
    }
    Ok(None)
}

/// The id of the log in a directory, from the first readable header of a segment.
pub fn log_id(disk: &dyn Disk, directory: &Path) -> Option<u64> {
    let names = disk.names(directory).ok()?;
    let segments = names.iter().filter(|name| name.ends_with(SEGMENT_SUFFIX));
    let mut headers = segments.filter_map(|name| {
        let file = disk.open(&directory.join(name)).ok()?;
        SegmentHeader::decode(&read_all(&*file, 0, HEADER_BLOCK as usize).ok()?).ok()
    });
    headers.next().map(|header| header.log)
}
