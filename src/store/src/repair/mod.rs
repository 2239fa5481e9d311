//! `tandem store repair`: replaces a damaged store by a new store with all intact rows, and reports the losses. The
//! damaged store is kept beside it.
//!
//! A row of the engine is saved if it matches its digest. A session whose log has a gap continues from before the gap.
//! If a group of the journal is lost, only the sessions in it return to an earlier state.

mod places;
mod whole;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tandem_actors::{
    domain::ids::{Seq, SessionId},
    keys::{self, Key},
    ports::{Change, Commit, Direction, StoreError},
};
use tandem_wal::{Report, WalError, log_id, salvage};

use self::{
    places::{change_places, open_engine},
    whole::{have_index_rebuilt, make_all_whole},
};
use super::{
    Location, Options, StoreOpenError,
    acknowledged::LastAcknowledged,
    digests::{Digest, LoadedDigests, has_no_digest, load, loaded},
    directory::Directory,
    journaled::commits_in,
    names::record,
    new_store::{create, journal_path},
    open_engine::OpenEngine,
    own_rows::{checkpoint_key, log_key, own_number},
    row_check::seals_of,
    rows::{Bounds, PAGE, Rows},
    seal::{Seals, mark_all_sealed},
    verify::describe_damage,
};

/// Why a store was not repaired.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum RepairError {
    #[error(transparent)]
    Open(#[from] StoreOpenError),
    #[error("writing {0}: {1}")]
    Write(Location, StoreError),
    #[error("cannot {doing} {}: {source}", .path.display())]
    Move { doing: &'static str, path: PathBuf, source: io::Error },
}

/// The outcome of a repair.
#[derive(Debug, Default)]
pub struct RepairReport {
    /// The number of saved rows.
    pub rows: u64,
    /// The losses, one line each.
    pub given_up: Vec<String>,
    /// The path of the damaged store.
    pub kept: PathBuf,
}

/// Repairs the store at `location`. No process may have it open.
///
/// # Errors
/// If there is no store, its engine cannot be opened at all, or the new store cannot be written.
pub fn repair(location: &Location, options: &Options) -> Result<RepairReport, RepairError> {
    let Location { engine, path } = location;
    if !Directory::holds_store(path) {
        return Err(StoreOpenError::Absent { path: path.clone(), engine: *engine }.into());
    }
    let moved = |name: &str| path.with_file_name(format!("{}.{name}", path.file_name().unwrap_or_default().display()));
    let to = Location { engine: *engine, path: moved("repaired") };
    let again = |source| RepairError::Move { doing: "remove", path: to.path.clone(), source };
    let free = || {
        let mut names = (1..).map(|number| moved(&format!("damaged-{number}")));
        names.find(|path| !path.exists()).expect("numbers do not end")
    };
    if to.path.exists() {
        if Directory::holds_store(&to.path) {
            // An earlier repair was interrupted around the exchange of the two stores: this may be the damaged one.
            let aside = free();
            fs::rename(&to.path, &aside).map_err(|source| RepairError::Move {
                doing: "rename",
                path: to.path.clone(),
                source,
            })?;
        } else {
            fs::remove_dir_all(&to.path).map_err(again)?;
        }
    }
    let mut found = RepairReport::default();
    let mut source = Source::open(location, options, &mut found.given_up)?;
    let target = Directory::lock(&to.path)?;
    create(&to, &target, options, |rows| {
        let written = source.save(rows, &mut found).and_then(|()| match found.given_up.is_empty() {
            true => Ok(()),
            false => make_all_whole(rows, &mut found.given_up).and_then(|()| have_index_rebuilt(rows)),
        });
        written.map_err(|error| RepairError::Write(to.clone(), error))
    })?;
    source.engine.close();
    found.kept = free();
    change_places(path, &to.path, &found.kept)?;
    let above = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = options.disk.sync_path(above);
    synced.map_err(|source| RepairError::Move { doing: "sync", path: above.to_owned(), source })?;
    Ok(found)
}

/// The first readable group of the journal after this one.
fn first_after(options: &Options, journal: &Path, log: u64, group: u64) -> Option<u64> {
    salvage(&*options.wal_disk(), journal, log, group, &mut |_, _| {}).ok()?.first
}

/// A damaged store.
struct Source {
    engine: OpenEngine,
    digests: Option<LoadedDigests>,
    seals: Seals,
    /// The last group whose rows are all in the engine; 0 if it is unknown.
    checkpoint: u64,
    /// Rows that the journal has and the engine does not. `None` for deleted rows.
    recent: BTreeMap<Key, Option<Bytes>>,
    /// The sessions in a lost group.
    broken: BTreeSet<SessionId>,
}

impl Source {
    fn open(location: &Location, options: &Options, given_up: &mut Vec<String>) -> Result<Self, StoreOpenError> {
        let engine = open_engine(location, options, given_up)?;
        let digests = loaded(load(&location.path)).inspect_err(|error| {
            given_up.push(format!("the digests ({error}): the engine's rows are taken as they are"));
        });
        let journal = journal_path(location);
        let log = own_number(&engine, &log_key()).ok().flatten();
        let log = log.or_else(|| log_id(&*options.wal_disk(), &journal));
        let mut digests = digests.ok();
        if digests.take_if(|digests| log.is_some_and(|log| digests.log != log)).is_some() {
            given_up.push("the digests: they belong to another store; the engine's rows are taken as they are".into());
        }
        if digests.take_if(|digests| digests.keyed != engine.row_coding().cipher().is_some()).is_some() {
            given_up.push(
                "the digests: they are from before the store was encrypted; the engine's rows are taken as they are"
                    .into(),
            );
        }
        let checkpoint = own_number(&engine, &checkpoint_key()).ok().flatten();
        let is_cut = |digests: &mut LoadedDigests| {
            let first = log.and_then(|log| first_after(options, &journal, log, digests.group));
            first.unwrap_or(u64::MAX) > digests.group + 1 && checkpoint.is_some_and(|group| group > digests.group)
        };
        // Otherwise the groups that the engine already has would look like a gap in the journal.
        if digests.take_if(is_cut).is_some() {
            given_up.push("the digests: their end is damaged; the engine's rows are taken as they are".into());
        }
        let known = checkpoint.into_iter().chain(digests.as_ref().map(|digests| digests.group));
        let after = known.min().unwrap_or(0);
        let seals = seals_of(&engine).unwrap_or(Seals::OnNewRows);
        let mut source = Self {
            engine,
            digests,
            seals,
            checkpoint: checkpoint.unwrap_or(0),
            recent: BTreeMap::new(),
            broken: BTreeSet::new(),
        };
        let Some(log) = log else {
            given_up.push("the journal: nothing says which one it is".into());
            return Ok(source);
        };
        let mut replay = Replay { log, next: after + 1, heads: HashMap::new(), has_gap: false };
        let report = salvage(&*options.wal_disk(), &journal, log, after, &mut |group, payload| {
            if group > after {
                source.take(&mut replay, group, payload);
            }
        });
        match report {
            Ok(report) => source.note(location, &report, after, given_up),
            Err(error @ WalError::Version { .. }) => {
                return Err(StoreOpenError::Journal { path: location.path.clone(), error });
            }
            Err(error) => given_up.push(format!("the journal: {error}")),
        }
        given_up.extend(source.broken.iter().map(|session| format!("later changes of session {session}")));
        Ok(source)
    }

    /// Reports the lost groups of the journal.
    fn note(&self, location: &Location, report: &Report, after: u64, given_up: &mut Vec<String>) {
        given_up.extend(report.bad.iter().filter(|bad| bad.is_beyond(after)).map(describe_damage));
        let last = report.last.unwrap_or(0).max(self.checkpoint);
        let acknowledged = LastAcknowledged::open(&location.path).and_then(|mut file| file.read()).unwrap_or(0);
        if acknowledged > last {
            given_up.push(format!("groups {} to {acknowledged} of the journal: they are not there", last + 1));
        }
    }

    fn take(&mut self, replay: &mut Replay, group: u64, payload: &[u8]) {
        replay.has_gap |= group > replay.next;
        replay.next = group + 1;
        for Commit { fence, changes } in commits_in(&self.engine.row_coding(), replay.log, group, payload) {
            if let Some(fence) = &fence {
                // Without an earlier gap, each commit follows the previous one.
                let head = replay.heads.get(&fence.session).copied();
                let follows = !replay.has_gap || head.or_else(|| self.head(&fence.session)) == Some(fence.expected);
                if !follows || self.broken.contains(&fence.session) {
                    self.broken.insert(fence.session.clone());
                    continue;
                }
                replay.heads.insert(fence.session.clone(), fence.next);
            }
            for change in changes {
                match change {
                    Change::Put(key, value) => self.recent.insert(key, Some(value)),
                    Change::Delete(key) => self.recent.insert(key, None),
                };
            }
        }
    }

    fn head(&self, session: &SessionId) -> Option<Seq> {
        let events = keys::events(session);
        let last = self.engine.scan(&events, None, Direction::Backward, 1).ok()?;
        Some(last.first().and_then(|(key, _)| keys::seq_of(key)).unwrap_or(0))
    }

    /// Writes the rows that can be saved into the new store.
    fn save(&mut self, to: &dyn Rows, found: &mut RepairReport) -> Result<(), StoreError> {
        let ranges = self.digests.take().map(LoadedDigests::into_ranges);
        let ranges = ranges.unwrap_or_else(|| vec![(Key::from_bytes([]), Vec::new())]);
        for (at, (start, digests)) in ranges.iter().enumerate() {
            let end = ranges.get(at + 1).map(|(start, _)| start);
            let digests = (ranges.len() > 1 || !digests.is_empty()).then_some(digests.as_slice());
            self.save_range(&Bounds::between(start, end), start, digests, to, found)?;
        }
        let recent = std::mem::take(&mut self.recent);
        let coding = to.row_coding();
        let puts = recent.into_iter().filter_map(|(key, value)| Some(coding.encode(&Change::Put(key, value?))));
        let puts: Vec<_> = puts.collect();
        found.rows += puts.len() as u64;
        for page in puts.chunks(PAGE) {
            to.write(&page.iter().collect::<Vec<_>>())?;
        }
        to.write(&[&mark_all_sealed()])
    }

    fn save_range(
        &self,
        bounds: &Bounds,
        start: &Key,
        digests: Option<&[Digest]>,
        to: &dyn Rows,
        found: &mut RepairReport,
    ) -> Result<(), StoreError> {
        let mut missing: Vec<Digest> = digests.unwrap_or_default().to_vec();
        let mut left = bounds.clone();
        let (from, coding) = (self.engine.row_coding(), to.row_coding());
        loop {
            let rows = match self.engine.range(&left, Direction::Forward, PAGE) {
                Ok(rows) => rows,
                Err(error) => {
                    found.given_up.push(format!("rows at or after {}: {}", record(start), error.text()));
                    break;
                }
            };
            let Some((last, _)) = rows.last() else { break };
            (left.from, left.beyond_from) = (last.as_bytes().to_vec(), true);
            let mut good = Vec::with_capacity(rows.len());
            for (key, stored) in rows {
                remove_from_missing(&mut missing, &key);
                if has_no_digest(&key) || self.recent.contains_key(&key) {
                    continue;
                }
                let is_current =
                    digests.is_none_or(|digests| digests.contains(&Digest::of_stored(&from, &key, &stored)));
                match from.decode(&key, stored, self.seals) {
                    Ok(value) if is_current => good.push(coding.encode(&Change::Put(key, value))),
                    _ => found.given_up.push(record(&key)),
                }
            }
            found.rows += good.len() as u64;
            to.write(&good.iter().collect::<Vec<_>>())?;
        }
        // Of missing rows only the hashes of their keys are known.
        let written = self.recent.range(start.clone()..).map(|(key, _)| key).take_while(|key| bounds.contains(key));
        written.for_each(|key| remove_from_missing(&mut missing, key));
        if !missing.is_empty() {
            found.given_up.push(format!("{} rows at or after {}: they are gone", missing.len(), record(start)));
        }
        Ok(())
    }
}

/// Removes the key's digest from the missing ones: the row exists, or was written later.
fn remove_from_missing(missing: &mut Vec<Digest>, key: &Key) {
    missing.retain(|digest| !digest.is_of(key));
}

struct Replay {
    log: u64,
    /// The number of the next group.
    next: u64,
    /// The last `seq` of each session in the groups so far.
    heads: HashMap<SessionId, Seq>,
    has_gap: bool,
}
