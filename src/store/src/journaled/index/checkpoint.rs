//! One checkpoint: all rows of a generation, and then the number of its last group.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tandem_actors::{
    ports::{Change, StoreError},
    records,
};

use super::{Driver, Indexer};
use crate::{
    own_rows::checkpoint_key,
    recent::{self, Generation},
    rows::Rows,
    seal::seal,
};

/// How long the thread waits on a full disk before it tries again.
const AGAIN: Duration = Duration::from_secs(1);
/// The node is busy if more than this part of a generation is there again when the last one is written.
const BUSY: u64 = 4;
/// A longer break would make the checkpoint long for nothing.
const LONGEST_BREAK: Duration = Duration::from_millis(50);
/// Bytes of a row in a batch beside its key and value.
const AROUND: usize = 32;

/// What a failed checkpoint does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is tried again when the disk has room.
    Running,
    /// The store closes, so it is not tried again. The journal has everything.
    Closing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Written,
    /// There was no time for all rows. The journal has them, as after a crash.
    CutShort,
}

impl Indexer {
    /// Freezes the recent rows, and writes them.
    pub(super) fn checkpoint(&self, phase: Phase) {
        let Some(generation) = self.recent.freeze() else { return };
        let started = Instant::now();
        loop {
            let error = match self.write(&generation) {
                Ok(Outcome::Written) => break,
                Ok(Outcome::CutShort) => {
                    tracing::info!(
                        "the store closes before the engine has all rows; the next start reads them from the journal"
                    );
                    return;
                }
                Err(error) => error,
            };
            if phase == Phase::Closing || !self.rows.engine.has_no_room(&error) {
                tracing::error!(%error, "the store's engine failed; what was acknowledged is in the journal");
                self.failed.get_or_init(|| error);
                self.eased.notify_all();
                return;
            }
            tracing::warn!(%error, "the store's engine has no room; what is acknowledged stays in the journal meanwhile");
            if self.stopped_within(AGAIN) {
                return;
            }
            // The new database may have changes that the present one lacks.
            let mut rewriter = self.rewriter.lock();
            if rewriter.is_running() {
                self.give_up(&mut rewriter, &error);
            }
            drop(rewriter);
            // A failed engine works again only after it was reopened.
            if let Err(error) = self.rows.engine.reopen() {
                tracing::warn!(%error, "the store's engine cannot be opened yet");
            }
        }
        self.recent.retire();
        self.pace.end(&generation);
        let before = self.reached.swap(generation.group, Ordering::AcqRel);
        metrics::histogram!("tandem_store_checkpoint_seconds").record(started.elapsed());
        if let Err(error) = self.keeper.forget(before) {
            tracing::warn!(%error, "a file of the journal that is no longer needed cannot be removed");
        }
        self.keep_segments_ready();
        self.note_if_done(before);
        if phase == Phase::Running {
            let is_busy = self.recent.amount().active as u64 > self.options.checkpoint_bytes / BUSY;
            self.rows.engine.shorten_next_start_if_much_was_written(is_busy);
        }
    }

    /// Writes a batch of a checkpoint, also to the new database of a rewrite.
    fn write_batch(&self, batch: &[Change]) -> Result<(), StoreError> {
        self.rows.write(&batch.iter().collect::<Vec<_>>())?;
        let mut rewriter = self.rewriter.lock();
        if let Err(error) = rewriter.follow(batch) {
            self.give_up(&mut rewriter, &error);
        }
        Ok(())
    }

    /// Takes a break that is as long as the work before it, if there is time. A checkpoint is much work for a
    /// processor. Where there are few of them, all requests would wait for it.
    fn take_break(&self, worked: Duration) {
        let has_time = |amount| self.pace.has_time(&amount, self.options.recent_bytes);
        let is_awaited = || self.control.lock().wanted > self.checkpoint_group();
        if self.driver == Driver::Thread && has_time(self.recent.amount()) && !is_awaited() {
            let began = Instant::now();
            self.stopped_within(worked.min(LONGEST_BREAK));
            self.pace.note_break(began.elapsed());
        }
    }

    fn write(&self, generation: &Arc<Generation>) -> Result<Outcome, StoreError> {
        self.pace.begin();
        self.rows.begin(generation, &|worked| self.take_break(worked))?;
        let checkpoint = seal(&Change::Put(checkpoint_key(), records::encode(&generation.group)));
        if self.options.checkpoint_before_rows {
            self.write_batch(std::slice::from_ref(&checkpoint))?;
            self.rows.finish(generation, &|_| ())?;
        }
        let coding = self.rows.engine.row_coding();
        let (mut batch, mut bytes, mut passed) = (Vec::new(), 0, 0);
        for (key, value) in &generation.rows {
            passed += recent::AROUND + key.as_bytes().len() + value.as_ref().map_or(0, |value| value.len());
            if value.is_none() && self.rows.digests.excludes(key) {
                continue;
            }
            bytes += AROUND + key.as_bytes().len() + value.as_ref().map_or(0, |value| value.len());
            batch.push(match value {
                Some(value) => coding.encode(&Change::Put(key.clone(), value.clone())),
                None => Change::Delete(key.clone()),
            });
            if bytes >= self.rows.batch_bytes() {
                let began = Instant::now();
                self.write_batch(&batch)?;
                self.pace.note_written(std::mem::take(&mut passed));
                self.take_break(began.elapsed());
                (batch, bytes) = (Vec::new(), 0);
                if self.must_end() {
                    return Ok(Outcome::CutShort);
                }
            }
        }
        // Written together with the last batch of rows. All earlier batches are durable.
        batch.push(checkpoint);
        self.write_batch(&batch)?;
        self.pace.begin_rest();
        self.rows.finish(generation, &|worked| self.take_break(worked))?;
        self.rows.check_identity()?;
        Ok(Outcome::Written)
    }
}
