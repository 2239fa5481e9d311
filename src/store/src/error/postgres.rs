//! Why a database cannot be used: one line that says where, what is wrong, and what would be right.

use std::{error::Error, path::PathBuf};

use crate::address::{Address, SCHEMA_NAME};

/// The cause of an error.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum PostgresError {
    #[error(
        "store {address}: cannot be reached: {reason}: store.url must name a running PostgreSQL that this machine may connect to"
    )]
    Unreachable { address: Address, reason: String, source: Option<Cause> },

    #[error(
        "store {address}: PostgreSQL does not let tandem in: {reason}: see to the user, the database and store.password"
    )]
    NotAdmitted { address: Address, reason: String, source: Option<Cause> },

    #[error("store {address}: PostgreSQL refused to {doing}: {reason}")]
    Failed { address: Address, doing: &'static str, reason: String, source: Option<Cause> },

    #[error("store {address}: {setting} is {found} in PostgreSQL, but must be {right}: {why}")]
    Setting { address: Address, setting: &'static str, found: String, right: &'static str, why: &'static str },

    #[error(
        "store {address}: the schema {schema} holds what is not tandem's ({names}): give tandem a database of its own, or move that away",
        schema = SCHEMA_NAME
    )]
    Foreign { address: Address, names: String },

    #[error(
        "store {address}: has schema version {found}, this program knows {known}: use the version of tandem that wrote it, or a later one"
    )]
    Schema { address: Address, found: i32, known: i32 },

    #[error(
        "store {address}: in use by {holder}: a database has one node at a time; stop that one, or give this one another database"
    )]
    InUse { address: Address, holder: String },

    #[error(
        "store {address}: in use by {holder}, which has no [fleet]: give all nodes of one database a [fleet], or stop that node"
    )]
    OwnedAlone { address: Address, holder: String },

    #[error(
        "store {address}: {holder} has other secrets or another realtime provider: all nodes of a fleet must have the same auth, the same \
         realtime.provider and the same keys"
    )]
    Unlike { address: Address, holder: String },

    #[error("store {address}: no fleet has used it: set fleet.enabled for its nodes, and start them")]
    NoFleet { address: Address },

    #[error("store {address}: another node is setting the database up; start again when it has finished")]
    BeingMade { address: Address },

    #[error(
        "store {address}: a copy, a restore or an import into this database was cut off: run the same command again; to begin with \
         nothing, drop its schema {schema}",
        schema = SCHEMA_NAME
    )]
    HalfCopied { address: Address },

    #[error("store {address}: nothing there: it must be a database that tandem has used")]
    Absent { address: Address },

    #[error("store {address}: not empty: a new store goes to a database without tandem's tables; choose another")]
    NotEmpty { address: Address },

    #[error(
        "store {address}: this is cluster {found}, but {path} says that this data directory belongs to cluster {known}: set store.url to \
         that one's database; to take this one, remove the file", path = .path.display()
    )]
    OtherCluster { address: Address, found: String, known: String, path: PathBuf },

    #[error(
        "store {address}: the last {missing} groups of changes that were acknowledged are not there: the database has fallen back, as after \
         a restored backup or a failover to a server that was behind: bring back what is missing; to go on without it, remove {path}",
        path = .path.display()
    )]
    RolledBack { address: Address, missing: u64, path: PathBuf },

    #[error(
        "store {path}: made by {found}, but store.engine is postgres: set store.engine = \"{found}\", or take the store along with \
         `tandem store copy --from {found}:{path} --to {address}` and move {path} away", path = .path.display()
    )]
    HoldsAnother { path: PathBuf, found: crate::Engine, address: Address },

    #[error("store {address}: the certificate in store.ca ({path}) cannot be used: {source}: it must be a PEM file", path = .path.display())]
    Authority { address: Address, path: PathBuf, source: Cause },

    #[error("store {address}: {doing} is not for a database: {instead}")]
    NotForIt { address: Address, doing: &'static str, instead: &'static str },
}

impl PostgresError {
    /// The thread of the connections cannot be started.
    pub(crate) fn no_thread(address: &Address, error: std::io::Error) -> Self {
        let reason = error.to_string();
        Self::Failed { address: address.clone(), doing: "be asked", reason, source: Some(error.into()) }
    }

    /// The server has not answered in time.
    pub(crate) fn silent(address: &Address) -> Self {
        Self::Unreachable { address: address.clone(), reason: "it does not answer".into(), source: None }
    }
}
