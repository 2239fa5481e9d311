//! The nodes of a fleet, as the database knows them: its owner, and the nodes that stand by. A node that stands by
//! checks four times a second whether it may take over. [`super::open()`] then claims the database.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{Client, Error};

use super::{
    Address, Member, PostgresError,
    bridge::Bridge,
    connection::Access,
    schema::{self, SchemaFound, failed},
};
use crate::{Options, Password, StoreOpenError};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A check that takes longer has lost its connection.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// The same for the first check, which makes its connection.
const WITHIN: Duration = Duration::from_secs(20);
/// A node that stands by reports itself this often.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// After a restart of the database, the owner gets this long to connect again and renew its lease.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Reads the owner, and whether its lease is over.
const OWNER: &str = "
    SELECT s.owner, n.name, n.address, n.token, n.likeness,
           to_char(n.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'), s.lease_until < now()
    FROM tandem.shards s LEFT JOIN tandem.nodes n ON n.id = s.owner WHERE s.id = 0";

/// A member that has not reported itself for this long is gone.
const GONE_AFTER: &str = "1 minute";

const SHOW: &str = "
    INSERT INTO tandem.nodes (id, name, version, address, token, likeness, seen_at) VALUES ($1, $2, $3, $4, $5, $6, now())
    ON CONFLICT (id) DO UPDATE SET seen_at = now()";

/// The node that owns the database. Other nodes pass connections on to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The id of its process.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it takes connections from other nodes.
    pub address: String,
    /// The key that proves to the owner that a connection comes from a node of its fleet.
    pub token: Password,
}

/// The last result of a node that stands by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The database has this owner.
    Owned(Owner),
    /// The database may be claimed.
    Free,
}

/// Watches the owner until it is dropped.
pub struct Standby {
    sights: watch::Receiver<Sight>,
    _bridge: Bridge,
}

impl Standby {
    /// Checks once, and then repeatedly.
    ///
    /// # Errors
    /// If this node could never take over, because of the database or its owner. In one line.
    pub fn begin(address: &Address, options: &Options, member: &Arc<Member>) -> Result<Self, StoreOpenError> {
        let access = Access::new(address, options.password.as_ref(), options.authority.as_ref())?;
        let bridge = Bridge::start().map_err(|error| PostgresError::no_thread(address, error))?;
        let looking = Lookout { access, member: member.clone() };
        let looked = bridge.wait(WITHIN, async move { (looking.first().await, looking) });
        let (first, looking) = looked.ok_or_else(|| PostgresError::silent(address))?;
        let (tell, sights) = watch::channel(first?);
        bridge.spawn(looking.keep(tell));
        Ok(Self { sights, _bridge: bridge })
    }

    /// The result of the checks, as it changes.
    pub fn sights(&self) -> watch::Receiver<Sight> {
        self.sights.clone()
    }
}

struct Lookout {
    access: Access,
    member: Arc<Member>,
}

impl Lookout {
    async fn first(&self) -> Result<Sight, PostgresError> {
        let (client, _) = self.access.connect().await?;
        if !self.join(&client).await? {
            return Ok(Sight::Free);
        }
        self.look(&client).await
    }

    /// Reports this node to the others. False if the database is empty.
    async fn join(&self, client: &Client) -> Result<bool, PostgresError> {
        let address = &self.access.address;
        match schema::look(address, client).await? {
            SchemaFound::Nothing => return Ok(false),
            SchemaFound::Store { complete: false, .. } => {
                return Err(PostgresError::HalfCopied { address: address.clone() });
            }
            SchemaFound::Store { complete: true, .. } => {}
        }
        join(client, &self.member).await.map(|()| true).map_err(failed(address, "note that this node stands by"))
    }

    /// # Errors
    /// If the owner is not a member of this fleet.
    async fn look(&self, client: &Client) -> Result<Sight, PostgresError> {
        let address = &self.access.address;
        let seen = client.query_one(OWNER, &[]).await.map_err(failed(address, "say who owns it"))?;
        let (Some(id), Some(false)) = (seen.get::<_, Option<String>>(0), seen.get(6)) else { return Ok(Sight::Free) };
        let (name, since): (String, String) = (seen.get(1), seen.get(5));
        let holder = format!("a node on {name} that started at {since}");
        let (Some(at), Some(token), Some(likeness)) =
            (seen.get::<_, Option<String>>(2), seen.get::<_, Option<String>>(3), seen.get::<_, Option<String>>(4))
        else {
            return Err(PostgresError::OwnedAlone { address: address.clone(), holder });
        };
        if likeness != self.member.likeness {
            return Err(PostgresError::Unlike { address: address.clone(), holder });
        }
        Ok(Sight::Owned(Owner { id, name, address: at, token: token.into() }))
    }

    /// Checks until the receiver is gone. While the database is away, the last result stays.
    async fn keep(self, tell: watch::Sender<Sight>) {
        let mut told_away = false;
        while let Some(problem) = self.watch_over_one_connection(&tell, &mut told_away).await {
            let is_empty = matches!(problem, PostgresError::Absent { .. });
            if !is_empty && !std::mem::replace(&mut told_away, true) {
                tracing::warn!(%problem, "this node stands by and cannot see whether it is needed; it looks again and again");
            }
            sleep(LOOK_EVERY * 2).await;
        }
    }

    /// Returns why the connection ended. `None` if the receiver is gone.
    async fn watch_over_one_connection(
        &self,
        tell: &watch::Sender<Sight>,
        told_away: &mut bool,
    ) -> Option<PostgresError> {
        let silent = || PostgresError::silent(&self.access.address);
        let joining = async {
            let (client, _) = self.access.connect().await?;
            self.join(&client).await.map(|is_there| is_there.then_some(client))
        };
        let client = match timeout(LOOK_WITHIN, joining).await.unwrap_or_else(|_| Err(silent())) {
            Ok(Some(client)) => client,
            Ok(None) => {
                tell.send_replace(Sight::Free);
                return (!tell.is_closed()).then(|| PostgresError::Absent { address: self.access.address.clone() });
            }
            Err(problem) => return Some(problem),
        };
        let (connected, mut shown) = (Instant::now(), Instant::now());
        while !tell.is_closed() {
            let look = async {
                if shown.elapsed() >= SHOW_EVERY {
                    show(&client, &self.member)
                        .await
                        .map_err(failed(&self.access.address, "note that a node stands by"))?;
                    shown = Instant::now();
                }
                self.look(&client).await
            };
            let sight = match timeout(LOOK_WITHIN, look).await.unwrap_or_else(|_| Err(silent())) {
                Ok(Sight::Free) if connected.elapsed() < PATIENCE => tell.borrow().clone(),
                Ok(sight) => sight,
                Err(problem) => return Some(problem),
            };
            if std::mem::take(told_away) {
                tracing::info!("this node sees the database again");
            }
            tell.send_if_modified(|last| std::mem::replace(last, sight.clone()) != sight);
            sleep(LOOK_EVERY).await;
        }
        None
    }
}

/// Adds the columns of a fleet to the table of nodes, and this node to the table.
pub(super) async fn join(client: &Client, member: &Member) -> Result<(), Error> {
    schema::extend_nodes(client).await?;
    show(client, member).await
}

async fn show(client: &Client, member: &Member) -> Result<(), Error> {
    let Member { id, name, address, token, likeness, .. } = member;
    let version = env!("CARGO_PKG_VERSION");
    client.execute(SHOW, &[id, name, &version, address, &token.reveal(), likeness]).await.map(drop)
}

/// Notes since when this node owns the database, and deletes nodes that are gone.
pub(super) async fn note_owner(client: &Client, member: &Member) -> Result<(), Error> {
    client.execute("UPDATE tandem.nodes SET owns_since = now(), seen_at = now() WHERE id = $1", &[&member.id]).await?;
    let gone = format!(
        "DELETE FROM tandem.nodes WHERE id <> $1 AND coalesce(seen_at, started_at) < now() - interval '{GONE_AFTER}'"
    );
    client.execute(&gone, &[&member.id]).await.map(drop)
}

/// A node of a database.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// Where the other nodes reach it. Empty for a node without a fleet.
    pub address: String,
    /// Its version.
    pub version: String,
    /// Since when it owns the database, or stands by, in words.
    pub since: String,
    /// The epoch in which it owns the database. `None` while it stands by.
    pub epoch: Option<i64>,
    /// Seconds until its lease is over, negative after that. `None` while it stands by.
    pub lease: Option<f64>,
    /// Seconds since it reported itself, if it stands by.
    pub seen: Option<f64>,
}

/// Reads the owner of a database, and the nodes that stand by.
///
/// # Errors
/// In one line.
pub fn fleet_nodes(address: &Address, options: &Options) -> Result<Vec<NodeSeen>, StoreOpenError> {
    let access = Access::new(address, options.password.as_ref(), options.authority.as_ref())?;
    let bridge = Bridge::start().map_err(|error| PostgresError::no_thread(address, error))?;
    let listed = bridge.wait(WITHIN, async move {
        let (client, _) = access.connect().await?;
        let address = &access.address;
        if schema::look(address, &client).await? == SchemaFound::Nothing {
            return Err(PostgresError::Absent { address: address.clone() });
        }
        let listing = failed(address, "list its nodes");
        if !schema::knows_fleets(&client).await.map_err(&listing)? {
            return Err(PostgresError::NoFleet { address: address.clone() });
        }
        let nodes = format!(
            "SELECT n.name, coalesce(n.address, ''), n.version,
                    to_char(CASE WHEN s.id IS NULL THEN n.started_at ELSE coalesce(n.owns_since, n.started_at) END
                            AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'),
                    s.epoch, extract(epoch FROM s.lease_until - now())::float8,
                    CASE WHEN s.id IS NULL THEN extract(epoch FROM now() - n.seen_at)::float8 END
             FROM tandem.nodes n LEFT JOIN tandem.shards s ON s.owner = n.id
             WHERE s.id IS NOT NULL OR n.seen_at > now() - interval '{GONE_AFTER}' ORDER BY s.id, n.name, n.started_at"
        );
        let rows = client.query(&nodes, &[]).await.map_err(&listing)?;
        let node = |row: &tokio_postgres::Row| NodeSeen {
            name: row.get(0),
            address: row.get(1),
            version: row.get(2),
            since: row.get(3),
            epoch: row.get(4),
            lease: row.get(5),
            seen: row.get(6),
        };
        Ok(rows.iter().map(node).collect())
    });
    Ok(listed.ok_or_else(|| PostgresError::silent(address))??)
}
