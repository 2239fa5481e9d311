//! The directories of a repair: opens a damaged engine as far as possible, and exchanges the damaged store and the
//! repaired one.

use std::{fs, io, path::Path};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::RepairError;
use crate::{Engine, Location, Options, StoreOpenError, directory::Directory, open_engine::OpenEngine};

/// Exchanges the damaged store and the repaired one in one step, so that there is a store at any moment.
pub(super) fn change_places(damaged: &Path, repaired: &Path, kept: &Path) -> Result<(), RepairError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RepairError::Move { doing: "rename", path, source }
    };
    match renameat_with(CWD, damaged, CWD, repaired, RenameFlags::EXCHANGE) {
        Ok(()) => return fs::rename(repaired, kept).map_err(failed(repaired)),
        // Not every file system supports it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        Err(error) => return Err(failed(damaged)(error.into())),
    }
    fs::rename(damaged, kept).map_err(failed(damaged))?;
    fs::rename(repaired, damaged).map_err(failed(repaired))
}

/// Opens the engine even if its files are damaged. sled works without its snapshot, and makes its settings again.
pub(super) fn open_engine(
    location: &Location,
    options: &Options,
    given_up: &mut Vec<String>,
) -> Result<OpenEngine, StoreOpenError> {
    let open = || {
        let directory = Directory::lock(&location.path)?;
        match directory.engine(&*options.disk)?.filter(|found| *found != location.engine) {
            Some(found) => {
                Err(StoreOpenError::OtherEngine { path: location.path.clone(), found, asked: location.engine })
            }
            None => OpenEngine::open(location, directory, options),
        }
    };
    let mut opened = open();
    for beginning in ["snap.", "conf"] {
        if location.engine == Engine::Sled
            && let Err(StoreOpenError::Corrupt { reason, .. }) = &opened
        {
            given_up.push(format!("sled's files {beginning}*: {reason}"));
            set_aside(&Directory::database_at(&location.path, location.engine), beginning)
                .map_err(|source| StoreOpenError::of(&location.path, "set a file of sled aside", source))?;
            opened = open();
        }
    }
    opened
}

/// Renames the files whose names begin with `beginning`.
fn set_aside(directory: &Path, beginning: &str) -> io::Result<()> {
    for entry in directory.read_dir()? {
        let name = entry?.file_name().display().to_string();
        if name.starts_with(beginning) {
            fs::rename(directory.join(&name), directory.join(format!("unusable-{name}")))?;
        }
    }
    Ok(())
}
