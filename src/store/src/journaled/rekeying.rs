//! Changes the operator's key of an open store.

use std::{path::Path, sync::Arc};

use super::{JournaledStore, index::NotRekeyed};
use crate::StoreOpenError;

/// Changes the operator's key of an open store.
#[derive(Clone)]
pub struct Rekeying(Arc<JournaledStore>);

impl Rekeying {
    pub(crate) fn of(store: Arc<JournaledStore>) -> Self {
        Self(store)
    }

    /// Gives the store the operator's key in this file, and a fresh data key. Whatever is written from then on is
    /// encrypted with the data key, and everything else is encrypted again in the background. What later needs the
    /// operator's key reads this file. One change waits for another one.
    ///
    /// # Errors
    /// If the store is not encrypted, has this key already, or the key cannot be read or stored. Then nothing has
    /// changed.
    pub fn rekey(&self, new: &Path) -> Result<(), StoreOpenError> {
        let JournaledStore { rows, indexer, writer, .. } = &*self.0;
        let begin = || {
            let mut writer = writer.lock();
            rows.engine.use_last_data_key();
            writer.wal.leave_segment();
            writer.wal.last()
        };
        indexer.encrypt_again(|| rows.engine.rekey(new), begin).map_err(|error| match error {
            NotRekeyed::Keys(error) => error,
            NotRekeyed::Journal(error) => StoreOpenError::Journal { path: rows.engine.path().to_owned(), error },
        })
    }
}
