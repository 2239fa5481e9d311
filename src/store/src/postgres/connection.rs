//! Makes connections to the database, all with the same settings.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tandem_actors::backoff::Backoff;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::{Address, PostgresError, error::not_connected, schema, tls::Encryption};
use crate::Password;

/// Settings of each connection: the planner always uses the index, and the statements of a lost node end soon.
const SESSION: &str = "SET default_transaction_isolation = 'read committed'; \
     SET enable_seqscan = off; SET enable_bitmapscan = off; \
     SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'; \
     SET search_path = pg_catalog";

/// The waits between two tries to connect.
pub(super) const RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// How connections are made.
#[derive(Clone)]
pub(super) struct Access {
    pub address: Address,
    config: tokio_postgres::Config,
    encryption: Option<Encryption>,
}

impl Access {
    /// # Errors
    /// If the authority's certificate cannot be used.
    pub fn new(
        address: &Address,
        password: Option<&Password>,
        authority: Option<&PathBuf>,
    ) -> Result<Self, PostgresError> {
        let config = address.config(password.map(Password::reveal));
        let encryption = address.is_encrypted().then(|| Encryption::new(authority.map(PathBuf::as_path)));
        let encryption = encryption.transpose().map_err(|source| match authority {
            Some(path) => PostgresError::Authority { address: address.clone(), path: path.clone(), source },
            None => PostgresError::Unreachable {
                address: address.clone(),
                reason: source.to_string(),
                source: Some(source),
            },
        })?;
        Ok(Self { address: address.clone(), config, encryption })
    }

    /// A connection to a server whose settings were checked: what it acknowledges is durable. The connection ends with
    /// the client, or when its task is aborted.
    ///
    /// # Errors
    /// In one line.
    pub async fn connect(&self) -> Result<(Arc<Client>, JoinHandle<()>), PostgresError> {
        let failed = |error| not_connected(&self.address, error);
        let (client, connection) = match &self.encryption {
            Some(encryption) => {
                let (client, connection) = self.config.connect(encryption.clone()).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection)))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection)))
            }
        };
        client.batch_execute(SESSION).await.map_err(failed)?;
        schema::check_server(&self.address, &client).await?;
        Ok((Arc::new(client), connection))
    }
}

async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = super::error::reason_of(&error), "a connection to PostgreSQL ended");
    }
}
