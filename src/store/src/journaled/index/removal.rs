//! Removes from all files what must not be there any more: replaced values after an erasure, and whatever is not
//! encrypted with the last data key. Both take a rewrite of the engine's rows, and the end of the journal's files with
//! earlier groups.

use std::sync::atomic::Ordering;

use tandem_actors::ports::StoreError;
use tandem_wal::WalError;

use super::Indexer;
use crate::StoreOpenError;

const NOT_ENCRYPTED: &str =
    "not all of the store is encrypted with its present key: the rest stays in its files as it is";

/// Shows operators whether anything is not yet encrypted with the present key.
fn note_mixed(is_mixed: bool) {
    metrics::gauge!("tandem_store_encryption_pending").set(u8::from(is_mixed));
}

/// Why the operator's key was not changed.
pub(crate) enum NotRekeyed {
    Keys(StoreOpenError),
    /// The journal's files that are not needed cannot be removed.
    Journal(WalError),
}

impl Indexer {
    /// Removes from all files what was replaced up to the group that `begin` returns. Files with earlier groups are
    /// removed and not used again. `begin` makes the writer leave the present segment.
    ///
    /// # Errors
    /// If a file of the journal that is not needed cannot be removed.
    pub fn forget_history(&self, begin: impl FnOnce() -> u64) -> Result<u64, WalError> {
        let _request = self.request.lock();
        self.keeper.remove_unused()?;
        // The writer then has a segment at once.
        self.keep_segments_ready();
        let last = begin();
        self.keeper.retire(last);
        self.rewriter.lock().ask(last);
        self.request_checkpoint(last);
        self.ask();
        Ok(last)
    }

    /// Values that were replaced up to this group are in no file any more.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Continues at the start of a store what an earlier run has not completed.
    pub(super) fn encrypt_the_rest(&self, last: u64) {
        let is_mixed = self.rows.engine.is_mixed();
        note_mixed(is_mixed);
        self.is_mixed.store(is_mixed, Ordering::Release);
        if is_mixed {
            // The journal's files must be removed: a new segment would overwrite only a part of them.
            match self.keeper.remove_unused() {
                Ok(()) => {
                    self.rewriter.lock().ask(last);
                    self.request_checkpoint(last);
                }
                Err(error) => tracing::error!(%error, "{NOT_ENCRYPTED}; the next start tries again"),
            }
        }
    }

    /// Encrypts everything again with another data key. `store_keys` stores the keys durably. Then `begin` lets the
    /// writer use the new one, makes it leave the present segment, and returns the last group before. (What the next
    /// backup needs stays in the journal until then, as after a start.)
    ///
    /// # Errors
    /// Then nothing has changed. Another request waits meanwhile.
    pub fn encrypt_again(
        &self,
        store_keys: impl FnOnce() -> Result<(), StoreOpenError>,
        begin: impl FnOnce() -> u64,
    ) -> Result<(), NotRekeyed> {
        let _request = self.request.lock();
        let stored = self.keeper.remove_unused().map_err(NotRekeyed::Journal);
        if let Err(error) = stored.and_then(|()| store_keys().map_err(NotRekeyed::Keys)) {
            if !self.rewriter.lock().is_asked() {
                self.keeper.reuse_unused();
            }
            return Err(error);
        }
        self.is_mixed.store(true, Ordering::Release);
        note_mixed(true);
        // The writer then has a segment at once.
        self.keep_segments_ready();
        let last = begin();
        self.rewriter.lock().ask_with_another_key(last);
        self.request_checkpoint(last);
        self.ask();
        Ok(())
    }

    /// Notes a request that is done. The groups up to `checkpoint` are not needed in the journal any more.
    pub(super) fn note_if_done(&self, checkpoint: u64) {
        // A request that is being made is not done, although those before it may be. The next checkpoint looks again.
        let Some(_request) = self.request.try_lock() else { return };
        let is_gone = |upto| checkpoint >= upto && !self.keeper.keeps_upto(upto);
        let done = self.rewriter.lock().take_done(is_gone);
        if let Some(upto) = done {
            self.note_all_gone(upto);
        }
    }

    /// Values that were replaced up to this group are in no file any more. So every row and every group is encrypted
    /// with the present key.
    fn note_all_gone(&self, upto: u64) {
        self.keeper.reuse_unused();
        self.forgotten.store(upto, Ordering::Release);
        if !self.is_mixed.swap(false, Ordering::AcqRel) {
            return;
        }
        match self.rows.engine.note_all_encrypted() {
            Ok(()) => {
                note_mixed(false);
                tracing::info!("everything in the store is encrypted with its present key");
            }
            Err(error) => {
                tracing::error!(%error, "that everything is encrypted cannot be noted; the next start tries again");
            }
        }
    }

    pub(super) fn warn_if_mixed(&self, error: &StoreError) {
        if self.is_mixed.load(Ordering::Relaxed) {
            tracing::error!(%error, "{NOT_ENCRYPTED} until its rows can be written anew");
        }
    }
}
