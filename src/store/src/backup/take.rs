//! Takes a backup of an open store.

use std::{fs, io, path::Path};

use super::{
    BackupError, BackupProgress, Backups, SecretFile, Taken,
    chunks::ChunkWriter,
    directory::{BackupDirectory, Written, sha256},
    groups,
    manifest::{FORMAT, GroupsFile, Manifest, StoredSecret},
    pin,
    plan::between,
};
use crate::{digests::has_no_digest, journaled::Journaled, open::SCHEMA};

pub(super) fn take(
    backups: &Backups,
    to: &Path,
    secrets: &[SecretFile],
    keep: Option<usize>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<Taken, BackupError> {
    let store = &*backups.store;
    let directory = BackupDirectory::at(to);
    let mut written = directory.lock()?;
    let log = format!("{:016x}", store.log());
    let before = Archived::of(&directory, &log)?;
    // Nothing is forgotten from here on; then only what this backup does not need.
    store.keeper().keep_beyond(Some(0));
    let base = store.checkpoint();
    let noted = pin::archived(&backups.location.path).unwrap_or(u64::MAX);
    store.keeper().keep_beyond(Some(base.min(noted)));

    let taken = rows(store, &mut written, progress).and_then(|rows| {
        let position = store.last();
        let journal = journal(store, &log, before, base, position, &mut written)?;
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
            sealed: store.engine().seals.all(),
            chunks,
            journal,
            secrets,
            checksum: String::new(),
        };
        let manifest = manifest.with_checksum();
        written.settle()?;
        written.put(&directory.manifest(&manifest.id), &manifest.to_json())?;
        written.settle()?;
        Ok(manifest)
    });
    let manifest = taken.inspect_err(|_| store.keeper().keep_beyond(pin::archived(&backups.location.path)))?;
    if manifest.damaged > 0 {
        tracing::error!(
            id = manifest.id,
            damaged = manifest.damaged,
            "rows are damaged in the store and not in the backup; no older backup is removed: stop the node, see what \
             `tandem store verify` names, and restore an older backup or run `tandem store repair`"
        );
    }
    let Some(keep) = keep else {
        store.keeper().keep_beyond(pin::archived(&backups.location.path));
        return Ok(Taken { manifest, new_bytes: written.new_bytes, removed: Vec::new() });
    };
    if let Err(error) = pin::note(&backups.location.path, manifest.position) {
        tracing::warn!(%error, "after a restart, the next backup may not continue this one");
    }
    store.keeper().keep_beyond(Some(manifest.position));
    // An older backup may be the only one with the rows that are damaged now.
    let removed = if manifest.damaged > 0 { Vec::new() } else { written.keep(keep)? };
    Ok(Taken { manifest, new_bytes: written.new_bytes, removed })
}

struct Rows {
    chunks: Vec<super::manifest::ChunkFile>,
    rows: u64,
    damaged: u64,
}

fn rows(store: &Journaled, to: &mut Written, progress: &mut dyn FnMut(BackupProgress)) -> Result<Rows, BackupError> {
    let engine = store.engine();
    let total = engine.digests.rows();
    let (mut writer, mut rows, mut damaged) = (ChunkWriter::default(), 0, 0);
    engine.pages::<BackupError>(|page, flaws| {
        damaged += flaws.wrong.len() as u64 + flaws.missing.iter().map(|(_, gone)| gone.len() as u64).sum::<u64>();
        for (key, stored) in page {
            // What ties rows to their files: a restored store has its own.
            if has_no_digest(&key) || flaws.wrong.contains(&key) {
                continue;
            }
            // A digest is compared with the seal, and the seal with the value.
            if engine.seals.open(&key, stored.clone()).is_err() {
                damaged += 1;
                continue;
            }
            writer.put(to, &key, &stored)?;
            rows += 1;
        }
        progress(BackupProgress { rows, total });
        Ok(())
    })?;
    writer.end(to)?;
    Ok(Rows { chunks: writer.chunks, rows, damaged })
}

/// What a directory holds of a journal.
struct Archived {
    /// The last group of the last backup; 0: there is none.
    end: u64,
    /// Groups, in order.
    files: Vec<GroupsFile>,
}

impl Archived {
    fn of(directory: &BackupDirectory, log: &str) -> Result<Self, BackupError> {
        let manifests = directory.manifests()?.into_iter().filter_map(Result::ok);
        let of_log: Vec<Manifest> = manifests.filter(|manifest| manifest.log == log).collect();
        let end = of_log.iter().map(|manifest| manifest.position).max().unwrap_or(0);
        let mut files: Vec<GroupsFile> = of_log.into_iter().flat_map(|manifest| manifest.journal).collect();
        files.sort_by_key(|groups| groups.first);
        files.dedup();
        Ok(Self { end, files })
    }
}

/// The groups that bring the rows to `position`, and before them those since the last backup.
fn journal(
    store: &Journaled,
    log: &str,
    before: Archived,
    base: u64,
    position: u64,
    to: &mut Written,
) -> Result<Vec<GroupsFile>, BackupError> {
    let Archived { end, mut files } = before;
    if end > position {
        return Err(BackupError::Later { path: to.directory.root().to_owned() });
    }
    files.retain(|groups| groups.last > base);
    if end > 0 && end < position {
        match groups::copy(store.keeper(), log, end, position, to) {
            Ok(groups) => files.push(groups),
            // The journal could not keep them: what is in between cannot be restored.
            Err(BackupError::Journal(error)) => {
                tracing::warn!(%error, "no moment between the backup before and this one can be restored");
            }
            Err(error) => return Err(error),
        }
    }
    if between(files.clone(), base, position).is_some() {
        return Ok(files);
    }
    Ok(vec![groups::copy(store.keeper(), log, base, position, to)?])
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

fn copy_secrets(secrets: &[SecretFile], to: &mut Written) -> Result<Vec<StoredSecret>, BackupError> {
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
