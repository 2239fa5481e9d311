//! Opens the store in a database. Nothing is written before the database was checked.

use std::{
    path::Path,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::Mutex;
use tandem_actors::ports::{Store, StoreError};
use tokio_postgres::Client;

use super::{
    Address, PostgresError, PostgresStore,
    bridge::Bridge,
    connection::Access,
    here::Here,
    owner::{self, Held, ThisNode},
    reads::Reads,
    schema::{self, Completeness, SchemaFound, failed},
    writer::Writer,
};
use crate::{
    Options, StoreOpenError,
    acknowledged::{self, LastAcknowledged},
    directory::Directory,
    fence::Fences,
    row_check::RowCheck,
};

/// How long a start may take, without the wait for another node's lease.
const WITHIN: Duration = Duration::from_secs(20);

/// How long the first read may take after the claim.
const READS_WITHIN: Duration = Duration::from_secs(15);

/// Opens the store in the database at `address`, or makes it if `options` allow that. `here` is the directory in which
/// this machine remembers the id of the database.
///
/// # Errors
/// In one line. Nothing was written to a refused database.
pub fn open(address: &Address, here: &Path, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
    if let Some(found) = Directory::engine_at(here) {
        let path = here.to_owned();
        return Err(PostgresError::HoldsAnother { path, found, address: address.clone() }.into());
    }
    let here = Here::lock(here)?;
    let known = here.cluster()?.filter(|_| !options.start_afresh);
    let mut acknowledged = LastAcknowledged::open_or_warn(here.path());
    let access = Access::new(address, options.password.as_ref(), options.authority.as_ref())?;
    let no_thread = |error| StoreOpenError::of(here.path(), "start a thread", error);
    let bridge = Arc::new(Bridge::start().map_err(no_thread)?);
    let node = ThisNode::new(options.member.clone());
    let longest = WITHIN + node.lease();
    let beginning = KnownDatabase {
        node,
        access: access.clone(),
        known,
        acknowledged: match &mut acknowledged {
            Some(file) => file.read().map_err(|error| StoreOpenError::of(file.path(), "read", error))?,
            None => 0,
        },
        here: here.path().to_owned(),
        may_make: options.may_make,
    };
    let closing = Arc::new(AtomicBool::new(false));
    let (held_by, stop) = (bridge.clone(), closing.clone());
    let begun = bridge.wait(longest, async move { beginning.begin(held_by, stop).await });
    let (writer, cluster, Held { epoch, last }) = begun.ok_or_else(|| PostgresError::silent(address))??;
    let noted = match &acknowledged {
        // The stored number belongs to another database, or there is none.
        Some(file) => file.record(last.cast_unsigned()).and_then(|()| here.note(&cluster)),
        None => here.note(&cluster),
    };
    if let Err(error) = noted {
        tracing::warn!(%error, store = %here.path().display(), "another database in its place would not be noticed");
    }
    let epoch = u32::try_from(epoch).map_err(|_| PostgresError::Failed {
        address: address.clone(),
        doing: "give an epoch",
        reason: "there are no more of them".into(),
        source: None,
    })?;
    let reads = Reads::start(bridge, &access);
    let unread = |error: StoreError| PostgresError::Failed {
        address: address.clone(),
        doing: "read its rows",
        reason: error.text().to_owned(),
        source: Some(error.into()),
    };
    reads
        .wait_until_ready(READS_WITHIN)
        .map_err(|refusal| refusal.unwrap_or_else(|| PostgresError::silent(address)))?;
    let check = RowCheck::of(&reads).map_err(unread)?;
    Ok(Arc::new(PostgresStore {
        reads,
        check,
        fences: Fences::new(epoch),
        failed: OnceLock::new(),
        writer: Mutex::new(writer),
        acknowledged,
        closing,
        _here: here,
    }))
}

/// What this machine knows of the database before it connects.
struct KnownDatabase {
    node: ThisNode,
    access: Access,
    /// The id of the database that this machine used before.
    known: Option<String>,
    /// The last group that was acknowledged on this machine.
    acknowledged: u64,
    here: std::path::PathBuf,
    may_make: bool,
}

impl KnownDatabase {
    async fn begin(
        self,
        bridge: Arc<Bridge>,
        closing: Arc<AtomicBool>,
    ) -> Result<(Writer, String, Held), PostgresError> {
        let address = self.access.address.clone();
        let (client, connection) = self.access.connect().await?;
        let cluster = self.cluster(&address, &client).await?;
        let last = owner::last_group(&client).await.map_err(failed(&address, "say how far it goes"))?;
        let is_known = self.known.as_ref() == Some(&cluster);
        if let Some(missing @ 1..) = self.acknowledged.checked_sub(last.cast_unsigned()).filter(|_| is_known) {
            return Err(PostgresError::RolledBack { address, missing, path: self.here.join(acknowledged::FILE) });
        }
        let held = owner::claim(&self.access, &client, &self.node).await?;
        let link = (client, connection.abort_handle());
        let writer = Writer::new(self.access, bridge, self.node, link, held, closing).await;
        Ok((writer.map_err(failed(&address, "prepare to write"))?, cluster, held))
    }

    /// The id of the database. Makes the tables if there are none and `may_make` is set.
    async fn cluster(&self, address: &Address, client: &Client) -> Result<String, PostgresError> {
        let cluster = match schema::look(address, client).await? {
            SchemaFound::Store { complete: false, .. } => {
                return Err(PostgresError::HalfCopied { address: address.clone() });
            }
            SchemaFound::Store { cluster, complete: true } => cluster,
            SchemaFound::Nothing if self.may_make && self.known.is_none() => {
                schema::make(address, client, Completeness::Complete).await?
            }
            SchemaFound::Nothing => return Err(PostgresError::Absent { address: address.clone() }),
        };
        match &self.known {
            Some(known) if *known != cluster => Err(PostgresError::OtherCluster {
                address: address.clone(),
                found: cluster,
                known: known.clone(),
                path: self.here.join(super::here::CLUSTER),
            }),
            _ => Ok(cluster),
        }
    }
}

/// Makes the checks of [`open`] that need no claim. False if the database is empty. It changes nothing.
///
/// # Errors
/// As [`open`].
pub fn inspect(address: &Address, options: &Options) -> Result<bool, StoreOpenError> {
    let access = Access::new(address, options.password.as_ref(), options.authority.as_ref())?;
    let bridge = Bridge::start().map_err(|error| PostgresError::no_thread(address, error))?;
    let found = bridge.wait(WITHIN, async move {
        let (client, _) = access.connect().await?;
        schema::look(&access.address, &client).await
    });
    match found.ok_or_else(|| PostgresError::silent(address))?? {
        SchemaFound::Nothing => Ok(false),
        SchemaFound::Store { complete: true, .. } => Ok(true),
        SchemaFound::Store { complete: false, .. } => {
            Err(PostgresError::HalfCopied { address: address.clone() }.into())
        }
    }
}
