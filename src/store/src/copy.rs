//! `tandem store copy`: copies every row of a store to a new store of any kind, and verifies that both are the same.
//!
//! The target is unfinished until the copy is verified. An interrupted copy leaves a marker, so that no node uses its
//! directory as a new store.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tandem_actors::{
    keys::{self, Key},
    ports::{Change, StoreError},
};

use super::{
    Location, Options, Place, StoreOpenError,
    directory::Directory,
    new_store::create,
    own_rows::{checkpoint_key, log_key},
    postgres::DirectRows,
    rows::{Rows, Strictness, in_pages},
    seal::encrypted,
};

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum CopyError {
    #[error(transparent)]
    Open(#[from] StoreOpenError),
    #[error("reading {0}: {1}")]
    Read(Place, StoreError),
    #[error("writing {0}: {1}")]
    Write(Place, StoreError),
    #[error(
        "the copy differs from its source ({copied} of {expected} rows): nothing was kept; \
         check the disk, and run `tandem store copy` again"
    )]
    Differs { expected: u64, copied: u64 },
}

/// The phase of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reads the source and counts its rows.
    Counting,
    /// Writes the copy.
    Copying,
    /// Reads the copy.
    Verifying,
}

/// The progress of a copy.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Each phase counts its rows from 0.
    pub phase: Phase,
    /// Rows of this phase so far.
    pub rows: u64,
    /// Unknown while counting.
    pub total: Option<u64>,
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// The number of rows.
    pub rows: u64,
    /// The bytes of all keys and values.
    pub bytes: u64,
    /// SHA-256 over all rows in order.
    pub digest: [u8; 32],
}

/// Copies the store at `from` to `to`. There must be no store at `to`.
///
/// # Errors
/// If either cannot be used, or the copy differs from the source.
pub fn copy(
    from: &Place,
    to: &Place,
    options: &Options,
    mut progress: impl FnMut(Progress),
) -> Result<CopyReport, CopyError> {
    if let Place::Directory(location) = from {
        check_source(location)?;
    }
    let source = from.rows(options, Strictness::Strict)?;
    let job = Job { source: source.as_ref(), from, to };
    match to {
        Place::Directory(location) => into_directory(&job, location, options, &mut progress),
        Place::Postgres { address, .. } => {
            let unwritten = |error| CopyError::Write(to.clone(), error);
            DirectRows::make(address, options, unwritten, |target| job.run(target, &mut progress))
        }
    }
}

/// The source and the target of a copy.
struct Job<'a> {
    source: &'a dyn Rows,
    from: &'a Place,
    to: &'a Place,
}

impl Job<'_> {
    /// Copies all rows into an empty target, reads them again, and compares.
    fn run(&self, target: &dyn Rows, progress: &mut dyn FnMut(Progress)) -> Result<CopyReport, CopyError> {
        let read = |error| CopyError::Read(self.from.clone(), error);
        let write = |error| CopyError::Write(self.to.clone(), error);
        let counting = |rows| Progress { phase: Phase::Counting, rows, total: None };
        let expected = survey(self.source, |rows| progress(counting(rows))).map_err(read)?;
        let total = Some(expected.rows);
        for_each_page(
            self.source,
            |page| {
                let coding = target.row_coding();
                let changes: Vec<Change> =
                    page.iter().map(|(key, stored)| coding.recode(key.clone(), stored.clone())).collect();
                target.fill(&changes.iter().collect::<Vec<_>>()).map_err(write)
            },
            read,
            |rows| progress(Progress { phase: Phase::Copying, rows, total }),
        )?;
        let verifying = |rows| Progress { phase: Phase::Verifying, rows, total };
        let found = survey(target, |rows| progress(verifying(rows))).map_err(write)?;
        if found == expected {
            Ok(expected)
        } else {
            Err(CopyError::Differs { expected: expected.rows, copied: found.rows })
        }
    }
}

/// Whether there is a store of this engine.
fn check_source(from: &Location) -> Result<(), StoreOpenError> {
    if !Directory::holds_store(&from.path) {
        return Err(StoreOpenError::Absent { path: from.path.clone(), engine: from.engine });
    }
    match Directory::engine_at(&from.path).filter(|found| *found != from.engine) {
        Some(found) => Err(StoreOpenError::NamedOtherEngine { path: from.path.clone(), found, asked: from.engine }),
        None => Ok(()),
    }
}

/// Copies into a new store in a directory.
fn into_directory(
    job: &Job<'_>,
    to: &Location,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<CopyReport, CopyError> {
    if Directory::holds_store(&to.path) {
        return Err(StoreOpenError::NotEmpty { path: to.path.clone() }.into());
    }
    let target = Directory::lock(&to.path)?;
    target.copy_begins(options.disk.as_ref())?;
    let copied = create(to, &target, options, |rows| job.run(rows, progress))?;
    target.copy_ended();
    Ok(copied)
}

fn survey(rows: &dyn Rows, progress: impl FnMut(u64)) -> Result<CopyReport, StoreError> {
    let mut digest = Sha256::new();
    let (mut count, mut bytes) = (0, 0);
    let digest_page = |page: &[(Key, Bytes)]| {
        for (key, value) in page {
            for part in [key.as_bytes(), value.as_ref()] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
                bytes += part.len() as u64;
            }
            count += 1;
        }
        Ok(())
    };
    for_each_page(rows, digest_page, |error| error, progress)?;
    Ok(CopyReport { rows: count, bytes, digest: digest.finalize().into() })
}

fn for_each_page<E>(
    rows: &dyn Rows,
    mut take: impl FnMut(&[(Key, Bytes)]) -> Result<(), E>,
    unreadable: impl Fn(StoreError) -> E,
    mut progress: impl FnMut(u64),
) -> Result<(), E> {
    let mut count = 0;
    // These rows bind the other rows to their files. The copy has its own.
    let of_the_place = [keys::meta("schema"), log_key(), checkpoint_key(), encrypted()];
    let coding = rows.row_coding();
    in_pages(rows, b"", &unreadable, |mut page| {
        page.retain(|(key, _)| !of_the_place.contains(key));
        // Each store has keys of its own.
        for (key, stored) in &mut page {
            *stored = coding.without_encryption(key, std::mem::take(stored)).map_err(&unreadable)?;
        }
        take(&page)?;
        count += page.len() as u64;
        progress(count);
        Ok(())
    })
}
