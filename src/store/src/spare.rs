//! Reserved space for a start on a full disk. sled must write a little when it is opened, even to read. A file reserves
//! this space. The file is removed when opening fails because the disk is full. The next start with enough space makes
//! it again.

use std::{fs, io, path::Path};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Engine, RoomLeft, room::Room};

const FILE: &str = "spare";
const SIZE: u64 = 16 << 20;
/// On a small disk, at most this part of it is reserved.
const PART: u64 = 50;

/// Reserves space, if the engine needs it and the disk has enough.
pub(super) fn reserve_for_start(directory: &Path, engine: Engine, room: &Room) {
    if engine != Engine::Sled || directory.join(FILE).exists() {
        return;
    }
    let Ok(space) = room.measure() else { return };
    if space.left() == RoomLeft::Enough
        && let Err(error) = reserve(directory, SIZE.min(space.total / PART))
    {
        tracing::debug!(%error, "no space can be reserved for a start on a full disk");
        // A smaller reservation would be useless.
        let _removed = fs::remove_file(directory.join(FILE));
    }
}

fn reserve(directory: &Path, size: u64) -> io::Result<()> {
    let file = fs::File::create(directory.join(FILE))?;
    Ok(fallocate(&file, FallocateFlags::empty(), 0, size)?)
}

/// Frees the reserved space. Returns whether there was any.
pub(super) fn give_up(directory: &Path) -> bool {
    let given = fs::remove_file(directory.join(FILE)).is_ok();
    if given {
        tracing::warn!("the disk is full; the space that was reserved for a start is used");
    }
    given
}
