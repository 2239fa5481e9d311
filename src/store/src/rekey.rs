//! The store's keys: from the directory when a store is opened, and for another key of the operator.

use std::path::Path;

use crate::{
    Location, MasterKey, Options, StoreOpenError,
    cipher::Cipher,
    directory::Directory,
    keyring::{Keys, KeysError},
    seal::Sealing,
};

/// The operator's key, if one is set.
pub(crate) fn master(path: &Path, options: &Options) -> Result<Option<MasterKey>, StoreOpenError> {
    let file = options.encryption_key_file.as_deref();
    let key = file.map(MasterKey::read).transpose();
    key.map_err(|error| StoreOpenError::Key { path: path.to_owned(), error })
}

/// The keys of the store in this directory; none if it has no keys.
pub(crate) fn keys_of(path: &Path, options: &Options) -> Result<Option<Keys>, StoreOpenError> {
    if !Keys::are_there(path) {
        return Ok(None);
    }
    let missing = || StoreOpenError::KeyMissing { path: path.to_owned() };
    load(path, &master(path, options)?.ok_or_else(missing)?).map(Some)
}

fn load(path: &Path, master: &MasterKey) -> Result<Keys, StoreOpenError> {
    let own = || path.to_owned();
    Keys::load(path, master).map_err(|error| match error {
        KeysError::Io(source) => StoreOpenError::of(path, "read its keys", source),
        KeysError::OtherKey => StoreOpenError::KeyOther { path: own(), file: master.file().to_owned() },
        KeysError::Damaged => StoreOpenError::KeysLost { path: own() },
    })
}

fn store(keys: &Keys, path: &Path, master: &MasterKey, options: &Options) -> Result<(), StoreOpenError> {
    keys.store(path, master, &*options.disk).map_err(|error| StoreOpenError::of(path, "write its keys", error))
}

/// Whether the operator's key can be read, and is the one of the store.
pub(crate) fn check_key(path: &Path, options: &Options) -> Result<(), StoreOpenError> {
    master(path, options)?;
    keys_of(path, options).map(drop)
}

/// Makes keys for a store that is going to be encrypted, if that is wanted. `is_mixed`: it has rows. If not, none are
/// left behind: the next start would take the store for an encrypted one.
pub(crate) fn begin_keys(path: &Path, options: &Options, is_mixed: bool) -> Result<Option<Keys>, StoreOpenError> {
    let Some(master) = master(path, options)? else {
        let removed = Keys::remove(path);
        return removed.map(|()| None).map_err(|error| StoreOpenError::of(path, "remove its keys", error));
    };
    let mut keys = Keys::fresh();
    keys.is_mixed = is_mixed;
    store(&keys, path, &master, options)?;
    Ok(Some(keys))
}

/// Notes that everything in the store is sealed with the last data key.
///
/// # Errors
/// Also if the operator's file holds another key by now, with which nobody wants the store's keys to be sealed.
pub(crate) fn note_all_sealed(path: &Path, options: &Options) -> Result<(), StoreOpenError> {
    let Some(master) = master(path, options)? else { return Ok(()) };
    let mut keys = load(path, &master)?;
    keys.is_mixed = false;
    store(&keys, path, &master, options)
}

/// How values are stored with these keys.
pub(crate) fn sealing(keys: Option<&Keys>) -> Sealing {
    keys.map_or_else(Sealing::default, |keys| Sealing::with(Cipher::new(keys)))
}

/// Gives the store another key of the operator, and a fresh data key. Rows are sealed with that while the node runs;
/// until then they stay readable. Whenever the process ends, one of the two keys opens the store.
///
/// # Errors
/// If the store is in use, has no keys, or is sealed with another key than `options` names.
pub fn rekey(location: &Location, options: &Options, new: &Path) -> Result<(), StoreOpenError> {
    let Location { engine, path } = location;
    if !Directory::holds_store(path) {
        return Err(StoreOpenError::Absent { path: path.clone(), engine: *engine });
    }
    let new = MasterKey::read(new).map_err(|error| StoreOpenError::Key { path: path.clone(), error })?;
    let _locked = Directory::lock(path)?;
    let mut keys = keys_of(path, options)?.ok_or_else(|| StoreOpenError::NotEncrypted { path: path.clone() })?;
    keys.add_data_key();
    store(&keys, path, &new, options)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn keys_of_a_store_that_was_not_completed_do_not_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, file) = (directory.path(), directory.path().join("key"));
        fs::write(&file, "a".repeat(64)).expect("a file");
        let with_key = Options { encryption_key_file: Some(file), ..Options::default() };
        assert!(begin_keys(path, &with_key, false).expect("written").is_some());
        assert!(begin_keys(path, &Options::default(), false).expect("removed").is_none());
        assert!(!Keys::are_there(path));
    }

    /// An operator who writes another key into the file while the node runs must not lose the one that counts.
    #[test]
    fn a_key_that_is_not_the_stores_does_not_seal_its_keys() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, file) = (directory.path(), directory.path().join("key"));
        let options = Options { encryption_key_file: Some(file.clone()), ..Options::default() };
        let is_mixed = || keys_of(path, &options).map(|keys| keys.expect("there are keys").is_mixed);
        let [one, other] = ["a", "b"].map(|digit| digit.repeat(64));
        fs::write(&file, &one).expect("a file");
        begin_keys(path, &options, true).expect("written");
        fs::write(&file, other).expect("a file");
        assert!(matches!(note_all_sealed(path, &options), Err(StoreOpenError::KeyOther { .. })));
        fs::write(&file, one).expect("a file");
        assert!(is_mixed().expect("the key is the one of before"));
        note_all_sealed(path, &options).expect("noted");
        assert!(!is_mixed().expect("the same key"));
    }
}
