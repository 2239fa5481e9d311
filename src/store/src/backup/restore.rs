//! Makes a store from a backup. In a directory, the new store is renamed into its place when it is complete. A node
//! does not start on an interrupted restore, and another restore begins again.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use data_encoding::HEXLOWER_PERMISSIVE;
use tandem_actors::{
    domain::{ids::UserId, time::Timestamp},
    keys,
};

use super::{
    BackupError, chunks,
    manifest::{ErasedAccount, GroupsFile, Manifest, StoredSecret},
    plan::RestorePlan,
    rows::each_page,
};
use crate::{
    Engine, Location, Options, StoreOpenError,
    directory::Directory,
    files::replace_file,
    keyring::DataKeys,
    new_store::{create, fill_page},
    rekey::{master, row_coding},
    rows::Rows,
    seal::{RowCoding, mark_all_sealed},
};

/// The store's name in a data directory.
const STORE: &str = "store";

/// The progress of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreProgress {
    /// It checks the backup, and writes nothing.
    pub is_verifying: bool,
    /// Rows so far.
    pub rows: u64,
    /// Rows of the backup.
    pub total: u64,
}

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// Rows in the store.
    pub rows: u64,
    /// Accounts that were erased after the restored state. The next start erases them again.
    pub erased_later: usize,
    /// The files of the data directory that were restored.
    pub secrets: Vec<String>,
    /// Files that the data directory had already. They are as they were.
    pub kept: Vec<String>,
}

impl RestorePlan {
    /// Makes the data directory `data`, which must be empty or not there. Returns where its store is, too.
    ///
    /// # Errors
    /// If `data` is not empty, the disk fails, or the backup has changed since the plan was made.
    pub fn restore(
        &self,
        data: &Path,
        engine: Option<Engine>,
        options: &Options,
        progress: &mut dyn FnMut(RestoreProgress),
    ) -> Result<(Location, RestoreReport), BackupError> {
        let engine = engine.or(self.manifest.engine.engine()).unwrap_or(Engine::Sled);
        let location = Location { engine, path: data.join(STORE) };
        self.check_empty(data, &location.path)?;
        let coding = self.row_coding(options)?;
        let directory = Directory::lock(&location.path)?;
        directory.copy_begins(options.disk.as_ref())?;
        self.restore_secrets(data)?;
        let (rows, erased_later) =
            create(&location, &directory, options, |target| self.fill(&coding, target, progress))?;
        directory.copy_ended();
        let secrets = self.manifest.secrets.iter().map(|secret| secret.name.clone()).collect();
        Ok((location, RestoreReport { rows, erased_later, secrets, kept: Vec::new() }))
    }

    /// Writes all rows into a new store. Returns the number of rows, and of accounts to erase again.
    pub(super) fn fill(
        &self,
        coding: &RowCoding,
        target: &dyn Rows,
        progress: &mut dyn FnMut(RestoreProgress),
    ) -> Result<(u64, usize), BackupError> {
        let total = self.manifest.rows;
        let (mut rows, mut erased_later) = (0, self.erased()?);
        each_page(self, coding, |page| {
            rows += page.len() as u64;
            for (user, at) in page.iter().filter_map(|(key, value)| keys::parse_erased(key, value)) {
                erased_later.retain(|later, erased_at| *later != user || *erased_at > at);
            }
            fill_page(target, page)?;
            progress(RestoreProgress { is_verifying: false, rows, total });
            Ok(())
        })?;
        let again = erased_later.keys().map(|user| (keys::to_erase(user), Bytes::from_static(&[1])));
        fill_page(target, again.collect())?;
        target.fill(&[&mark_all_sealed()])?;
        Ok((rows, erased_later.len()))
    }

    /// How the rows and groups are encoded. The groups may come from a later backup, which may have another data key.
    pub(super) fn row_coding(&self, options: &Options) -> Result<RowCoding, BackupError> {
        let root = self.directory.root();
        let manifests = self.directory.manifests()?.into_iter().filter_map(Result::ok);
        let of_log: Vec<_> = manifests.filter(|manifest| manifest.log == self.manifest.log).collect();
        let writer_of = |file: &GroupsFile| of_log.iter().find(|manifest| manifest.journal.contains(file));
        let mut writers = self.groups.iter().filter_map(writer_of).chain([&self.manifest]);
        if writers.all(|manifest| manifest.keys.is_none()) {
            return Ok(RowCoding::default());
        }
        let missing = || StoreOpenError::KeyMissing { path: root.to_owned() };
        let master = master(root, options)?.ok_or_else(missing)?;
        let keys_of = |manifest: &Manifest| {
            let encrypted = HEXLOWER_PERMISSIVE.decode(manifest.keys.as_ref()?.as_bytes()).ok()?;
            DataKeys::read(&encrypted, &master).ok()
        };
        let joined = of_log.iter().filter_map(keys_of).reduce(DataKeys::and);
        let other = || StoreOpenError::KeyOther { path: root.to_owned(), file: master.file().to_owned() };
        Ok(row_coding(Some(&joined.ok_or_else(other)?)))
    }

    /// The erased accounts of all backups in the directory, each with the time of its last erasure.
    fn erased(&self) -> Result<BTreeMap<UserId, Timestamp>, BackupError> {
        let mut last = BTreeMap::new();
        for manifest in self.directory.manifests()?.into_iter().filter_map(Result::ok) {
            for ErasedAccount { user, at } in manifest.erased {
                let known = last.entry(user).or_insert(at);
                *known = at.max(*known);
            }
        }
        Ok(last)
    }

    /// Removes what an interrupted restore has left.
    fn check_empty(&self, data: &Path, store: &Path) -> Result<(), BackupError> {
        let names = match data.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(BackupError::at("look into", data))?,
        };
        let is_interrupted = Directory::is_half_copied(store);
        let is_ours = |name: &str| {
            let name = name.trim_end_matches(".unfinished");
            name == STORE || self.manifest.secrets.iter().any(|secret| secret.name == name)
        };
        for entry in names {
            let name = entry.map_err(BackupError::at("look into", data))?.file_name();
            let name = name.to_string_lossy();
            if name != "lost+found" && !(is_interrupted && is_ours(&name)) {
                return Err(BackupError::NotEmpty { path: data.to_owned() });
            }
        }
        Ok(())
    }

    fn restore_secrets(&self, data: &Path) -> Result<(), BackupError> {
        self.manifest.secrets.iter().try_for_each(|secret| self.restore_secret(data, secret))
    }

    /// Restores the files that the data directory does not have. Returns their names, and those of the others.
    pub(super) fn restore_missing_secrets(&self, data: &Path) -> Result<(Vec<String>, Vec<String>), BackupError> {
        let (mut restored, mut kept) = (Vec::new(), Vec::new());
        for secret in &self.manifest.secrets {
            if self.place(data, &secret.name)?.exists() {
                kept.push(secret.name.clone());
                continue;
            }
            crate::create_directory(data).map_err(BackupError::at("make", data))?;
            self.restore_secret(data, secret)?;
            restored.push(secret.name.clone());
        }
        Ok((restored, kept))
    }

    fn restore_secret(&self, data: &Path, secret: &StoredSecret) -> Result<(), BackupError> {
        let content = chunks::read_checked(&self.directory.secret(&secret.sha256), &secret.sha256)?;
        let path = self.place(data, &secret.name)?;
        replace_file(&path, &content).map_err(BackupError::at("write", &path))
    }

    /// Refuses a name that is not the name of a file in the data directory.
    fn place(&self, data: &Path, name: &str) -> Result<PathBuf, BackupError> {
        let is_name = !name.contains(['/', '\\']) && ![".", "..", "", STORE].contains(&name);
        is_name.then(|| data.join(name)).ok_or_else(|| BackupError::Damaged {
            path: self.directory.manifest(&self.manifest.id),
            problem: "it names a file outside of the data directory".into(),
        })
    }
}
