//! Direct access to the rows of a database, for `tandem store`, backups and restores.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};
use tokio_postgres::{Client, Error, Statement};

use super::{
    Address, PostgresError,
    bridge::Bridge,
    connection::Access,
    error::reason_of,
    group::Group,
    owner,
    schema::{self, Completeness, SchemaFound, failed},
    statements::ReadStatements,
};
use crate::{
    Options, StoreOpenError,
    rows::{Bounds, Rows, Strictness},
};

/// A page of rows is read or written within this time.
const WITHIN: Duration = Duration::from_secs(60);

const FILL: &str = "INSERT INTO tandem.rows (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[])
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// Counting more rows than this takes long. PostgreSQL's estimate is good enough for a progress bar.
const COUNTED: u32 = 1_000_000;

/// The moment whose rows a connection reads.
pub(crate) struct Moment {
    /// The id of the database.
    pub cluster: String,
    /// The last group whose changes are in the rows.
    pub last: i64,
    /// The number of rows. An estimate if there are many.
    pub rows: u64,
}

/// One connection that reads a store, or fills a new one.
pub(crate) struct DirectRows {
    address: Address,
    bridge: Bridge,
    client: Arc<Client>,
    reading: Arc<ReadStatements>,
    fill: Option<Statement>,
}

impl DirectRows {
    /// Reads all rows as they are at one moment.
    ///
    /// # Errors
    /// If there is no complete store. [`Strictness::Strict`]: also if a node uses it.
    pub fn read(address: &Address, options: &Options, strictness: Strictness) -> Result<Self, PostgresError> {
        Self::open(address, options, move |address, client| async move {
            match schema::look(&address, &client).await? {
                SchemaFound::Nothing => return Err(PostgresError::Absent { address }),
                SchemaFound::Store { complete: false, .. } => return Err(PostgresError::HalfCopied { address }),
                SchemaFound::Store { .. } => {}
            }
            let reading = failed(&address, "read its rows");
            if strictness == Strictness::Strict && owner::is_in_use(&client).await.map_err(&reading)? {
                return Err(PostgresError::InUse { address, holder: "a node that runs".into() });
            }
            // The reader may pause for any time, for example while a pager shows the rows.
            let begin = "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            client.batch_execute(begin).await.map_err(reading).map(|()| None)
        })
    }

    /// Makes a new store with the rows that `fill` writes. If `fill` fails, nothing is kept.
    ///
    /// # Errors
    /// If there is a store already. `unwritten` gets the reason why the store cannot be completed.
    pub fn make<T, E: From<StoreOpenError>>(
        address: &Address,
        options: &Options,
        unwritten: impl Fn(StoreError) -> E,
        fill: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let target = Self::begin(address, options).map_err(StoreOpenError::from)?;
        let filled = fill(&target).and_then(|filled| target.finish().map_err(unwritten).map(|()| filled));
        filled.inspect_err(|_| target.give_up())
    }

    /// Makes a new store, which is unfinished until [`Self::finish`].
    fn begin(address: &Address, options: &Options) -> Result<Self, PostgresError> {
        Self::open(address, options, |address, client| async move {
            let preparing = failed(&address, "prepare a new store");
            // Until this connection ends, nobody else makes tables or removes the unfinished store.
            if !schema::try_lock_schema(&client).await.map_err(&preparing)? {
                return Err(PostgresError::BeingMade { address });
            }
            match schema::look(&address, &client).await? {
                SchemaFound::Nothing => {}
                SchemaFound::Store { complete: true, .. } => return Err(PostgresError::NotEmpty { address }),
                SchemaFound::Store { complete: false, .. } => schema::remove(&client).await.map_err(&preparing)?,
            }
            schema::make(&address, &client, Completeness::Unfinished).await?;
            client.prepare(FILL).await.map(Some).map_err(preparing)
        })
    }

    fn open<F: Future<Output = Result<Option<Statement>, PostgresError>> + Send + 'static>(
        address: &Address,
        options: &Options,
        begin: impl FnOnce(Address, Arc<Client>) -> F + Send + 'static,
    ) -> Result<Self, PostgresError> {
        let access = Access::new(address, options.password.as_ref(), options.authority.as_ref())?;
        let bridge = Bridge::start().map_err(|error| PostgresError::no_thread(address, error))?;
        let to = address.clone();
        let opened = bridge.wait(WITHIN, async move {
            let (client, _) = access.connect().await?;
            let fill = begin(to.clone(), client.clone()).await?;
            let reading = ReadStatements::prepare(&client).await.map_err(failed(&to, "read its rows"))?;
            Ok((client, Arc::new(reading), fill))
        });
        let (client, reading, fill) = opened.ok_or_else(|| PostgresError::silent(address))??;
        Ok(Self { address: address.clone(), bridge, client, reading, fill })
    }

    /// The store is complete: nodes may use it.
    fn finish(&self) -> Result<(), StoreError> {
        let client = self.client.clone();
        self.answer(async move {
            client.batch_execute("UPDATE tandem.cluster SET complete = true; ANALYZE tandem.rows").await
        })
    }

    /// Removes the unfinished store.
    fn give_up(&self) {
        let client = self.client.clone();
        let removed = self.answer(async move { schema::remove(&client).await });
        if let Err(error) = removed {
            tracing::warn!(%error, store = %self.address, "the unfinished store could not be removed");
        }
    }

    /// The moment of this connection: it reads each row as it was then.
    pub fn moment(&self) -> Result<Moment, StoreError> {
        let client = self.client.clone();
        let ask = format!(
            "SELECT (SELECT id FROM tandem.cluster), (SELECT max(number) FROM tandem.groups),
                    CASE WHEN reltuples < {COUNTED} THEN (SELECT count(*) FROM tandem.rows) ELSE reltuples::bigint END
             FROM pg_class WHERE oid = 'tandem.rows'::regclass"
        );
        self.answer(async move {
            let row = client.query_one(&ask, &[]).await?;
            let rows: i64 = row.try_get(2)?;
            Ok(Moment { cluster: row.try_get(0)?, last: row.try_get(1)?, rows: rows.cast_unsigned() })
        })
    }

    fn answer<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.bridge.wait(WITHIN, work) {
            Some(answer) => answer.map_err(|error| StoreError::new(reason_of(&error))),
            None => Err(StoreError::away("PostgreSQL does not answer")),
        }
    }
}

impl Rows for DirectRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let (client, reading, key) = (self.client.clone(), self.reading.clone(), key.clone());
        self.answer(async move { reading.get(&client, &key).await })
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let (client, reading, bounds) = (self.client.clone(), self.reading.clone(), bounds.clone());
        self.answer(async move { reading.range(&client, &bounds, direction, limit).await })
    }

    /// Inserts encoded rows into the new store.
    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        let fill = self.fill.clone().ok_or_else(|| StoreError::new("it is open to be read"))?;
        let mut group = Group::default();
        for change in changes {
            if let Change::Put(key, value) = change {
                group.keys.push(key.clone());
                group.values.push(value.clone());
            }
        }
        let client = self.client.clone();
        self.answer(async move { client.execute(&fill, &[&group.keys(), &group.values()]).await.map(drop) })
    }
}

#[cfg(test)]
mod tests {
    use tandem_testing::postgres::Postgres;

    use super::*;

    /// For example while a pager shows the rows.
    #[test]
    fn a_reader_may_pause_for_as_long_as_it_likes() {
        let Some(server) = Postgres::shared() else { return };
        let (address, here) = (server.database(), tempfile::tempdir().expect("a directory"));
        let address: Address = address.parse().expect("an address");
        let options = Options::default();
        super::super::open(&address, here.path(), &options).expect("a store").close();
        let rows = DirectRows::read(&address, &options, Strictness::Strict).expect("it can be read");
        let client = rows.client.clone();
        let show = "SELECT current_setting('idle_in_transaction_session_timeout'), now() <> statement_timestamp()";
        let (timeout, in_transaction) = rows
            .answer(async move { client.query_one(show, &[]).await.map(|row| (row.get::<_, String>(0), row.get(1))) })
            .expect("an answer");
        assert_eq!((timeout.as_str(), in_transaction), ("0", true));
    }
}
