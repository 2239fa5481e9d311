//! Free space on the disk. A part of it is kept free, because an engine on a full disk cannot even be opened to read.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How long a measurement of the disk is valid.
const FRESH: Duration = Duration::from_millis(250);
/// How many bytes an engine writes for each byte of a group, at most.
const AMPLIFICATION: u64 = 16;
/// The disk's size divided by this is the most that is kept free.
const PART: u64 = 20;

/// A measurement of the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an unprivileged process can still write.
    pub free: u64,
    /// With less free space than this, nothing is written.
    pub floor: u64,
    /// The size of the disk.
    pub total: u64,
}

/// How much free space is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomLeft {
    /// At least twice what is kept free.
    Enough,
    /// Less than twice what is kept free: the operator should make room.
    Little,
    /// Less than what is kept free: nothing is written.
    Nothing,
}

impl Space {
    /// Judges the free space.
    pub fn left(self) -> RoomLeft {
        match self.free {
            free if free < self.floor => RoomLeft::Nothing,
            free if free < self.floor.saturating_mul(2) => RoomLeft::Little,
            _ => RoomLeft::Enough,
        }
    }

    /// Whether writing may resume. This needs a little more than the floor, so that it does not stop again at once.
    pub fn has_room_again(self) -> bool {
        self.free >= self.floor + self.floor / 8
    }
}

#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    min_free: u64,
    last: Mutex<Option<(Instant, Space)>>,
}

impl Room {
    /// Keeps `min_free` bytes free on the disk of `path`, or a twentieth of the disk if that is less. 0: keeps nothing
    /// free.
    pub fn new(path: &Path, min_free: u64) -> Self {
        Self { path: path.to_owned(), min_free, last: Mutex::new(None) }
    }

    pub fn measure(&self) -> io::Result<Space> {
        let disk = rustix::fs::statvfs(&self.path)?;
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        #[cfg(debug_assertions)]
        let free = crate::debug::free().unwrap_or(free);
        Ok(Space { free, floor: if total == 0 { 0 } else { self.min_free.min(total / PART) }, total })
    }

    /// Whether a group of this many bytes may be written. Also true if the disk cannot be measured.
    pub fn admits(&self, bytes: u64) -> bool {
        if self.min_free == 0 {
            return true;
        }
        let mut last = self.last.lock();
        let fresh = last.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, space)| space);
        let Some(mut space) = fresh.or_else(|| self.measure().ok()) else { return true };
        let needed = bytes.saturating_mul(AMPLIFICATION);
        // The reserve also serves the engine's own writes, but half of it always stays free.
        let floor = space.floor.max((space.floor / 2).saturating_add(needed));
        if space.free < floor && fresh.is_some() {
            // The estimate may be too low.
            let Ok(looked) = self.measure() else { return true };
            space = looked;
        }
        let admitted = space.free >= floor;
        if admitted {
            space.free = space.free.saturating_sub(needed);
        }
        let at = last.filter(|_| fresh.is_some()).map_or_else(Instant::now, |(at, _)| at);
        *last = Some((at, space));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_little_before_it_is_none() {
        let left = |free| Space { free, floor: 100, total: 0 }.left();
        assert_eq!(
            [left(99), left(100), left(199), left(200)],
            [RoomLeft::Nothing, RoomLeft::Little, RoomLeft::Little, RoomLeft::Enough]
        );
        assert_eq!(Space { free: 0, floor: 0, total: 0 }.left(), RoomLeft::Enough, "nothing is kept free");
        let again = |free| Space { free, floor: 80, total: 0 }.has_room_again();
        assert_eq!([again(89), again(90)], [false, true]);
    }

    #[test]
    fn a_group_that_needs_the_space_that_is_kept_free_is_not_admitted() {
        let _one_at_a_time = crate::debug::LITTLE.lock();
        let directory = tempfile::tempdir().expect("a directory");
        let room = Room::new(directory.path(), 1 << 20);
        let space = room.measure().expect("a disk");
        assert!(space.floor <= 1 << 20);
        assert!(room.admits(1));
        assert!(!room.admits(space.free));
        assert!(room.admits(1), "a smaller one is");
        assert!(Room::new(directory.path(), 0).admits(u64::MAX), "nothing is kept free");
    }
}
