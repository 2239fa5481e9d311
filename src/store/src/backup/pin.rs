//! The position of the last backup. The journal keeps the backup's last group and all later groups, so that the next
//! backup can continue from there.

use std::{fs, io, path::Path};

use crate::files::unfinished;

const FILE: &str = "archived";

/// The journal keeps the groups after this one. `None` before the first backup.
pub(crate) fn kept_beyond(store: &Path) -> Option<u64> {
    fs::read_to_string(store.join(FILE)).ok()?.trim_end().parse().ok().map(before)
}

/// The group after which the journal keeps groups, once a backup has ended with `group`.
pub(super) fn before(position: u64) -> u64 {
    position.saturating_sub(1)
}

/// Not synced: an older number keeps more groups than necessary.
pub(super) fn note(store: &Path, group: u64) -> io::Result<()> {
    let path = store.join(FILE);
    let temporary = unfinished(&path);
    fs::write(&temporary, format!("{group}\n"))?;
    fs::rename(&temporary, &path)
}
