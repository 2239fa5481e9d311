//! Room for a start on a full disk: sled cannot be opened, not even to read, where it cannot write a little. A file
//! keeps that much for it; it is given up when opening fails for want of room, and kept again by the next start that
//! has enough.

use std::{fs, io, path::Path};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Engine, Left, room::Room};

const FILE: &str = "spare";
const SIZE: u64 = 16 << 20;
/// Of a small disk, not more than this part.
const PART: u64 = 50;

/// Keeps some room, where the engine needs it and the disk has enough.
pub(super) fn keep(directory: &Path, engine: Engine, room: &Room) {
    if engine != Engine::Sled || directory.join(FILE).exists() {
        return;
    }
    let Ok(space) = room.look() else { return };
    if space.left() == Left::Enough
        && let Err(error) = reserve(directory, SIZE.min(space.total / PART))
    {
        tracing::debug!(%error, "nothing is kept for a start on a full disk");
        // A part of it is of no use.
        let _removed = fs::remove_file(directory.join(FILE));
    }
}

fn reserve(directory: &Path, size: u64) -> io::Result<()> {
    let file = fs::File::create(directory.join(FILE))?;
    Ok(fallocate(&file, FallocateFlags::empty(), 0, size)?)
}

/// Gives it up. Whether there was something to give.
pub(super) fn give_up(directory: &Path) -> bool {
    let given = fs::remove_file(directory.join(FILE)).is_ok();
    if given {
        tracing::warn!("the disk is full; what was kept for a start on a full disk is used");
    }
    given
}
