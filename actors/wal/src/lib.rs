//! A write-ahead log of groups of bytes. It does not interpret the bytes.
//!
//! One thread appends. A group is durable when [`Wal::append`] returns: it is one record with checksums, written into a
//! segment that was allocated and written with zeros before, followed by one fdatasync. Groups are numbered without
//! gaps.
//!
//! ```text
//! DIRECTORY/00000001.segment   4 KiB header, then records, each aligned to 512 bytes
//! ```
//!
//! - A segment is reused by overwriting its header with a higher number. The checksum of each record covers that
//!   number, so that leftovers of an earlier use are not taken for records.
//! - Recovery ([`Wal::open`]) goes through the groups that the caller still needs. A torn end was never acknowledged
//!   and is cut off. A bad record with a good one behind it is damage: [`WalError::Damaged`] says file, offset and
//!   group.
//! - Each start begins a fresh segment. So a torn end is never written over, and never has records of a later start
//!   behind it.
//! - All I/O goes through [`Disk`] and [`File`]. The feature `simulation` has a disk that loses power.

mod disk;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz_tests;
mod keeper;
mod layout;
mod read;
mod recover;
mod segments;
#[cfg(feature = "simulation")]
pub mod simulation;
mod verify;
mod wal;

pub use self::{
    disk::{Disk, File, RealDisk},
    error::WalError,
    keeper::Keeper,
    layout::{HEADER_BLOCK, LARGEST_PAYLOAD, RECORD_ALIGNMENT, RECORD_HEADER, SEGMENT_SUFFIX},
    segments::{LogSizes, Usage},
    verify::{BadPart, BadPlace, Report, log_id, salvage, verify},
    wal::{Recovery, Wal},
};
