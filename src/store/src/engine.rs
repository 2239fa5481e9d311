//! Opens the database of an engine. The rest of the store does not depend on which engine it is.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::{
    Engine, Location, Options,
    error::StoreOpenError,
    redb::{self, RedbRows},
    room::Room,
    rows::{Rows, RowsOpenError},
    sled::{self, SledRows},
};

pub(crate) fn exists(engine: Engine, database: &Path) -> bool {
    match engine {
        Engine::Sled => SledRows::exists(database),
        Engine::Redb => RedbRows::exists(database),
    }
}

pub(crate) fn database_file(engine: Engine) -> &'static str {
    match engine {
        Engine::Sled => sled::DATABASE,
        Engine::Redb => redb::DATABASE,
    }
}

pub(crate) fn open_database(
    location: &Location,
    database: &Path,
    options: &Options,
) -> Result<Box<dyn Rows>, StoreOpenError> {
    let open = || match location.engine {
        Engine::Sled => SledRows::open(database, options).map(|rows| Box::new(rows) as Box<dyn Rows>),
        Engine::Redb => RedbRows::open(database, options).map(|rows| Box::new(rows) as Box<dyn Rows>),
    };
    let rows = catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(RowsOpenError::Unreadable("the engine panicked while it read the files".into())));
    rows.map_err(|error| match error {
        RowsOpenError::Io(source) => StoreOpenError::of(&location.path, "open the database", source),
        RowsOpenError::Unreadable(reason) => unusable(location, &reason),
        RowsOpenError::Locked => StoreOpenError::Locked { path: location.path.clone(), holder: None },
    })
}

/// The reason of a failed open. An engine may report a full disk without an error of the system, as a text or as
/// another fault. So the text is read and the disk is asked, too.
pub(crate) fn unusable(location: &Location, reason: &str) -> StoreOpenError {
    let path = location.path.clone();
    if is_full(&path) || reason.contains("No space left on device") {
        return StoreOpenError::Full { path, doing: "open the database" };
    }
    StoreOpenError::Corrupt { path, engine: location.engine, reason: reason.to_owned() }
}

/// Whether the disk is completely full.
pub(crate) fn is_full(path: &Path) -> bool {
    const NOTHING: u64 = 1 << 20;
    Room::new(path, 0).measure().is_ok_and(|space| space.free < NOTHING)
}
