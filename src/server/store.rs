//! Opens the node's store. A node that had a store does not make a new one by itself: with an unmounted disk, it would
//! be an empty node that looks healthy.

use std::{io::Write, path::Path, sync::Arc};

use tandem_actors::ports::Store;

use super::StartError;
use crate::{
    config::Settings,
    secrets,
    store::{self, Backups},
};

/// A file in the data directory. It says that a store was made.
const MADE: &str = "store.made";

pub(super) fn open(settings: &Settings) -> Result<(Arc<dyn Store>, Backups), StartError> {
    if let Some(missing) = missing(settings).filter(|_| !settings.start_afresh) {
        return Err(missing);
    }
    let location = settings.store_location();
    let opened = store::open_with_backups(&location, &settings.store_options())?;
    if let Err(error) = note(&settings.data, &location) {
        tracing::warn!(%error, data = %settings.data.display(), "the sign of the store cannot be written, so a missing store will not be noticed at the next start");
    }
    Ok(opened)
}

/// The error if the store is missing although there was one. The file [`MADE`] or a secret is the sign; secrets are
/// made after the store.
pub fn missing(settings: &Settings) -> Option<StartError> {
    let store = settings.store_location().path;
    let mut signs = std::iter::once(MADE).chain(secrets::FILES).map(|name| settings.data.join(name));
    let there = store::is_there(&settings.store_location());
    signs.find(|path| !there && path.exists()).map(|sign| StartError::StoreMissing { store, sign })
}

fn note(data: &Path, location: &store::Location) -> std::io::Result<()> {
    let path = data.join(MADE);
    if path.exists() {
        return Ok(());
    }
    store::create_directory(data)?;
    let mut note = tempfile::NamedTempFile::new_in(data)?;
    writeln!(note, "The store of this node was made at {location}.")?;
    note.as_file().sync_all()?;
    note.persist(&path).map_err(|error| error.error)?;
    std::fs::File::open(data)?.sync_all()
}
