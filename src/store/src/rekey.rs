//! Loads the store's keys when a store is opened, and changes the operator's key.

use std::path::{Path, PathBuf};

use crate::{
    Location, MasterKey, Options, StoreOpenError,
    cipher::Cipher,
    directory::Directory,
    keyring::{DataKeys, KeysError},
    seal::RowCoding,
};

/// The operator's key, if one is set.
pub(crate) fn master(path: &Path, options: &Options) -> Result<Option<MasterKey>, StoreOpenError> {
    options.encryption_key_file.as_deref().map(|file| read(path, file)).transpose()
}

fn read(path: &Path, file: &Path) -> Result<MasterKey, StoreOpenError> {
    MasterKey::read(file).map_err(|error| StoreOpenError::Key { path: path.to_owned(), error })
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

/// The keys of an open store, and the file of the operator's key that they are encrypted with.
#[derive(Debug)]
pub(crate) struct KeysInUse {
    pub keys: DataKeys,
    file: PathBuf,
}

impl KeysInUse {
    pub fn new(keys: DataKeys, options: &Options) -> Self {
        Self { keys, file: options.encryption_key_file.clone().unwrap_or_default() }
    }

    /// Gives the store in this directory another operator's key, and a fresh data key. The caller then encrypts with
    /// it. The present operator's key is not needed, and may be in no file any more.
    ///
    /// # Errors
    /// Then nothing has changed.
    pub fn rekey(&mut self, path: &Path, new: &Path, options: &Options) -> Result<(), StoreOpenError> {
        change(&mut self.keys, path, new, options)?;
        new.clone_into(&mut self.file);
        Ok(())
    }

    /// Notes that everything in the store is encrypted with the last data key.
    ///
    /// # Errors
    /// Also if the operator's file holds another key by now: the store's keys must not be encrypted with that one.
    pub fn note_all_encrypted(&mut self, path: &Path, options: &Options) -> Result<(), StoreOpenError> {
        let master = read(path, &self.file)?;
        let mut keys = load(path, &master)?;
        keys.is_mixed = false;
        store(&keys, path, &master, options)?;
        self.keys.is_mixed = false;
        Ok(())
    }
}

/// Encrypts the keys with another operator's key, and adds a fresh data key, durably. Whenever the process ends, one of
/// the two operator's keys opens the store.
fn change(keys: &mut DataKeys, path: &Path, new: &Path, options: &Options) -> Result<(), StoreOpenError> {
    let master = read(path, new)?;
    let former = DataKeys::stored(path).ok();
    if former.as_ref().is_some_and(|former| DataKeys::are_under(former, &master)) {
        return Err(StoreOpenError::KeySame { path: path.to_owned(), file: new.to_owned() });
    }
    if keys.are_used_up() {
        return Err(StoreOpenError::KeysUsedUp { path: path.to_owned() });
    }
    let mut changed = keys.clone();
    changed.add_data_key();
    if let Err(error) = store(&changed, path, &master, options) {
        // One of the two files may be written already.
        if let Some(Err(error)) = former.map(|former| DataKeys::put_back(path, &former, &*options.disk)) {
            tracing::error!(%error, "the store's keys may be encrypted with either of the operator's keys: keep both");
        }
        return Err(error);
    }
    *keys = changed;
    Ok(())
}

/// How values are stored with these keys.
pub(crate) fn row_coding(keys: Option<&DataKeys>) -> RowCoding {
    keys.map_or_else(RowCoding::default, |keys| RowCoding::with(Cipher::new(keys)))
}

/// Gives a store that nobody has open another operator's key, and a fresh data key. The running node encrypts the rows
/// again with the data key; until then they stay readable.
///
/// # Errors
/// If the store is in use, has no keys, is encrypted with another key than `options` names, or has the new key already.
pub fn rekey(location: &Location, options: &Options, new: &Path) -> Result<(), StoreOpenError> {
    let Location { engine, path } = location;
    if !Directory::holds_store(path) {
        return Err(StoreOpenError::Absent { path: path.clone(), engine: *engine });
    }
    // Before anything else: the caller asks the node that has it open instead.
    let _locked = Directory::lock(path)?;
    let mut keys = keys_of(path, options)?.ok_or_else(|| StoreOpenError::NotEncrypted { path: path.clone() })?;
    change(&mut keys, path, new, options)
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
        let mut in_use = KeysInUse::new(DataKeys::fresh(), &options);
        let mut note = || in_use.note_all_encrypted(path, &options);
        assert!(matches!(note(), Err(StoreOpenError::KeyOther { .. })));
        fs::write(&file, one).expect("a file");
        assert!(is_mixed().expect("the key is the one of before"));
        note().expect("noted");
        assert!(!is_mixed().expect("the same key"));
    }
}
