//! Takes a backup of an open store.

use std::{fs, io, path::Path};

use data_encoding::HEXLOWER;
use tandem_actors::{keys, pages};

use super::{
    BackupError, BackupProgress, BackupReport, Backups, SecretFile,
    chunks::ChunkWriter,
    directory::{BackupDirectory, LockedDirectory, sha256},
    groups,
    increment::{Archived, Groups},
    manifest::{ErasedAccount, FORMAT, GroupsFile, Manifest, StoredSecret},
    pin,
};
use crate::{
    StoreOpenError,
    digests::has_no_digest,
    journaled::JournaledStore,
    keyring::{DataKeys, KeysError},
    own_rows::SCHEMA,
    seal::Seals,
};

pub(super) fn take(
    backups: &Backups,
    to: &Path,
    secrets: &[SecretFile],
    keep: Option<usize>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupReport, BackupError> {
    let store = &*backups.store;
    let directory = BackupDirectory::at(to);
    let mut written = directory.lock()?;
    let log = format!("{:016x}", store.log());
    let before = Archived::of(&directory, &log)?;
    if before.end > store.last() {
        return Err(BackupError::Later { path: to.to_owned() });
    }
    let noted = pin::kept_beyond(&backups.location.path);
    let _history = store.hold_history();
    let taken = rows_and_groups(store, before, noted, &mut written, progress).and_then(|(base, rows, groups)| {
        let Groups { files: journal, upto: position, .. } = groups;
        let position_at = last_time(&directory, &journal)?;
        let secrets = copy_secrets(secrets, &mut written)?;
        let created_at = backups.now();
        let Rows { chunks, rows, damaged } = rows;
        let manifest = Manifest {
            format: FORMAT,
            id: format!("{}-{position}", created_at.to_string().replace([':', '-'], "")),
            created_at,
            engine: backups.location.engine,
            schema: SCHEMA,
            log,
            base,
            position,
            position_at,
            rows,
            damaged,
            sealed: store.engine().check.seals() == Seals::OnEveryRow,
            keys: keys_of(&backups.location.path)?,
            chunks,
            journal,
            erased: erased(store)?,
            secrets,
            checksum: String::new(),
        };
        let manifest = manifest.with_checksum();
        written.settle()?;
        written.put(&directory.manifest(&manifest.id), &manifest.to_json())?;
        written.settle()?;
        Ok(manifest)
    });
    let manifest = taken.inspect_err(|_| store.keeper().keep_beyond(noted))?;
    if manifest.damaged > 0 {
        tracing::error!(
            id = manifest.id,
            damaged = manifest.damaged,
            "rows are damaged in the store and not in the backup; no older backup is removed: stop the node, see what \
             `tandem store verify` names, and restore an older backup or run `tandem store repair`"
        );
    }
    let Some(keep) = keep else {
        store.keeper().keep_beyond(noted);
        return Ok(BackupReport { manifest, new_bytes: written.new_bytes, removed: Vec::new(), not_removed: None });
    };
    if let Err(error) = pin::note(&backups.location.path, manifest.position) {
        tracing::warn!(%error, "after a restart, the next backup may not continue this one");
    }
    store.keeper().keep_beyond(Some(pin::before(manifest.position)));
    // Only an older backup may have the rows that are damaged now.
    let removed = if manifest.damaged > 0 { Ok(Vec::new()) } else { written.keep(keep) };
    let (removed, not_removed) = match removed {
        Ok(removed) => (removed, None),
        Err(error) => {
            tracing::warn!(%error, id = manifest.id, "the backup is complete; older ones could not be removed");
            (Vec::new(), Some(error.to_string()))
        }
    };
    Ok(BackupReport { manifest, new_bytes: written.new_bytes, removed, not_removed })
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

struct Rows {
    chunks: Vec<super::manifest::ChunkFile>,
    rows: u64,
    damaged: u64,
}

/// Calls `after_page` with the number of rows, after each page.
fn rows(
    store: &JournaledStore,
    to: &mut LockedDirectory,
    mut after_page: impl FnMut(&mut LockedDirectory, BackupProgress) -> Result<(), BackupError>,
) -> Result<Rows, BackupError> {
    let engine = store.engine();
    let total = engine.digests.rows();
    let (mut writer, mut rows, mut damaged) = (ChunkWriter::default(), 0, 0);
    engine.pages::<BackupError>(|page, flaws| {
        damaged += flaws.wrong.len() as u64 + flaws.missing.iter().map(|(_, gone)| gone.len() as u64).sum::<u64>();
        for (key, stored) in page {
            // These rows bind the other rows to their files. A restored store has its own.
            if has_no_digest(&key) || flaws.wrong.contains(&key) {
                continue;
            }
            // The digest proves that the checksum is current, and the checksum proves that the value is intact.
            if engine.check.value(&key, stored.clone()).is_err() {
                damaged += 1;
                continue;
            }
            writer.put(to, &key, &stored)?;
            rows += 1;
        }
        after_page(to, BackupProgress { rows, total })
    })?;
    writer.end(to)?;
    Ok(Rows { chunks: writer.chunks, rows, damaged })
}

fn last_time(
    directory: &BackupDirectory,
    journal: &[GroupsFile],
) -> Result<Option<tandem_actors::domain::time::Timestamp>, BackupError> {
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
