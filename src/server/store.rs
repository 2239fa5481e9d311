//! Opens the node's store. A node that had a store does not make a new one by itself: with an unmounted disk, it would
//! be an empty node that looks healthy.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{StartError, application::OpenStore};
use crate::{
    config::Settings,
    secrets,
    store::{self, Member, Place, PostgresError, StoreOpenError},
};

/// A file in the data directory. It says that a store was made.
const MADE: &str = "store.made";

/// `member` is what this node is in its fleet.
pub(super) fn open(settings: &Settings, member: Option<Arc<Member>>) -> Result<OpenStore, StartError> {
    let place = settings.store_place();
    let options = store::Options { member, ..settings.store_options() };
    let opened = match (&place, sign(settings).filter(|_| !settings.start_afresh)) {
        (Place::Directory(location), Some(sign)) if !store::is_there(location) => {
            return Err(StartError::StoreMissing { store: place, sign });
        }
        // For a database, opening is the check.
        (Place::Postgres { .. }, Some(sign)) => {
            let options = store::Options { may_make: false, ..options };
            place.open_with_backups(&options).map_err(|error| match error {
                StoreOpenError::Postgres(PostgresError::Absent { .. }) => {
                    StartError::StoreMissing { store: place.clone(), sign }
                }
                error => error.into(),
            })?
        }
        _ => place.open_with_backups(&options)?,
    };
    if let Err(error) = note(&settings.data, &place) {
        tracing::warn!(%error, data = %settings.data.display(), "the sign of the store cannot be written, so a missing store will not be noticed at the next start");
    }
    Ok(opened)
}

/// The error for a missing store that existed before.
pub fn missing(settings: &Settings) -> Option<StartError> {
    sign(settings).map(|sign| StartError::StoreMissing { store: settings.store_place(), sign })
}

/// A sign that this data directory had a store: the file [`MADE`] or a secret. Secrets are made after the store.
fn sign(settings: &Settings) -> Option<PathBuf> {
    let mut signs = std::iter::once(MADE).chain(secrets::FILES).map(|name| settings.data.join(name));
    signs.find(|path| path.exists())
}

fn note(data: &Path, place: &Place) -> std::io::Result<()> {
    let path = data.join(MADE);
    if path.exists() {
        return Ok(());
    }
    store::create_directory(data)?;
    let mut note = tempfile::NamedTempFile::new_in(data)?;
    writeln!(note, "The store of this node was made at {place}.")?;
    note.as_file().sync_all()?;
    note.persist(&path).map_err(|error| error.error)?;
    std::fs::File::open(data)?.sync_all()
}
