//! Decides which node may write. A node claims the shards at its start, and again on each new connection. Each claim
//! takes a higher epoch. A group is written only in the current epoch, and locks the shard's row until it is written.
//! So a claim waits for a group that is being written, and later groups of an earlier connection or of another node are
//! refused.
//!
//! Clocks and advisory locks decide only when a node may take over, never whether a group counts. All writing
//! connections of a node share an advisory lock of that node ([`show_alive`]). They take it before they claim anything.
//! If another node can take the owner's lock exclusively, no writing connection of the owner is left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_actors::ports::StoreError;
use tokio_postgres::{Client, Error};

use super::{Member, PostgresError, connection::Access, fleet, schema::failed};

/// The lease of a node. A node that has not renewed it for this long may be replaced, even if its connection looks
/// alive. The nodes of a fleet have a setting for it.
const LEASE: Duration = Duration::from_secs(10);
/// A lease is renewed at least this often, by a group or by a statement of its own. A short lease is renewed earlier.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The first number of the advisory locks of nodes.
const OF_NODES: i64 = 0x7461_6e64_656d_0002;

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub epoch: i64,
    /// The number of the last written group.
    pub last: i64,
}

/// This process, as other nodes see it.
#[derive(Clone, Debug)]
pub(super) struct ThisNode {
    /// The id of this process.
    pub id: String,
    /// The name in the settings, or the machine's name.
    pub name: String,
    /// Its place in the fleet, if it is in one.
    pub member: Option<Arc<Member>>,
}

impl ThisNode {
    pub fn new(member: Option<Arc<Member>>) -> Self {
        match &member {
            Some(fleet) => Self { id: fleet.id.clone(), name: fleet.name.clone(), member },
            None => Self { id: super::schema::random_id(), name: machine(), member },
        }
    }

    pub fn lease(&self) -> Duration {
        self.member.as_ref().map_or(LEASE, |member| member.lease)
    }

    pub fn renew_every(&self) -> Duration {
        RENEW_EVERY.min(self.lease() / 4)
    }

    /// Notes that the lease was taken or renewed by a statement sent at `sent`.
    pub fn holds_since(&self, sent: Instant) {
        if let Some(member) = &self.member {
            member.held.renewed(sent, member.lease);
        }
    }

    /// Notes that this node has no lease any more.
    fn lets_go(&self) {
        if let Some(member) = &self.member {
            member.held.ends();
        }
    }

    /// The error when another node owns the database.
    pub fn is_replaced(&self) -> StoreError {
        self.lets_go();
        let replaced = "another node has taken the database over: a database has one node at a time, and this one is not it any more";
        let advice = match self.member {
            Some(_) => "start this one again, and it stands by: everything that was answered is there",
            None => "find out who started it: everything that was answered is there",
        };
        StoreError::new(replaced).advising(advice)
    }
}

/// The machine's name.
pub(super) fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Claims the shards at the start of a node. If their owner does not answer, it waits for the end of the owner's lease.
pub(super) async fn claim(access: &Access, client: &Client, node: &ThisNode) -> Result<Held, PostgresError> {
    let failed = failed(&access.address, "let this node claim it");
    show_alive(client, node).await.map_err(&failed)?;
    match &node.member {
        Some(member) => fleet::join(client, member).await.map_err(&failed)?,
        None => {
            let insert = "INSERT INTO tandem.nodes (id, name, version) VALUES ($1, $2, $3)";
            client.execute(insert, &[&node.id, &node.name, &env!("CARGO_PKG_VERSION")]).await.map_err(&failed)?;
        }
    }
    let (mut lease, mut looks): (Option<String>, u32) = (None, 0);
    loop {
        if let Some(held) = try_claim(client, node).await.map_err(&failed)? {
            delete_earlier_nodes(client, node).await.map_err(&failed)?;
            return Ok(held);
        }
        let holder = client
            .query_opt(
                "SELECT n.name, to_char(n.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'), s.lease_until::text
                 FROM tandem.shards s JOIN tandem.nodes n ON n.id = s.owner ORDER BY s.lease_until DESC LIMIT 1",
                &[],
            )
            .await
            .map_err(&failed)?;
        // The owner has released the database meanwhile.
        let Some(holder) = holder else { continue };
        let until: String = holder.get(2);
        // A member of a fleet stands by, and tries again.
        if node.member.is_some() || lease.as_ref().is_some_and(|seen| *seen != until) {
            if node.member.is_none() {
                let _removed = client.execute("DELETE FROM tandem.nodes WHERE id = $1", &[&node.id]).await;
            }
            let (name, since): (String, String) = (holder.get(0), holder.get(1));
            let holder = format!("a node on {name} that started at {since}");
            return Err(PostgresError::InUse { address: access.address.clone(), holder });
        }
        lease = Some(until);
        looks += 1;
        // A living node would have renewed its lease by now.
        if looks == 12 {
            tracing::info!("waiting for another node's lease of the database to run out: it does not answer");
        }
        tokio::time::sleep(RENEW_EVERY / 4).await;
    }
}

/// Claims the shards. `None` if another node owns them: its connection lives and its lease is valid.
async fn try_claim(client: &Client, node: &ThisNode) -> Result<Option<Held>, Error> {
    // The owner's lock is held for this statement only. So a node that stops between two statements blocks nobody. The
    // owner of a fleet keeps the shards until its lease is over, even if it has lost its connection.
    let has_ended = match node.member {
        Some(_) => "false".to_owned(),
        None => format!("pg_try_advisory_xact_lock({})", lock_of("owner")),
    };
    let claim = format!(
        "UPDATE tandem.shards SET owner = $1, epoch = epoch + 1, lease_until = now() + make_interval(secs => $2)
         WHERE owner IS NULL OR lease_until < now() OR {has_ended} RETURNING epoch"
    );
    let sent = Instant::now();
    let claimed = client.query_opt(&claim, &[&node.id, &node.lease().as_secs_f64()]).await?;
    let Some(claimed) = claimed else { return Ok(None) };
    node.holds_since(sent);
    last_group(client).await.map(|last| Some(Held { epoch: claimed.get(0), last }))
}

/// Whether a node with a living connection owns the shards.
pub(super) async fn is_in_use(client: &Client) -> Result<bool, Error> {
    let others = format!(
        "SELECT count(*) FROM tandem.shards WHERE owner IS NOT NULL AND NOT pg_try_advisory_xact_lock({})",
        lock_of("owner")
    );
    Ok(client.query_one(&others, &[]).await?.get::<_, i64>(0) > 0)
}

/// The number of the advisory lock of the node that `id` names in SQL.
fn lock_of(id: &str) -> String {
    format!("hashtextextended({id}, {OF_NODES})")
}

/// Deletes the rows of earlier nodes.
async fn delete_earlier_nodes(client: &Client, node: &ThisNode) -> Result<(), Error> {
    let gone = "DELETE FROM tandem.nodes WHERE id <> $1 AND started_at < now() - interval '1 day'";
    match &node.member {
        Some(member) => fleet::note_owner(client, member).await?,
        None => client.execute(gone, &[&node.id]).await.map(drop)?,
    }
    client.execute("DELETE FROM tandem.groups WHERE number < (SELECT max(number) FROM tandem.groups)", &[]).await?;
    Ok(())
}

/// Takes a new epoch on a new connection, so that late statements of the last connection are refused. `None` if another
/// node has taken over.
pub(super) async fn hold_on(client: &Client, node: &ThisNode) -> Result<Option<Held>, Error> {
    show_alive(client, node).await?;
    let sent = Instant::now();
    let held = client
        .query_opt(
            "UPDATE tandem.shards SET epoch = epoch + 1, lease_until = now() + make_interval(secs => $2)
             WHERE owner = $1 RETURNING epoch",
            &[&node.id, &node.lease().as_secs_f64()],
        )
        .await?;
    let Some(held) = held else { return Ok(None) };
    node.holds_since(sent);
    // The update has waited for a group that was being written. So its outcome is final.
    last_group(client).await.map(|last| Some(Held { epoch: held.get(0), last }))
}

/// Shows other nodes that this node lives, for as long as this connection lives. It waits only for a claim.
async fn show_alive(client: &Client, node: &ThisNode) -> Result<(), Error> {
    let share = format!("SELECT pg_advisory_lock_shared({})", lock_of("$1"));
    client.execute(&share, &[&node.id]).await.map(drop)
}

/// Reads the number of the last written group.
pub(super) async fn last_group(client: &Client) -> Result<i64, Error> {
    Ok(client.query_one("SELECT max(number) FROM tandem.groups", &[]).await?.get(0))
}

/// Releases the database, so that the next node can start at once.
pub(super) async fn release(client: &Client, node: &ThisNode) -> Result<(), Error> {
    node.lets_go();
    client.execute("UPDATE tandem.shards SET owner = NULL, lease_until = NULL WHERE owner = $1", &[&node.id]).await?;
    client.execute("DELETE FROM tandem.nodes WHERE id = $1", &[&node.id]).await.map(drop)
}
