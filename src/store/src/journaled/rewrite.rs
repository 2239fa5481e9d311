//! Rewrites the engine's database when it takes up much more space than its rows. Neither engine returns all unused
//! space to the disk.
//!
//! A new database is filled beside the present one, step by step between checkpoints. A checkpoint writes rows that
//! were copied already to both. When all rows are copied and durable, the directory switches to the new database. Until
//! then readers use the present one. If the process ends meanwhile, the next start removes the incomplete database.

use std::time::{Duration, Instant};

use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use crate::{
    Engine,
    digests::CheckedRows,
    directory::SwitchError,
    open_engine::Another,
    rows::{Bounds, RESERVED, Rows},
};

/// Rows that one step copies.
const ROWS: usize = 128;
/// The approximate duration of a step.
pub(super) const TURN: Duration = Duration::from_millis(20);
/// A database is rewritten only if it takes more than this, in percent of its size after the last rewrite.
const MOST_PERCENT_OF_FRESH: u64 = 130;
/// Free space that a rewrite needs, as a multiple of the bytes of all rows. A new database of sled takes three times
/// its rows.
const SPACE_FACTOR: u64 = 4;
/// The pause after a rewrite under load, as a multiple of its duration.
const PAUSE_FACTOR: u32 = 4;
/// The pause after a rewrite that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(600);

/// A database that takes more bytes than this is rewritten, in percent of the bytes of its rows. A fresh one takes
/// less.
fn most_percent(engine: Engine) -> u64 {
    match engine {
        Engine::Sled => 400,
        Engine::Redb => 200,
    }
}

/// Why a rewrite does not go on.
#[derive(Debug)]
pub(super) enum Failure {
    /// The rewrite is given up. The present database is unchanged.
    GivenUp(StoreError),
    /// It is unknown which database the next start opens. So the engine must not be written to any more.
    Final(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::GivenUp(error)
    }
}

/// A new database that is being filled.
struct Fresh {
    rows: Another,
    /// All keys up to here are copied.
    copied: Option<Key>,
    /// The engine's checkpoint when it began.
    checkpoint: u64,
    started: Instant,
    /// Bytes of all rows when it began.
    live: u64,
    /// Bytes that checkpoints have changed since.
    followed: u64,
    /// It has rows that are encrypted with a former key, so another one begins.
    is_outdated: bool,
}

/// When to rewrite, and the rewrite under way.
pub(super) struct Rewriter {
    fresh: Option<Fresh>,
    /// A smaller database is not rewritten, in bytes.
    from: u64,
    /// A size that needs no rewrite, as the last rewrite has shown. In percent of the bytes of the rows; 0 if unknown.
    learned_percent: u64,
    not_before: Option<Instant>,
    always: bool,
    /// A rewrite is requested, whatever the size, once the engine has all groups up to this one.
    requested: Option<u64>,
    /// Values that the groups up to this one have replaced must be removed from all files. `None`: no such request.
    removing_upto: Option<u64>,
    /// A checkpoint has written something since the size was measured.
    has_changed: bool,
}

impl Rewriter {
    pub fn new(from: u64, always: bool) -> Self {
        Self {
            fresh: None,
            from,
            learned_percent: 0,
            not_before: None,
            always,
            requested: None,
            removing_upto: None,
            has_changed: true,
        }
    }

    /// Requests that values which the groups up to `last` have replaced are removed from all files. The rewrite begins
    /// when the engine has all these groups: one that begins earlier copies values that they replace.
    pub fn ask(&mut self, last: u64) {
        self.requested = self.requested.max(Some(last));
        self.removing_upto = self.removing_upto.max(Some(last));
    }

    /// As [`Self::ask`], after the key of the rows has changed: also a rewrite that is under way begins again, and none
    /// waits because an earlier one has failed.
    pub fn ask_with_another_key(&mut self, last: u64) {
        self.ask(last);
        self.not_before = None;
        self.has_changed = true;
        if let Some(fresh) = &mut self.fresh {
            fresh.is_outdated = true;
        }
    }

    /// Whether there is a request that is not done.
    pub fn is_asked(&self) -> bool {
        self.removing_upto.is_some()
    }

    /// The last group of a request that is done now. `is_gone`: whether the journal has removed the groups up to this
    /// one.
    pub fn take_done(&mut self, is_gone: impl FnOnce(u64) -> bool) -> Option<u64> {
        let is_done = self.requested.is_none() && self.fresh.is_none();
        self.removing_upto.take_if(|upto| is_done && is_gone(*upto))
    }

    pub fn is_running(&self) -> bool {
        self.fresh.is_some()
    }

    /// Repeats a checkpoint's changes in the new database.
    pub fn follow(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.has_changed = true;
        let Some(fresh) = &mut self.fresh else { return Ok(()) };
        fresh.followed += changes.iter().map(bytes_of).sum::<u64>();
        let is_copied = |change: &&Change| fresh.copied.as_ref().is_some_and(|copied| key_of(change) <= copied);
        let changes: Vec<_> = changes.iter().filter(is_copied).collect();
        if changes.is_empty() { Ok(()) } else { fresh.rows.fill(&changes) }
    }

    /// Does one step: begins, continues or completes a rewrite. The engine has all groups up to `checkpoint`.
    ///
    /// # Errors
    /// Why the rewrite cannot continue.
    pub fn step(&mut self, rows: &CheckedRows, checkpoint: u64) -> Result<(), Failure> {
        if self.fresh.as_ref().is_some_and(|fresh| fresh.is_outdated) {
            self.drop_fresh(rows);
        }
        let Some(fresh) = &mut self.fresh else { return self.begin_if_due(rows, checkpoint) };
        if !rows.engine.has_room_for(0) {
            return Err(StoreError::no_room().into());
        }
        let began = Instant::now();
        while began.elapsed() < TURN {
            if !fresh.copy_some(rows)? {
                return self.end(rows);
            }
        }
        // The last step then has little to write.
        Ok(fresh.rows.complete()?)
    }

    /// Gives the rewrite up. The next one begins after a pause.
    pub fn give_up(&mut self, rows: &CheckedRows, error: &StoreError) {
        tracing::warn!(%error, "the engine's rows could not be rewritten; what is not needed stays on the disk for now");
        self.not_before = Some(Instant::now() + PAUSE_AFTER_FAILURE);
        self.has_changed = true;
        self.drop_fresh(rows);
    }

    /// Removes the incomplete database.
    pub fn drop_fresh(&mut self, rows: &CheckedRows) {
        if self.fresh.take().is_some() {
            rows.engine.remove_another();
        }
    }

    fn begin_if_due(&mut self, rows: &CheckedRows, checkpoint: u64) -> Result<(), Failure> {
        let is_early = self.not_before.is_some_and(|at| Instant::now() < at) && !self.always;
        if is_early || !std::mem::take(&mut self.has_changed) {
            return Ok(());
        }
        let disk = rows.engine.disk_bytes();
        metrics::gauge!("tandem_store_engine_bytes").set(disk as f64);
        let is_asked = self.requested.is_some_and(|from| checkpoint >= from);
        if !self.always && !is_asked && disk < self.from {
            return Ok(());
        }
        let live = rows.live_bytes()?;
        metrics::gauge!("tandem_store_live_bytes").set(live as f64);
        let most_percent = most_percent(rows.engine.engine()).max(self.learned_percent);
        let is_due = self.always || is_asked || disk > live / 100 * most_percent;
        if !is_due {
            return Ok(());
        }
        let room = live.saturating_mul(SPACE_FACTOR);
        if !rows.engine.has_room_for(room) {
            let needed = "must be free beside twice what is kept free (store.min_free)";
            return Err(StoreError::new(format_args!("{room} bytes {needed}")).into());
        }
        tracing::debug!(disk, live, "the engine's rows are rewritten");
        let another = rows.engine.begin_another().map_err(StoreError::new)?;
        let started = Instant::now();
        let begun = |rows| Fresh { rows, copied: None, checkpoint, started, live, followed: 0, is_outdated: false };
        self.fresh = another.map(begun);
        Ok(())
    }

    fn end(&mut self, rows: &CheckedRows) -> Result<(), Failure> {
        let Some(fresh) = &self.fresh else { return Ok(()) };
        fresh.rows.complete()?;
        let before = rows.engine.disk_bytes();
        let Some(Fresh { rows: fresh, checkpoint, started, live, followed, .. }) = self.fresh.take() else {
            return Ok(());
        };
        rows.engine.replace_by(fresh).map_err(|error| match error {
            SwitchError::NotDone(error) => {
                rows.engine.remove_another();
                Failure::GivenUp(StoreError::new(error))
            }
            SwitchError::Unclear(error) => Failure::Final(StoreError::new(error)),
        })?;
        self.requested.take_if(|from| checkpoint >= *from);
        // A rewrite that began before the requested group is repeated at once.
        self.has_changed |= self.requested.is_some();
        let after = rows.engine.disk_bytes();
        if followed < live / 4 {
            // Some data takes more space even after a rewrite. It is not rewritten again and again. A small database
            // does not predict the size of a large one.
            let of_fresh = after.saturating_mul(MOST_PERCENT_OF_FRESH).checked_div(live).filter(|_| after >= self.from);
            self.learned_percent = of_fresh.unwrap_or(0);
        } else {
            // Changes during the rewrite have left unused space again.
            self.not_before = Some(Instant::now() + started.elapsed() * PAUSE_FACTOR);
            self.has_changed = true;
        }
        let millis = started.elapsed().as_millis() as u64;
        tracing::info!(before, after, millis, "the engine's rows were rewritten without what is not needed any more");
        metrics::counter!("tandem_store_rewrites_total").increment(1);
        Ok(())
    }
}

impl Fresh {
    /// Copies one page. Returns whether there may be more rows.
    fn copy_some(&mut self, rows: &CheckedRows) -> Result<bool, StoreError> {
        let bounds = match &self.copied {
            None => Bounds::between(&Key::from_bytes([]), None),
            Some(copied) => Bounds { from: copied.as_bytes().to_vec(), beyond_from: true, to: vec![RESERVED] },
        };
        let page = rows.engine.range(&bounds, Direction::Forward, ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(false) };
        self.copied = Some(last.clone());
        let coding = rows.engine.row_coding();
        let puts: Vec<_> = page.into_iter().map(|(key, stored)| coding.recode(key, stored)).collect();
        self.rows.fill(&puts.iter().collect::<Vec<_>>())?;
        Ok(true)
    }
}

fn bytes_of(change: &Change) -> u64 {
    let value = if let Change::Put(_, value) = change { value.len() } else { 0 };
    (key_of(change).as_bytes().len() + value) as u64
}

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(key, _) | Change::Delete(key) => key,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rand::Rng;
    use tandem_actors::ports::Commit;

    use super::*;
    use crate::{
        Location, Options, digests,
        directory::Directory,
        open,
        open::{open_journal_of, open_rows},
    };

    /// Some megabytes in an engine's database, because a smaller one does not predict the size of a large one.
    fn filled(engine: Engine, path: &Path, encryption_key_file: Option<PathBuf>) -> CheckedRows {
        let at = Location { engine, path: path.to_owned() };
        let options = Options { min_free: 0, encryption_key_file, ..Options::default() };
        let store = open(&at, &options).expect("a store");
        for _ in 0..ROWS {
            // Keys in random order, and values that do not compress.
            let put = |_| {
                let mut value = vec![0; 1_000];
                rand::rng().fill(&mut value[..]);
                Change::Put(Key::from_bytes(format!("x{:016x}", rand::rng().random::<u64>())), value.into())
            };
            let changes = (0..32).map(put).collect();
            store.commit(&[Commit { fence: None, changes }]).expect("written");
        }
        store.close();
        drop(store);
        let loading = digests::load(path);
        let rows = open_rows(&at, Directory::lock(path).expect("locked"), &options).expect("its rows");
        open_journal_of(&at, rows, loading, &options).expect("its journal").rows
    }

    /// An earlier one would copy values that these groups replace, and their space in the new database.
    #[test]
    fn a_rewrite_begins_when_the_engine_has_the_groups_that_it_is_asked_for() {
        for engine in Engine::ALL {
            let directory = tempfile::tempdir().expect("a directory");
            let rows = filled(engine, directory.path(), None);
            let mut rewriter = Rewriter::new(u64::MAX, false);
            rewriter.ask(7);
            rewriter.step(&rows, 6).expect("a step");
            assert!(!rewriter.is_running(), "{engine}: group 7 is not there");
            rewriter.follow(&[]).expect("a checkpoint");
            rewriter.step(&rows, 7).expect("a step");
            assert!(rewriter.is_running(), "{engine}");
        }
    }

    #[test]
    fn a_rewrite_under_way_begins_again_when_the_key_changes() {
        for engine in Engine::ALL {
            let (directory, keys) =
                (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
            let [one, other] = ["a", "b"].map(|digit| {
                let file = keys.path().join(digit);
                std::fs::write(&file, digit.repeat(64)).expect("a file");
                file
            });
            let rows = filled(engine, directory.path(), Some(one));
            let mut rewriter = Rewriter { requested: Some(0), ..Rewriter::new(0, false) };
            rewriter.step(&rows, 0).expect("begun");
            let fresh = rewriter.fresh.as_mut().expect("it is under way");
            assert!(fresh.copy_some(&rows).expect("copied"));
            rows.engine.rekey(&other).expect("stored");
            rows.engine.use_last_data_key();
            rewriter.ask_with_another_key(0);
            while rewriter.requested.is_some() {
                rewriter.step(&rows, 0).expect("a step");
            }
            let coding = rows.engine.row_coding();
            let all = Bounds::between(&Key::from_bytes([]), None);
            let rows = rows.engine.range(&all, Direction::Forward, usize::MAX).expect("all rows");
            let outdated = rows.iter().filter(|(key, stored)| {
                !key.as_bytes().starts_with(b"!") && coding.cipher().expect("a cipher").is_outdated(stored)
            });
            assert_eq!((outdated.count(), rows.len() > ROWS), (0, true), "{engine}");
        }
    }

    /// The next start does not know of the rewrite.
    #[test]
    fn a_database_is_not_rewritten_again_right_after_a_rewrite() {
        for engine in Engine::ALL {
            let directory = tempfile::tempdir().expect("a directory");
            let rows = filled(engine, directory.path(), None);
            let mut rewriter = Rewriter { requested: Some(0), ..Rewriter::new(0, false) };
            while rewriter.requested.is_some() {
                rewriter.step(&rows, 0).expect("a step");
            }
            let (disk, live) = (rows.engine.disk_bytes(), rows.live_bytes().expect("an estimate"));
            let mut rewriter = Rewriter::new(0, false);
            rewriter.step(&rows, 0).expect("a look");
            assert!(!rewriter.is_running(), "{engine}: {disk} bytes for {live}");
        }
    }
}
