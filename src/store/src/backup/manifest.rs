//! The manifest of a backup lists its files, as JSON. It is written last.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_actors::domain::{ids::UserId, time::Timestamp};

use super::{
    BackupError,
    directory::{BackupDirectory, sha256},
};
use crate::StoreKind;

pub(super) const FORMAT: u32 = 1;

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of this form: 1.
    pub format: u32,
    /// The name of the backup. Names sort by time.
    pub id: String,
    /// When it was complete.
    pub created_at: Timestamp,
    /// The kind of the store. A restore can make a store of another kind.
    pub engine: StoreKind,
    /// The layout of keys and records.
    pub schema: u32,
    /// The id of the store's journal, or of the database, in hexadecimal digits.
    pub log: String,
    /// The chunks contain the changes of all groups up to this one, and some changes of the groups up to `position`.
    pub base: u64,
    /// A restore ends at this group: it has all changes up to it, and none after it.
    pub position: u64,
    /// When that group was written. Absent for a database, and if an earlier version wrote the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_at: Option<Timestamp>,
    /// Rows in the chunks.
    pub rows: u64,
    /// Rows that were damaged in the store, and are not in the backup.
    pub damaged: u64,
    /// Whether all rows had a checksum in the store.
    pub sealed: bool,
    /// The keys of an encrypted store, encrypted with the operator's key, in hexadecimal digits. Rows and groups are
    /// as the store has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// In the order of their keys.
    pub chunks: Vec<ChunkFile>,
    /// In the order of their groups, without a gap from the group after `base` to `position`. They may begin earlier.
    pub journal: Vec<GroupsFile>,
    /// The accounts that had been erased. A restore of an earlier backup erases them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<ErasedAccount>,
    /// Files of the data directory.
    pub secrets: Vec<StoredSecret>,
    /// SHA-256 of this document with an empty `checksum`.
    pub checksum: String,
}

/// The fields that every version of a manifest has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFile {
    /// The SHA-256 of the file, which is also its name.
    pub sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
}

/// Groups of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupsFile {
    /// Its name in `journal/`.
    pub file: String,
    /// The number of its first group.
    pub first: u64,
    /// The number of its last group.
    pub last: u64,
    /// The file's length.
    pub bytes: u64,
    /// Of the file.
    pub sha256: String,
}

/// An account that was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedAccount {
    /// Its id.
    pub user: UserId,
    /// When it was erased the last time.
    pub at: Timestamp,
}

/// A file of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    /// Its name there.
    pub name: String,
    /// Of its content, by which it is named here.
    pub sha256: String,
}

impl Manifest {
    pub(super) fn read(path: &Path) -> Result<Self, BackupError> {
        let damaged = |problem: &str| BackupError::Damaged { path: path.to_owned(), problem: problem.to_owned() };
        let bytes = fs::read(path).map_err(BackupError::at("read", path))?;
        let Format { format } = serde_json::from_slice(&bytes).map_err(|_| damaged("it is no manifest"))?;
        if format != FORMAT {
            return Err(BackupError::Format { path: path.to_owned(), found: format, known: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|_| damaged("it is no manifest"))?;
        if manifest.sum() != manifest.checksum {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(manifest)
    }

    pub(super) fn with_checksum(self) -> Self {
        let checksum = self.sum();
        Self { checksum, ..self }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("its fields have forms in JSON")
    }

    fn sum(&self) -> String {
        sha256(&Self { checksum: String::new(), ..self.clone() }.to_json())
    }

    /// Whether the store has no journal. So there are no positions between two of its backups.
    pub fn is_of_database(&self) -> bool {
        self.engine == StoreKind::Postgres
    }

    /// All files that the backup needs, without the manifest.
    pub(super) fn files(&self, directory: &BackupDirectory) -> Vec<PathBuf> {
        let chunks = self.chunks.iter().map(|chunk| directory.chunk(&chunk.sha256));
        let groups = self.journal.iter().map(|groups| directory.groups(&groups.file));
        let secrets = self.secrets.iter().map(|secret| directory.secret(&secret.sha256));
        chunks.chain(groups).chain(secrets).collect()
    }
}
