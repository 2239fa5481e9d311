//! Why a node does not start.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use tandem_actors::ports::StoreError;

use crate::{
    auth,
    secrets::SecretError,
    store::{Place, StoreOpenError},
};

/// Each is one line that says what is wrong and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    #[error(
        "store {}: is not there, but {} says that this data directory had one: mount or restore it (is a disk missing?); to begin \
         with an empty store, start with --start-afresh", .store.without_engine(), .sign.display()
    )]
    StoreMissing { store: Place, sign: PathBuf },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Auth(#[from] auth::AuthSettingsError),
    /// A part of the node cannot work with its settings.
    #[error(transparent)]
    Setting(Box<dyn Error + Send + Sync>),
    #[error("cannot listen on {address}: {problem}")]
    Listen { address: SocketAddr, problem: String, source: io::Error },
    #[error("cannot use the certificate in server.tls: {0}")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    #[error("cannot start a thread for the store: {0}; allow this user more threads")]
    Thread(#[source] io::Error),
    #[error("the store cannot be read: {0}")]
    Read(#[from] StoreError),
    #[error("the index of sessions cannot be built: {0}")]
    Index(#[from] tandem_actors::journal::CommitError),
    #[error("the server ended: {0}")]
    Ended(#[source] io::Error),
}

impl StartError {
    pub(super) fn tls(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Tls(error.into())
    }

    pub(super) fn setting(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Setting(error.into())
    }
}
