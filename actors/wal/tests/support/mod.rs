//! Groups from which it can be told whether they are what was written.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tandem_wal::{LogSizes, Recovery, Wal, WalError, simulation::SimulatedDisk};

pub const LOG: u64 = 0x7a11_5eed_0000_0001;
/// Small, so that there are many segments.
pub const SMALL: LogSizes = LogSizes { segment: 16 << 10, most: 1 << 20, ready: 1 };

pub fn directory() -> PathBuf {
    "/journal".into()
}

pub fn payload(group: u64) -> Vec<u8> {
    let length = match group % 23 {
        0 => 9_000,
        11 => 20_000,
        rest => rest * 41,
    };
    (0..length).map(|at| (group.wrapping_mul(31).wrapping_add(at) % 251) as u8).collect()
}

/// Opens, and checks that the groups beyond `after` are what was written.
pub fn open(disk: &SimulatedDisk, config: LogSizes, after: u64) -> Result<(Wal, Recovery), WalError> {
    let mut expected = after;
    let opened = Wal::open(Arc::new(disk.clone()), &directory(), LOG, config, after, |group, bytes| {
        expected += 1;
        assert_eq!(group, expected, "in order, without a gap");
        assert!(bytes == payload(group), "group {group} is not what was written");
    })?;
    assert_eq!(opened.1.last, expected);
    Ok(opened)
}

pub fn append(wal: &mut Wal) -> Result<u64, WalError> {
    let next = wal.last() + 1;
    wal.begin().extend_from_slice(&payload(next));
    wal.append()
}

pub fn segments(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.starts_with(Path::new("/journal"))).collect()
}
