//! The requirements for the database, and its tables.
//!
//! ```text
//! cluster   one row: the database's id, the version of these tables, whether they are filled completely
//! nodes     the processes that have owned shards, and the nodes of a fleet
//! shards    who owns which shard, in which epoch, until when; a database of one node has one shard
//! groups    the numbers of the last written groups, to find out whether a group was written whose answer was lost
//! rows      the rows of the store
//! ```

use data_encoding::HEXLOWER;
use rand::Rng;
use tokio_postgres::Client;

use super::{
    Address, PostgresError,
    error::{is_transient, reason_of},
};
use crate::{address::SCHEMA_NAME, seal::all_sealed};

/// The version of the tables. A later version of Tandem writes a higher number.
pub(super) const VERSION: i32 = 1;
/// PostgreSQL's number of version 15.
const OLDEST: i32 = 150_000;

/// The tables of [`VERSION`].
const TABLES: [&str; 5] = ["cluster", "groups", "nodes", "rows", "shards"];

/// The advisory lock for making and removing tables. The locks of nodes have other numbers.
const MAKING: i64 = 0x7461_6e64_656d_0001;

const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";

const MAKE: &str = "
    CREATE SCHEMA IF NOT EXISTS tandem;
    CREATE TABLE tandem.cluster (
        one boolean PRIMARY KEY DEFAULT true CHECK (one), id text NOT NULL, version integer NOT NULL,
        complete boolean NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE tandem.nodes (
        id text PRIMARY KEY, name text NOT NULL, version text NOT NULL,
        started_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE tandem.shards (
        id integer PRIMARY KEY, owner text REFERENCES tandem.nodes, epoch bigint NOT NULL DEFAULT 0,
        lease_until timestamptz) WITH (fillfactor = 20);
    CREATE TABLE tandem.groups (number bigint PRIMARY KEY);
    CREATE TABLE tandem.rows (key bytea PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = 85);
    INSERT INTO tandem.shards (id) VALUES (0);
    INSERT INTO tandem.groups (number) VALUES (0);";

/// Refuses a server whose commits are not durable. It is called for each new connection, because settings can change.
pub(super) async fn check_server(address: &Address, client: &Client) -> Result<(), PostgresError> {
    let asked = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('full_page_writes'),
                    current_setting('synchronous_commit'), current_setting('server_encoding'),
                    pg_is_in_recovery(), current_setting('default_transaction_read_only')",
            &[],
        )
        .await
        .map_err(failed(address, "say how it is set up"))?;
    let version: i32 = asked.get(0);
    let text = |column: usize| asked.get::<_, String>(column);
    let is_standby: bool = asked.get(5);
    let lost = "it acknowledges what is not on its disk, so that a crash loses what partners were told is stored";
    let findings = [
        (version < OLDEST, "server_version_num", version.to_string(), "150000 or more", "tandem needs PostgreSQL 15"),
        (text(1) != "on", "fsync", text(1), "on", lost),
        (text(2) != "on", "full_page_writes", text(2), "on", "a power cut would destroy pages that were half written"),
        (text(3) == "off", "synchronous_commit", text(3), "on", lost),
        (text(4) != "UTF8", "server_encoding", text(4), "UTF8", "make the database with ENCODING 'UTF8'"),
        (is_standby, "in_recovery", "true".into(), "false", "it is a standby; store.url must name the primary"),
        (text(6) != "off", "default_transaction_read_only", text(6), "off", "nothing could be written"),
    ];
    if let Some((_, setting, found, right, why)) = findings.into_iter().find(|(wrong, ..)| *wrong) {
        return Err(PostgresError::Setting { address: address.clone(), setting, found, right, why });
    }
    // A setting of the session outlasts a reload of the server's configuration.
    let kept = "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false)";
    client.query_one(kept, &[]).await.map(drop).map_err(failed(address, "keep its settings"))
}

/// The content of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SchemaFound {
    /// No tables.
    Nothing,
    /// A store of this version.
    Store {
        /// The id of the database.
        cluster: String,
        /// False if a copy, a restore or an import into it was not completed.
        complete: bool,
    },
}

/// Reads what the schema contains. It changes nothing.
///
/// # Errors
/// If the tables are not Tandem's, or of another version.
pub(super) async fn look(address: &Address, client: &Client) -> Result<SchemaFound, PostgresError> {
    let found = failed(address, "say what is in the database");
    let there = client
        .query(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY 1",
            &[&SCHEMA_NAME],
        )
        .await
        .map_err(&found)?;
    let there: Vec<String> = there.iter().map(|row| row.get(0)).collect();
    if there.is_empty() {
        return Ok(SchemaFound::Nothing);
    }
    let version = match client.query_opt("SELECT version, id, complete FROM tandem.cluster", &[]).await {
        // There is no such table, or it has other columns.
        Err(error) if error.code().is_some_and(|code| [UNDEFINED_TABLE, UNDEFINED_COLUMN].contains(&code.code())) => {
            None
        }
        asked => asked.map_err(&found)?,
    };
    let foreign = || {
        let names: Vec<_> = there.iter().filter(|name| !TABLES.contains(&name.as_str())).take(5).cloned().collect();
        let names = if names.is_empty() { there.clone() } else { names };
        PostgresError::Foreign { address: address.clone(), names: names.join(", ") }
    };
    let version = version.ok_or_else(foreign)?;
    let found = version.get(0);
    if found != VERSION {
        return Err(PostgresError::Schema { address: address.clone(), found, known: VERSION });
    }
    if there != TABLES {
        return Err(foreign());
    }
    Ok(SchemaFound::Store { cluster: version.get(1), complete: version.get(2) })
}

/// Takes the lock for making and removing tables, until this connection ends or unlocks it. False if it is held.
pub(super) async fn try_lock_schema(client: &Client) -> Result<bool, tokio_postgres::Error> {
    Ok(client.query_one("SELECT pg_try_advisory_lock($1)", &[&MAKING]).await?.get(0))
}

/// Whether the table of nodes has the columns of [`extend_nodes`].
pub(super) async fn knows_fleets(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let column =
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tandem.nodes'::regclass AND attname = 'seen_at')";
    Ok(client.query_one(column, &[]).await?.get(0))
}

/// Adds the columns of a fleet to the table of nodes. A node without a fleet leaves them empty, and so does an earlier
/// version.
pub(super) async fn extend_nodes(client: &Client) -> Result<(), tokio_postgres::Error> {
    if knows_fleets(client).await? {
        return Ok(());
    }
    let columns = ["address text", "token text", "likeness text", "owns_since timestamptz", "seen_at timestamptz"];
    let columns = columns.map(|column| format!("ADD COLUMN IF NOT EXISTS {column}")).join(", ");
    client.batch_execute(&format!("ALTER TABLE tandem.nodes {columns}")).await
}

/// Removes all tables of an unfinished store.
pub(super) async fn remove(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("DROP SCHEMA tandem CASCADE").await
}

/// What new tables hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// An empty store.
    Complete,
    /// It is being filled. No node uses it before it is complete.
    Unfinished,
}

/// Makes the tables of a new store, and returns the database's new id. Of two callers at the same time, the second is
/// refused.
pub(super) async fn make(
    address: &Address,
    client: &Client,
    completeness: Completeness,
) -> Result<String, PostgresError> {
    let making = failed(address, "make tandem's tables");
    if !try_lock_schema(client).await.map_err(&making)? {
        return Err(PostgresError::BeingMade { address: address.clone() });
    }
    let made = async {
        if look(address, client).await? != SchemaFound::Nothing {
            return Err(PostgresError::BeingMade { address: address.clone() });
        }
        let cluster = random_id();
        let complete = completeness == Completeness::Complete;
        let first =
            format!("INSERT INTO tandem.cluster (id, version, complete) VALUES ('{cluster}', {VERSION}, {complete});");
        // What fills the store writes the row that says whether every row has a seal.
        let sealed = if complete { all_sealed_row() } else { String::new() };
        client.batch_execute(&format!("BEGIN; {MAKE} {first} {sealed} COMMIT;")).await.map_err(&making)?;
        Ok(cluster)
    };
    let made = made.await;
    if made.is_err() {
        // The failed transaction is still open.
        let _ended = client.batch_execute("ROLLBACK").await;
    }
    let _unlocked = client.query_one("SELECT pg_advisory_unlock($1)", &[&MAKING]).await;
    made
}

/// The row that says that every row has a seal.
fn all_sealed_row() -> String {
    let key = HEXLOWER.encode(all_sealed().as_bytes());
    format!("INSERT INTO tandem.rows (key, value) VALUES ('\\x{key}', '\\x01');")
}

/// A random id of letters and digits.
pub(super) fn random_id() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// Makes the error of a failed statement.
pub(super) fn failed(
    address: &Address,
    doing: &'static str,
) -> impl Fn(tokio_postgres::Error) -> PostgresError + use<> {
    let address = address.clone();
    move |error| {
        let (address, reason) = (address.clone(), reason_of(&error));
        let is_away = error.as_db_error().is_none() || is_transient(&error);
        let source = Some(error.into());
        if is_away {
            PostgresError::Unreachable { address, reason, source }
        } else {
            PostgresError::Failed { address, doing, reason, source }
        }
    }
}
