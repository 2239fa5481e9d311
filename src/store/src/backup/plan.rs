//! Chooses the backup and the groups for a restore.

use std::{fmt, path::Path};

use tandem_actors::domain::time::Timestamp;

use super::{
    BackupError, chunks,
    directory::BackupDirectory,
    groups,
    manifest::{GroupsFile, Manifest},
    restore::RestoreProgress,
};

/// The state that a restore asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestorePoint {
    /// The newest backup.
    Newest,
    /// The backup with this id.
    Backup(String),
    /// The state after this group of the newest backup's store.
    Position(u64),
    /// The state at this time of the newest backup's store.
    At(Timestamp),
}

impl fmt::Display for RestorePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest backup"),
            Self::Backup(id) => write!(f, "backup {id}"),
            Self::Position(group) => write!(f, "position {group}"),
            Self::At(at) => write!(f, "the state at {at}"),
        }
    }
}

/// A backup in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupListing {
    /// The backup.
    pub manifest: Manifest,
    /// Every position between the previous backup and this one can be restored.
    pub continues: bool,
}

/// All backups in a directory, the oldest first. Each unreadable backup is an error.
pub fn list(from: &Path) -> Result<Vec<Result<BackupListing, BackupError>>, BackupError> {
    let directory = BackupDirectory::at(from);
    let mut before: Option<Manifest> = None;
    let listed = directory.manifests()?.into_iter().map(|manifest| {
        let manifest = manifest?;
        let continues = before.as_ref().is_some_and(|before| {
            let files = before.journal.iter().chain(&manifest.journal).cloned().collect();
            let is_of_one = before.log == manifest.log && !manifest.is_of_database();
            is_of_one && between(files, before.base, manifest.position).is_some()
        });
        before = Some(manifest.clone());
        Ok(BackupListing { manifest, continues })
    });
    Ok(listed.collect())
}

/// The rows and groups that a restore reads: the rows of a backup, and the groups after its base up to a position.
#[derive(Clone, Debug)]
pub struct RestorePlan {
    pub(super) directory: BackupDirectory,
    /// The backup.
    pub manifest: Manifest,
    pub(super) groups: Vec<GroupsFile>,
    /// The last group that is restored.
    pub position: u64,
}

/// Chooses the backup, and checks all files that are needed. So a damaged backup is refused before the restore begins.
pub fn plan(
    from: &Path,
    choice: &RestorePoint,
    progress: &mut dyn FnMut(RestoreProgress),
) -> Result<RestorePlan, BackupError> {
    let directory = BackupDirectory::at(from);
    let plan = choose(&directory, choice)?;
    let total = plan.manifest.rows;
    let mut rows = 0;
    for chunk in &plan.manifest.chunks {
        chunks::read_checked(&directory.chunk(&chunk.sha256), &chunk.sha256)?;
        rows += chunk.rows;
        progress(RestoreProgress { is_verifying: true, rows, total });
    }
    plan.groups.iter().try_for_each(|file| groups::verify(&directory, file))?;
    for secret in &plan.manifest.secrets {
        chunks::read_checked(&directory.secret(&secret.sha256), &secret.sha256)?;
    }
    Ok(plan)
}

fn choose(directory: &BackupDirectory, choice: &RestorePoint) -> Result<RestorePlan, BackupError> {
    let root = || directory.root().to_owned();
    let mut manifests = directory.manifests()?;
    match choice {
        RestorePoint::Newest => {
            let manifest = manifests.pop().ok_or_else(|| BackupError::None { path: root() })??;
            let position = manifest.position;
            whole(directory, manifest, position)
        }
        RestorePoint::Backup(id) => {
            let path = directory.manifest(id);
            if id.contains(['/', '\\']) || !path.exists() {
                return Err(BackupError::Unknown { path: root(), id: id.clone() });
            }
            let manifest = Manifest::read(&path)?;
            let position = manifest.position;
            whole(directory, manifest, position)
        }
        RestorePoint::Position(position) => {
            let timeline = Timeline::newest(directory, manifests, choice)?;
            timeline.upto(directory, *position, choice)
        }
        RestorePoint::At(at) => {
            let timeline = Timeline::newest(directory, manifests, choice)?;
            let position = timeline.position_at(directory, *at)?;
            timeline.upto(directory, position, choice)
        }
    }
}

fn whole(directory: &BackupDirectory, manifest: Manifest, position: u64) -> Result<RestorePlan, BackupError> {
    let groups = between(manifest.journal.clone(), manifest.base, position).ok_or_else(|| BackupError::Damaged {
        path: directory.manifest(&manifest.id),
        problem: "it does not name all groups that it needs".into(),
    })?;
    Ok(RestorePlan { directory: directory.clone(), manifest, groups, position })
}

/// The files with the groups after `base` up to `position`. `None` if there is a gap.
pub(super) fn between(mut files: Vec<GroupsFile>, base: u64, position: u64) -> Option<Vec<GroupsFile>> {
    files.sort_by_key(|groups| groups.first);
    files.dedup();
    let (mut end, mut taken) = (base, Vec::new());
    for groups in files.into_iter().filter(|groups| groups.last > base) {
        if end >= position {
            break;
        }
        if groups.first > end + 1 {
            return None;
        }
        end = end.max(groups.last);
        taken.push(groups);
    }
    (end >= position).then_some(taken)
}

/// The backups of one store, the oldest first.
struct Timeline {
    manifests: Vec<Manifest>,
    files: Vec<GroupsFile>,
}

impl Timeline {
    fn newest(
        directory: &BackupDirectory,
        manifests: Vec<Result<Manifest, BackupError>>,
        choice: &RestorePoint,
    ) -> Result<Self, BackupError> {
        let mut manifests: Vec<Manifest> = manifests.into_iter().filter_map(Result::ok).collect();
        let newest = manifests.last().ok_or_else(|| BackupError::None { path: directory.root().to_owned() })?;
        if newest.is_of_database() {
            return Err(BackupError::OutOfReach {
                path: directory.root().to_owned(),
                wanted: choice.to_string(),
                problem:
                    "the newest backup is of a database, which has no groups between backups: restore a whole one \
                          (--backup ID)"
                        .into(),
            });
        }
        let log = newest.log.clone();
        manifests.retain(|manifest| manifest.log == log);
        let mut files: Vec<GroupsFile> =
            manifests.iter().flat_map(|manifest| manifest.journal.iter().cloned()).collect();
        files.sort_by_key(|groups| groups.first);
        files.dedup();
        Ok(Self { manifests, files })
    }

    fn upto(
        self,
        directory: &BackupDirectory,
        position: u64,
        choice: &RestorePoint,
    ) -> Result<RestorePlan, BackupError> {
        let Self { manifests, files } = self;
        let (first, last) = (manifests[0].position, manifests[manifests.len() - 1].position);
        let candidates = manifests.into_iter().rev().filter(|manifest| manifest.position <= position);
        let mut found =
            candidates.filter_map(|manifest| Some((between(files.clone(), manifest.base, position)?, manifest)));
        let problem = || match position {
            earlier if earlier < first => format!("the oldest backup is of position {first}"),
            later if later > last => format!("the newest backup is of position {last}"),
            _ => "the groups between two backups are not all there; --list says where".to_owned(),
        };
        let (groups, manifest) = found.next().ok_or_else(|| BackupError::OutOfReach {
            path: directory.root().to_owned(),
            wanted: choice.to_string(),
            problem: problem(),
        })?;
        Ok(RestorePlan { directory: directory.clone(), manifest, groups, position })
    }

    /// The last group that was written at this time or earlier.
    fn position_at(&self, directory: &BackupDirectory, at: Timestamp) -> Result<u64, BackupError> {
        let out_of_reach = |problem: String| BackupError::OutOfReach {
            path: directory.root().to_owned(),
            wanted: RestorePoint::At(at).to_string(),
            problem,
        };
        let oldest = &self.manifests[0];
        let newest = self.manifests.iter().map(|manifest| manifest.created_at).max().unwrap_or(oldest.created_at);
        if at > newest {
            return Err(out_of_reach(format!("the newest backup is of {newest}")));
        }
        // A backup without groups does not know the time of its last group. That time is before the backup.
        let mut found =
            self.manifests.iter().filter(|manifest| manifest.position_at.unwrap_or(manifest.created_at) <= at);
        let mut position = found.next_back().map_or(0, |manifest| manifest.position);
        let begin = position;
        for file in self.files.iter().filter(|file| file.last > begin) {
            groups::verify(directory, file)?;
            groups::read(directory, file, |group| {
                if group.at.is_some_and(|written| written <= at) {
                    position = position.max(group.number);
                }
                Ok(true)
            })?;
        }
        match position {
            0 => Err(out_of_reach(format!("the oldest backup is of {}", oldest.created_at))),
            position => Ok(position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(first: u64, last: u64) -> GroupsFile {
        GroupsFile { file: format!("{first}"), first, last, bytes: 0, sha256: String::new() }
    }

    #[test]
    fn files_follow_each_other_or_nothing_is_found() {
        let names = |base, position| {
            let found = between(vec![file(21, 30), file(1, 10), file(11, 20), file(40, 50)], base, position);
            found.map(|files| files.into_iter().map(|groups| groups.file).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(0, 30).as_deref(), Some("1 11 21"));
        assert_eq!(names(10, 25).as_deref(), Some("11 21"));
        assert_eq!(names(15, 15).as_deref(), Some(""));
        assert_eq!(names(25, 41), None);
        assert_eq!(names(39, 51), None);
    }
}
