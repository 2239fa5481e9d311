//! Format version 1. All numbers are big-endian.
//!
//! ```text
//! segment header, in a block of 4096 bytes      record header, 32 bytes, aligned to 512 bytes
//!  0  "TNDMWAL\n"                                0  "TWR"
//!  8  format version, u32                        3  record version, u8: 1
//! 12  zero, u32                                  4  length of the payload, u32
//! 16  log id, u64                                8  group number, u64
//! 24  segment number, u64                       16  segment number, u64
//! 32  length of the file, u64                   24  CRC-32 of the payload
//! 40  CRC-32 of bytes 0 to 40                   28  CRC-32 of the log id and of bytes 0 to 28
//!                                               32  payload
//! ```

const MAGIC: [u8; 8] = *b"TNDMWAL\n";
const RECORD_MAGIC: [u8; 4] = *b"TWR\x01";
pub(crate) const VERSION: u32 = 1;

/// Bytes before the first record.
pub const HEADER_BLOCK: u64 = 4096;
/// Records begin at multiples of this, so that no two share a sector.
pub const RECORD_ALIGNMENT: u64 = 512;
/// Bytes before a payload.
pub const RECORD_HEADER: usize = 32;
/// Bytes of the largest payload.
pub const LARGEST_PAYLOAD: u64 = 1 << 30;
/// The suffix of the names of segments.
pub const SEGMENT_SUFFIX: &str = ".segment";

const SEGMENT_HEADER: usize = 44;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub log: u64,
    pub number: u64,
    /// The length of the whole file.
    pub length: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderFlaw {
    Unreadable,
    Version(u32),
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[at..at + N]);
    number
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(number(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(number(bytes, at))
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_BLOCK as usize);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&VERSION.to_be_bytes());
        block.extend_from_slice(&[0; 4]);
        for number in [self.log, self.number, self.length] {
            block.extend_from_slice(&number.to_be_bytes());
        }
        block.extend_from_slice(&crc32fast::hash(&block).to_be_bytes());
        block.resize(HEADER_BLOCK as usize, 0);
        block
    }

    pub fn decode(block: &[u8]) -> Result<Self, HeaderFlaw> {
        let header = block.get(..SEGMENT_HEADER).ok_or(HeaderFlaw::Unreadable)?;
        if header[..8] != MAGIC || crc32fast::hash(&header[..40]) != u32_at(header, 40) {
            return Err(HeaderFlaw::Unreadable);
        }
        match u32_at(header, 8) {
            VERSION => Ok(Self { log: u64_at(header, 16), number: u64_at(header, 24), length: u64_at(header, 32) }),
            found => Err(HeaderFlaw::Version(found)),
        }
    }
}

/// The offset of the next record after a payload of this length at this offset.
pub(crate) fn end_of_record(offset: u64, payload: usize) -> u64 {
    offset + (RECORD_HEADER as u64 + payload as u64).next_multiple_of(RECORD_ALIGNMENT)
}

fn header_sum(log: u64, header: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&log.to_be_bytes());
    sum.update(&header[..28]);
    sum.finalize()
}

/// Writes the header of a record whose payload follows [`RECORD_HEADER`] bytes, and pads the record with zeros.
pub(crate) fn seal_record(record: &mut Vec<u8>, log: u64, segment: u64, group: u64) {
    let (header, payload) = record.split_at_mut(RECORD_HEADER);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&RECORD_MAGIC);
    header[4..8].copy_from_slice(&length.to_be_bytes());
    header[8..16].copy_from_slice(&group.to_be_bytes());
    header[16..24].copy_from_slice(&segment.to_be_bytes());
    header[24..28].copy_from_slice(&crc32fast::hash(payload).to_be_bytes());
    let sum = header_sum(log, header);
    header[28..32].copy_from_slice(&sum.to_be_bytes());
    record.resize(record.len().next_multiple_of(RECORD_ALIGNMENT as usize), 0);
}

/// A record's header whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub length: usize,
    pub group: u64,
    pub segment: u64,
    sum: u32,
}

impl RecordHeader {
    pub fn decode(bytes: &[u8], log: u64) -> Option<Self> {
        let header = bytes.get(..RECORD_HEADER)?;
        if header[..4] != RECORD_MAGIC || header_sum(log, header) != u32_at(header, 28) {
            return None;
        }
        Some(Self {
            length: u32_at(header, 4) as usize,
            group: u64_at(header, 8),
            segment: u64_at(header, 16),
            sum: u32_at(header, 24),
        })
    }

    /// The payload after this header, if its checksum is right.
    pub fn payload<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        let payload = record.get(RECORD_HEADER..RECORD_HEADER + self.length)?;
        (crc32fast::hash(payload) == self.sum).then_some(payload)
    }
}
