//! How far the last backup goes. The journal keeps what follows, for the next one.

use std::{fs, io, path::Path};

use super::directory::unfinished;

const FILE: &str = "archived";

/// The last group of the last backup, if there was one.
pub(crate) fn archived(store: &Path) -> Option<u64> {
    fs::read_to_string(store.join(FILE)).ok()?.trim_end().parse().ok()
}

/// Not synced: an older number only keeps more.
pub(super) fn note(store: &Path, group: u64) -> io::Result<()> {
    let path = store.join(FILE);
    let temporary = unfinished(&path);
    fs::write(&temporary, format!("{group}\n"))?;
    fs::rename(&temporary, &path)
}
