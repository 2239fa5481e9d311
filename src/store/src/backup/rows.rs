//! The rows of a plan, in the order of their keys: those of the backup, as its groups have changed them.

use std::{collections::BTreeMap, iter::Peekable};

use bytes::Bytes;
use tandem_actors::{
    keys::{self, Key},
    ports::Change,
};

use super::{BackupError, chunks, groups, plan::RestorePlan};
use crate::{
    digests::has_no_digest,
    journaled::decode_group,
    seal::{RowCoding, Seals},
};

/// The rows that the groups change; `None` for deleted rows. All of them are in memory.
type ChangedRows = BTreeMap<Key, Option<Bytes>>;

fn changed(plan: &RestorePlan, coding: &RowCoding) -> Result<ChangedRows, BackupError> {
    let mut changed = ChangedRows::new();
    let log = u64::from_str_radix(&plan.manifest.log, 16).unwrap_or(0);
    for file in &plan.groups {
        groups::read(&plan.directory, file, |group| {
            if group.number <= plan.manifest.base {
                return Ok(true);
            }
            if group.number > plan.position {
                return Ok(false);
            }
            let told = decode_group(coding, log, group.number, &group.record, |commit| {
                for change in commit.changes {
                    match change {
                        Change::Put(key, value) => changed.insert(key, Some(value)),
                        Change::Delete(key) => changed.insert(key, None),
                    };
                }
            });
            told.map_err(|error| BackupError::Damaged {
                path: plan.directory.groups(&file.file),
                problem: format!("group {} is not understood: {error}", group.number),
            })?;
            Ok(true)
        })?;
    }
    changed.retain(|key, _| !has_no_digest(key));
    Ok(changed)
}

/// Passes all rows to `take`, page by page.
pub(super) fn each_page(
    plan: &RestorePlan,
    coding: &RowCoding,
    mut take: impl FnMut(Vec<(Key, Bytes)>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let seals = Seals::if_all(plan.manifest.sealed);
    let mut changed = changed(plan, coding)?.into_iter().peekable();
    let mut take = |mut page: Vec<(Key, Bytes)>| {
        if plan.manifest.damaged > 0 {
            // What is not in the backup may be index rows. The first start of a node writes them again.
            page.retain(|(key, _)| *key != keys::index_marker());
        }
        take(page)
    };
    for chunk in &plan.manifest.chunks {
        let mut page = Vec::new();
        for (key, stored) in chunks::read(&plan.directory, chunk)? {
            take_before(&mut changed, &key, &mut page);
            if changed.next_if(|(other, _)| *other == key).map(|row| page.extend(undeleted(row))).is_some() {
                continue;
            }
            let value = coding.decode(&key, stored, seals).map_err(|error| BackupError::Damaged {
                path: plan.directory.chunk(&chunk.sha256),
                problem: error.text().to_owned(),
            })?;
            page.push((key, value));
        }
        take(page)?;
    }
    take(changed.filter_map(undeleted).collect())
}

fn undeleted((key, value): (Key, Option<Bytes>)) -> Option<(Key, Bytes)> {
    Some((key, value?))
}

fn take_before(
    changed: &mut Peekable<impl Iterator<Item = (Key, Option<Bytes>)>>,
    key: &Key,
    page: &mut Vec<(Key, Bytes)>,
) {
    while let Some(row) = changed.next_if(|(other, _)| other < key) {
        page.extend(undeleted(row));
    }
}
