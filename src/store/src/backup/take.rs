//! Takes a backup of an open store.

use std::{fs, io, path::Path};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tandem_actors::{
    domain::time::Timestamp,
    keys::{self, Key},
    pages,
};

use super::{
    BackupError, BackupProgress, BackupReport, Backups, SecretFile, Source,
    chunks::ChunkWriter,
    database,
    directory::{BackupDirectory, LockedDirectory, sha256},
    groups,
    increment::{Archived, Groups},
    manifest::{ChunkFile, ErasedAccount, FORMAT, GroupsFile, Manifest, StoredSecret},
    pin,
};
use crate::{
    Location, StoreKind, StoreOpenError,
    digests::has_no_digest,
    journaled::JournaledStore,
    keyring::{DataKeys, KeysError},
    own_rows::SCHEMA,
    row_check::RowCheck,
    seal::Seals,
};

pub(super) fn take(
    backups: &Backups,
    to: &Path,
    secrets: &[SecretFile],
    keep: Option<usize>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupReport, BackupError> {
    let mut written = BackupDirectory::at(to).lock()?;
    let complete = |content: Content, to: &mut LockedDirectory| content.complete(backups.now(), secrets, to);
    let manifest = match &backups.source {
        Source::Directory(store, location) => {
            of_journal(store, location, keep.is_some(), &mut written, progress, complete)?
        }
        Source::Database(address) => {
            let content = database::read(address, &backups.options, &mut written, progress)?;
            complete(content, &mut written)?
        }
    };
    if manifest.damaged > 0 {
        tracing::error!(
            id = manifest.id,
            damaged = manifest.damaged,
            "rows are damaged in the store and not in the backup; no older backup is removed: {}",
            manifest.engine.after_damage()
        );
    }
    let removed = match keep {
        // Only an older backup may have the rows that are damaged now.
        Some(keep) if manifest.damaged == 0 => written.keep(keep),
        _ => Ok(Vec::new()),
    };
    let (removed, not_removed) = match removed {
        Ok(removed) => (removed, None),
        Err(error) => {
            tracing::warn!(%error, id = manifest.id, "the backup is complete; older ones could not be removed");
            (Vec::new(), Some(error.to_string()))
        }
    };
    Ok(BackupReport { manifest, new_bytes: written.new_bytes, removed, not_removed })
}

/// What a backup has of a store. The secrets are missing.
pub(super) struct Content {
    pub engine: StoreKind,
    pub log: String,
    pub base: u64,
    pub position: u64,
    pub rows: Rows,
    pub seals: Seals,
    pub keys: Option<String>,
    pub journal: Vec<GroupsFile>,
    pub erased: Vec<ErasedAccount>,
}

impl Content {
    /// Writes the manifest.
    fn complete(
        self,
        created_at: Timestamp,
        secrets: &[SecretFile],
        to: &mut LockedDirectory,
    ) -> Result<Manifest, BackupError> {
        let Self { engine, log, base, position, rows, seals, keys, journal, erased } = self;
        let Rows { chunks, rows, damaged } = rows;
        let manifest = Manifest {
            format: FORMAT,
            id: format!("{}-{position}", created_at.to_string().replace([':', '-'], "")),
            created_at,
            engine,
            schema: SCHEMA,
            log,
            base,
            position,
            position_at: last_time(&to.directory, &journal)?,
            rows,
            damaged,
            sealed: seals == Seals::OnEveryRow,
            keys,
            chunks,
            journal,
            erased,
            secrets: copy_secrets(secrets, to)?,
            checksum: String::new(),
        };
        let manifest = manifest.with_checksum();
        to.settle()?;
        to.put(&to.directory.manifest(&manifest.id), &manifest.to_json())?;
        to.settle()?;
        Ok(manifest)
    }
}

/// Takes the backup of a store with a journal. `is_own`: the journal keeps what follows, for the next backup.
fn of_journal(
    store: &JournaledStore,
    location: &Location,
    is_own: bool,
    to: &mut LockedDirectory,
    progress: &mut dyn FnMut(BackupProgress),
    complete: impl FnOnce(Content, &mut LockedDirectory) -> Result<Manifest, BackupError>,
) -> Result<Manifest, BackupError> {
    let log = format!("{:016x}", store.log());
    let before = Archived::of(&to.directory, &log)?;
    before.check_not_later(store.last(), &to.directory)?;
    let noted = pin::kept_beyond(&location.path);
    let _history = store.hold_history();
    let taken = rows_and_groups(store, before, noted, to, progress).and_then(|(base, rows, groups)| {
        let Groups { files: journal, upto: position, .. } = groups;
        let engine = location.engine.into();
        let (seals, keys, erased) = (store.engine().check.seals(), keys_of(&location.path)?, erased(store)?);
        complete(Content { engine, log, base, position, rows, seals, keys, journal, erased }, to)
    });
    let manifest = taken.inspect_err(|_| store.keeper().keep_beyond(noted))?;
    if !is_own {
        store.keeper().keep_beyond(noted);
        return Ok(manifest);
    }
    if let Err(error) = pin::note(&location.path, manifest.position) {
        tracing::warn!(%error, "after a restart, the next backup may not continue this one");
    }
    store.keeper().keep_beyond(Some(pin::before(manifest.position)));
    Ok(manifest)
}

/// Reads the rows and copies the groups at the same time, because the journal cannot keep all groups that are written
/// meanwhile.
fn rows_and_groups(
    store: &JournaledStore,
    before: Archived,
    noted: Option<u64>,
    to: &mut LockedDirectory,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<(u64, Rows, Groups), BackupError> {
    // The journal keeps everything until the position of this backup is known.
    store.keeper().keep_beyond(Some(0));
    // Erased text is in no row any more, but earlier groups may contain it.
    store.reach_checkpoint(store.erased_upto())?;
    let base = base(store)?;
    store.keeper().keep_beyond(Some(noted.map_or(base, |noted| noted.min(base))));
    let mut groups = Groups::begin(store, before, base, to)?;
    groups.keep_up(store, to)?;
    let rows = rows(store, to, |to, done| {
        progress(done);
        groups.keep_up(store, to)
    })?;
    groups.copy(store, store.last(), to)?;
    Ok((base, rows, groups))
}

/// The rows have the changes of all groups up to this one. The last group is always copied, so that the next backup
/// can compare it.
fn base(store: &JournaledStore) -> Result<u64, BackupError> {
    let (checkpoint, last) = (store.checkpoint(), store.last());
    let may_have_last = checkpoint == last && last > store.erased_upto();
    let has_last = may_have_last && groups::in_journal(store.keeper(), last)?.is_some();
    Ok(if has_last { last - 1 } else { checkpoint })
}

fn erased(store: &JournaledStore) -> Result<Vec<ErasedAccount>, BackupError> {
    let mut erased = Vec::new();
    for page in pages(store, keys::all_erased()) {
        let page = page?;
        let accounts = page.iter().filter_map(|(key, value)| keys::parse_erased(key, value));
        erased.extend(accounts.map(|(user, at)| ErasedAccount { user, at }));
    }
    Ok(erased)
}

/// The file of an encrypted store's keys.
fn keys_of(store: &Path) -> Result<Option<String>, BackupError> {
    if !DataKeys::are_there(store) {
        return Ok(None);
    }
    DataKeys::stored(store).map(|content| Some(HEXLOWER.encode(&content))).map_err(|error| match error {
        KeysError::Io(source) => BackupError::at("read the keys in", store)(source),
        _ => StoreOpenError::KeysLost { path: store.to_owned() }.into(),
    })
}

/// The rows of a backup.
#[derive(Default)]
pub(super) struct Rows {
    pub chunks: Vec<ChunkFile>,
    pub rows: u64,
    pub damaged: u64,
}

/// Writes rows into chunks, and leaves out the damaged ones.
#[derive(Default)]
pub(super) struct RowWriter {
    writer: ChunkWriter,
    pub rows: u64,
    pub damaged: u64,
}

impl RowWriter {
    pub fn put(
        &mut self,
        to: &mut LockedDirectory,
        check: &RowCheck,
        key: &Key,
        stored: &Bytes,
    ) -> Result<(), BackupError> {
        // These rows bind the other rows to their files. A restored store has its own.
        if has_no_digest(key) {
            return Ok(());
        }
        if check.value(key, stored.clone()).is_err() {
            self.damaged += 1;
            return Ok(());
        }
        self.writer.put(to, key, stored)?;
        self.rows += 1;
        Ok(())
    }

    pub fn end(mut self, to: &mut LockedDirectory) -> Result<Rows, BackupError> {
        self.writer.end(to)?;
        Ok(Rows { chunks: self.writer.chunks, rows: self.rows, damaged: self.damaged })
    }
}

/// Calls `after_page` with the number of rows, after each page.
fn rows(
    store: &JournaledStore,
    to: &mut LockedDirectory,
    mut after_page: impl FnMut(&mut LockedDirectory, BackupProgress) -> Result<(), BackupError>,
) -> Result<Rows, BackupError> {
    let engine = store.engine();
    let total = engine.digests.rows();
    let mut writer = RowWriter::default();
    engine.pages::<BackupError>(|page, flaws| {
        let missing: usize = flaws.missing.iter().map(|(_, gone)| gone.len()).sum();
        writer.damaged += (flaws.wrong.len() + missing) as u64;
        for (key, stored) in page.iter().filter(|(key, _)| !flaws.wrong.contains(key)) {
            // The digest proves that the checksum is current, and the checksum proves that the value is intact.
            writer.put(to, &engine.check, key, stored)?;
        }
        after_page(to, BackupProgress { rows: writer.rows, total })
    })?;
    writer.end(to)
}

fn last_time(directory: &BackupDirectory, journal: &[GroupsFile]) -> Result<Option<Timestamp>, BackupError> {
    let mut last = None;
    if let Some(groups) = journal.last() {
        groups::read(directory, groups, |group| {
            last = group.at.or(last);
            Ok(true)
        })?;
    }
    Ok(last)
}

fn copy_secrets(secrets: &[SecretFile], to: &mut LockedDirectory) -> Result<Vec<StoredSecret>, BackupError> {
    let mut stored = Vec::new();
    for SecretFile { name, path } in secrets {
        let content = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            content => content.map_err(BackupError::at("read", path))?,
        };
        let sha256 = sha256(&content);
        to.put(&to.directory.secret(&sha256), &content)?;
        stored.push(StoredSecret { name: (*name).to_owned(), sha256 });
    }
    Ok(stored)
}
