//! How far the last backup goes. The journal keeps its last group, by which the next one knows that it goes on from
//! there, and what follows.

use std::{fs, io, path::Path};

use crate::files::unfinished;

const FILE: &str = "archived";

/// Beyond which group the journal keeps groups; none before the first backup.
pub(crate) fn kept_beyond(store: &Path) -> Option<u64> {
    fs::read_to_string(store.join(FILE)).ok()?.trim_end().parse().ok().map(before)
}

/// Beyond which group the journal keeps groups after a backup that ends with this one.
pub(super) fn before(position: u64) -> u64 {
    position.saturating_sub(1)
}

/// Not synced: an older number only keeps more.
pub(super) fn note(store: &Path, group: u64) -> io::Result<()> {
    let path = store.join(FILE);
    let temporary = unfinished(&path);
    fs::write(&temporary, format!("{group}\n"))?;
    fs::rename(&temporary, &path)
}
