//! The statements that read and write rows, prepared on one connection.

use std::collections::HashMap;

use bytes::Bytes;
use tandem_actors::{keys::Key, ports::Direction};
use tokio_postgres::{Client, Error, Row, Statement};

use crate::rows::Bounds;

const GET: &str = "SELECT value FROM tandem.rows WHERE key = $1";
const GET_ALL: &str = "SELECT key, value FROM tandem.rows WHERE key = ANY ($1)";
const FORWARD: &str = "SELECT key, value FROM tandem.rows WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
const BACKWARD: &str = "SELECT key, value FROM tandem.rows WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3";

/// The statements that read rows.
pub(super) struct ReadStatements {
    get: Statement,
    get_all: Statement,
    forward: Statement,
    backward: Statement,
}

impl ReadStatements {
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        let (get, get_all, forward, backward) = futures_util::try_join!(
            client.prepare(GET),
            client.prepare(GET_ALL),
            client.prepare(FORWARD),
            client.prepare(BACKWARD)
        )?;
        Ok(Self { get, get_all, forward, backward })
    }

    pub async fn get(&self, client: &Client, key: &Key) -> Result<Option<Bytes>, Error> {
        let row = client.query_opt(&self.get, &[&key.as_bytes()]).await?;
        row.map(|row| row.try_get(0).map(Bytes::copy_from_slice)).transpose()
    }

    /// The existing rows, in any order.
    pub async fn get_all(&self, client: &Client, keys: &[Key]) -> Result<HashMap<Key, Bytes>, Error> {
        let keys: Vec<&[u8]> = keys.iter().map(Key::as_bytes).collect();
        client.query(&self.get_all, &[&keys]).await?.iter().map(copy).collect()
    }

    pub async fn range(
        &self,
        client: &Client,
        bounds: &Bounds,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, Error> {
        let mut from = bounds.from.clone();
        if bounds.beyond_from {
            // The smallest key after this one.
            from.push(0);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = match direction {
            Direction::Forward => &self.forward,
            Direction::Backward => &self.backward,
        };
        let rows = client.query(statement, &[&from, &bounds.to, &limit]).await?;
        rows.iter().map(copy).collect()
    }
}

fn copy(row: &Row) -> Result<(Key, Bytes), Error> {
    Ok((Key::from_bytes(row.try_get::<_, &[u8]>(0)?), Bytes::copy_from_slice(row.try_get(1)?)))
}
