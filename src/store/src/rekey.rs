//! Loads the store's keys when a store is opened, and changes the operator's key.

use std::path::Path;

use crate::{
    Location, MasterKey, Options, StoreOpenError,
    cipher::Cipher,
    directory::Directory,
    keyring::{DataKeys, KeysError},
    seal::RowCoding,
};

/// The operator's key, if one is set.
pub(crate) fn master(path: &Path, options: &Options) -> Result<Option<MasterKey>, StoreOpenError> {
    let file = options.encryption_key_file.as_deref();
    let key = file.map(MasterKey::read).transpose();
    key.map_err(|error| StoreOpenError::Key { path: path.to_owned(), error })
}

/// The keys of the store in this directory. `None` if it is not encrypted.
pub(crate) fn keys_of(path: &Path, options: &Options) -> Result<Option<DataKeys>, StoreOpenError> {
    if !DataKeys::are_there(path) {
        return Ok(None);
    }
    let missing = || StoreOpenError::KeyMissing { path: path.to_owned() };
    load(path, &master(path, options)?.ok_or_else(missing)?).map(Some)
}

fn load(path: &Path, master: &MasterKey) -> Result<DataKeys, StoreOpenError> {
    let own = || path.to_owned();
    DataKeys::load(path, master).map_err(|error| match error {
        KeysError::Io(source) => StoreOpenError::of(path, "read its keys", source),
        KeysError::OtherKey => StoreOpenError::KeyOther { path: own(), file: master.file().to_owned() },
        KeysError::Damaged => StoreOpenError::KeysLost { path: own() },
    })
}

fn store(keys: &DataKeys, path: &Path, master: &MasterKey, options: &Options) -> Result<(), StoreOpenError> {
    keys.store(path, master, &*options.disk).map_err(|error| StoreOpenError::of(path, "write its keys", error))
}

/// Checks that the operator's key can be read, and belongs to the store.
pub(crate) fn check_key(path: &Path, options: &Options) -> Result<(), StoreOpenError> {
    master(path, options)?;
    keys_of(path, options).map(drop)
}

/// Makes keys if the settings name an operator's key. Otherwise removes leftover keys, because the next start would
/// take the store for an encrypted one.
pub(crate) fn keys_of_new_store(path: &Path, options: &Options) -> Result<Option<DataKeys>, StoreOpenError> {
    make_keys(path, options, DataKeys::fresh())
}

/// As [`keys_of_new_store`], for a store that has rows without encryption.
pub(crate) fn keys_of_plain_store(path: &Path, options: &Options) -> Result<Option<DataKeys>, StoreOpenError> {
    make_keys(path, options, DataKeys { is_mixed: true, ..DataKeys::fresh() })
}

fn make_keys(path: &Path, options: &Options, keys: DataKeys) -> Result<Option<DataKeys>, StoreOpenError> {
    let Some(master) = master(path, options)? else {
        let removed = DataKeys::remove(path);
        return removed.map(|()| None).map_err(|error| StoreOpenError::of(path, "remove its keys", error));
    };
    store(&keys, path, &master, options)?;
    Ok(Some(keys))
}

/// Notes that everything in the store is encrypted with the last data key.
///
/// # Errors
/// Also if the operator's file holds another key by now: the store's keys must not be encrypted with that one.
pub(crate) fn note_all_encrypted(path: &Path, options: &Options) -> Result<(), StoreOpenError> {
    let Some(master) = master(path, options)? else { return Ok(()) };
    let mut keys = load(path, &master)?;
    keys.is_mixed = false;
    store(&keys, path, &master, options)
}

/// How values are stored with these keys.
pub(crate) fn row_coding(keys: Option<&DataKeys>) -> RowCoding {
    keys.map_or_else(RowCoding::default, |keys| RowCoding::with(Cipher::new(keys)))
}

/// Gives the store another operator's key, and a fresh data key. The running node encrypts the rows again with the data
/// key; until then they stay readable. Whenever the process ends, one of the two operator's keys opens the store.
///
/// # Errors
/// If the store is in use, has no keys, or is encrypted with another key than `options` names.
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
        assert!(keys_of_new_store(path, &with_key).expect("written").is_some());
        assert!(keys_of_new_store(path, &Options::default()).expect("removed").is_none());
        assert!(!DataKeys::are_there(path));
    }

    /// An operator may write another key into the file while the node runs. The store must stay readable with its own
    /// key.
    #[test]
    fn the_stores_keys_are_not_encrypted_with_a_key_that_is_not_the_stores() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, file) = (directory.path(), directory.path().join("key"));
        let options = Options { encryption_key_file: Some(file.clone()), ..Options::default() };
        let is_mixed = || keys_of(path, &options).map(|keys| keys.expect("there are keys").is_mixed);
        let [one, other] = ["a", "b"].map(|digit| digit.repeat(64));
        fs::write(&file, &one).expect("a file");
        keys_of_plain_store(path, &options).expect("written");
        fs::write(&file, other).expect("a file");
        assert!(matches!(note_all_encrypted(path, &options), Err(StoreOpenError::KeyOther { .. })));
        fs::write(&file, one).expect("a file");
        assert!(is_mixed().expect("the key is the one of before"));
        note_all_encrypted(path, &options).expect("noted");
        assert!(!is_mixed().expect("the same key"));
    }
}
