//! A segment's content, and the records in it.

use crate::{
    disk::{File, read_all},
    layout::{HEADER_BLOCK, RECORD_ALIGNMENT, RecordHeader, end_of_record},
};

/// A record whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub offset: u64,
    pub group: u64,
    pub segment: u64,
    pub payload: &'a [u8],
    /// The offset of the next record.
    pub end: u64,
}

pub(crate) struct Content {
    bytes: Vec<u8>,
    log: u64,
    /// Only records with this segment number count, because others are left from an earlier use. `None` if all count.
    segment: Option<u64>,
}

impl Content {
    pub fn load(file: &dyn File, log: u64, segment: Option<u64>) -> std::io::Result<Self> {
        let length = usize::try_from(file.length()?).unwrap_or(usize::MAX);
        Ok(Self { bytes: read_all(file, 0, length)?, log, segment })
    }

    fn from(&self, offset: u64) -> &[u8] {
        usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default()
    }

    /// The header at this offset, if its checksum is right. The payload may be damaged.
    pub fn header(&self, offset: u64) -> Option<RecordHeader> {
        let header = RecordHeader::decode(self.from(offset), self.log)?;
        self.segment.is_none_or(|segment| segment == header.segment).then_some(header)
    }

    /// The record at this offset, if it is intact.
    pub fn record(&self, offset: u64) -> Option<Record<'_>> {
        let header = self.header(offset)?;
        let payload = header.payload(self.from(offset))?;
        let RecordHeader { group, segment, .. } = header;
        Some(Record { offset, group, segment, payload, end: end_of_record(offset, payload.len()) })
    }

    /// The rest of a damaged payload: the bytes between a header, intact or not, and the next record.
    pub fn suspect(&self, offset: u64, next: u64) -> &[u8] {
        let payload = self.from(offset + crate::layout::RECORD_HEADER as u64);
        let before_next = usize::try_from(next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = self.header(offset).map_or(before_next, |header| header.length);
        &payload[..length.min(before_next).min(payload.len())]
    }

    /// All intact records from this offset on.
    pub fn search(&self, offset: u64) -> impl Iterator<Item = Record<'_>> {
        let first = offset.max(HEADER_BLOCK).next_multiple_of(RECORD_ALIGNMENT);
        (first..self.bytes.len() as u64).step_by(RECORD_ALIGNMENT as usize).filter_map(|offset| self.record(offset))
    }
}
