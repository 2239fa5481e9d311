//! Writes groups, one after the other, also across lost connections. If the answer to a group was lost, the writer
//! looks up whether the group was written. So each group is written once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tandem_actors::ports::StoreError;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Statement};

use super::{
    bridge::Bridge,
    connection::{Access, RETRY},
    error::{is_transient, reason_of},
    group::Group,
    owner::{self, Held, ThisNode},
    sabotage::Sabotage,
};

/// The connection counts as lost if the database does not answer for this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How many numbers of groups are kept, and how many are removed at once.
const NUMBERS_KEPT: i64 = 1_000;

/// The statement of a group, which is a transaction of its own in one round trip. It locks the shard if this node owns
/// it in this epoch, and only then writes.
const WRITE: &str = "
    WITH held AS MATERIALIZED (
        SELECT id FROM tandem.shards WHERE id = 0 AND owner = $1 AND epoch = $2 FOR SHARE),
    deleted AS (DELETE FROM tandem.rows WHERE key = ANY ($3) AND EXISTS (SELECT FROM held)),
    put AS (
        INSERT INTO tandem.rows (key, value) SELECT * FROM unnest($4::bytea[], $5::bytea[]) WHERE EXISTS (SELECT FROM held)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value),
    noted AS (INSERT INTO tandem.groups (number) SELECT $6 FROM held)
    SELECT count(*) FROM held";

const RENEW: &str = "
    UPDATE tandem.shards SET lease_until = now() + make_interval(secs => $3) WHERE owner = $1 AND epoch = $2
    RETURNING current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'";

/// A connection that owns the shards.
#[derive(Clone)]
struct Link {
    client: Arc<Client>,
    connection: AbortHandle,
    write: Statement,
    epoch: i64,
}

/// The outcome of an attempt.
enum TryOutcome<T> {
    Done(T),
    /// Another epoch is current: the shards were claimed again.
    NotHeld,
    /// The outcome is unknown, or nothing was written. It is tried again on a new connection.
    Lost(String),
    /// Another attempt would fail, too.
    Failed(String),
}

/// An outage: the database cannot be written to.
struct Away {
    since: Instant,
    reason: String,
    failures: u32,
}

impl<T> TryOutcome<T> {
    fn failed(error: &tokio_postgres::Error) -> Self {
        if error.as_db_error().is_some() && !is_transient(error) {
            return Self::Failed(reason_of(error));
        }
        Self::Lost(reason_of(error))
    }

    fn silent() -> Self {
        Self::Lost("it does not answer".into())
    }
}

pub(super) struct Writer {
    access: Access,
    bridge: Arc<Bridge>,
    node: ThisNode,
    link: Option<Link>,
    /// The last group that is known to be written.
    number: i64,
    renewed: Instant,
    away: Option<Away>,
    closing: Arc<AtomicBool>,
    sabotage: Sabotage,
}

impl Writer {
    /// The writer for the connection that has claimed the shards.
    pub async fn new(
        access: Access,
        bridge: Arc<Bridge>,
        node: ThisNode,
        (client, connection): (Arc<Client>, AbortHandle),
        Held { epoch, last }: Held,
        closing: Arc<AtomicBool>,
    ) -> Result<Self, tokio_postgres::Error> {
        let sabotage = Sabotage::of_this_process();
        let write = client.prepare(&sabotage.statement(WRITE)).await?;
        let link = Some(Link { client, connection, write, epoch });
        let renewed = Instant::now();
        Ok(Self { access, bridge, node, link, number: last, renewed, away: None, closing, sabotage })
    }

    /// The last group that is written.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Writes a group and returns when it is durable.
    ///
    /// # Errors
    /// If this node is no longer the owner, the database has lost groups, or another attempt would fail, too.
    pub fn write(&mut self, group: Group) -> Result<(), StoreError> {
        // Renewed before the group is written: a durable group is acknowledged, whatever happens afterwards.
        self.renew_if_due()?;
        let (group, number) = (Arc::new(group), self.number + 1);
        while self.number < number {
            let Some(link) = self.held_link()? else { continue };
            if self.number == number {
                break;
            }
            let started = Instant::now();
            match self.try_write(&link, &group, number) {
                TryOutcome::Done(()) => {
                    metrics::histogram!("tandem_journal_sync_seconds").record(started.elapsed());
                    self.number = number;
                    self.forget_numbers(&link);
                }
                tried => self.recover(tried)?,
            }
        }
        Ok(())
    }

    /// Renews the lease if it is due. Also checks whether the server's settings still make commits durable.
    pub fn renew_if_due(&mut self) -> Result<(), StoreError> {
        while self.renewed.elapsed() >= self.node.renew_every() {
            let Some(link) = self.held_link()? else { continue };
            match self.try_renew(&link) {
                TryOutcome::Done(()) => self.renewed = Instant::now(),
                tried => self.recover(tried)?,
            }
        }
        Ok(())
    }

    fn try_write(&self, link: &Link, group: &Arc<Group>, number: i64) -> TryOutcome<()> {
        let (Link { client, write, epoch, .. }, group, node) = (link.clone(), group.clone(), self.node.id.clone());
        let work = async move {
            let (deleted, keys, values) = (group.deleted(), group.keys(), group.values());
            client.query_one(&write, &[&node, &epoch, &deleted, &keys, &values, &number]).await
        };
        if let Some(delay) = self.sabotage.delay() {
            self.bridge.spawn(async move {
                tokio::time::sleep(delay).await;
                drop(work.await);
            });
            return TryOutcome::Done(());
        }
        match self.bridge.wait(ANSWER_WITHIN, work) {
            Some(Ok(row)) if row.get::<_, i64>(0) == 1 => TryOutcome::Done(()),
            Some(Ok(_)) => TryOutcome::NotHeld,
            Some(Err(error)) => TryOutcome::failed(&error),
            None => TryOutcome::silent(),
        }
    }

    fn try_renew(&self, link: &Link) -> TryOutcome<()> {
        let (Link { client, epoch, .. }, node) = (link.clone(), self.node.id.clone());
        let (sent, lease) = (Instant::now(), self.node.lease().as_secs_f64());
        let work = async move { client.query_opt(RENEW, &[&node, &epoch, &lease]).await };
        match self.bridge.wait(ANSWER_WITHIN, work) {
            Some(Ok(Some(row))) if row.get(0) => {
                self.node.holds_since(sent);
                TryOutcome::Done(())
            }
            Some(Ok(Some(_))) => {
                TryOutcome::Lost("fsync or full_page_writes was switched off while it ran: switch it on again".into())
            }
            Some(Ok(None)) if self.sabotage.is_unfenced() => {
                self.node.holds_since(sent);
                TryOutcome::Done(())
            }
            Some(Ok(None)) => TryOutcome::NotHeld,
            Some(Err(error)) => TryOutcome::failed(&error),
            None => TryOutcome::silent(),
        }
    }

    fn recover(&mut self, tried: TryOutcome<()>) -> Result<(), StoreError> {
        match tried {
            TryOutcome::Done(()) => Ok(()),
            TryOutcome::NotHeld => {
                self.drop_link();
                Ok(())
            }
            TryOutcome::Lost(reason) => self.pause(reason),
            TryOutcome::Failed(reason) => Err(StoreError::new(format_args!("PostgreSQL refused to write: {reason}"))
                .advising("see to the database, then start again: everything that was answered is there")),
        }
    }

    /// A connection on which this node owns the shards. `None` after a pause, if there is none.
    fn held_link(&mut self) -> Result<Option<Link>, StoreError> {
        if let Some(link) = &self.link {
            return Ok(Some(link.clone()));
        }
        let (access, node, statement) = (self.access.clone(), self.node.clone(), self.sabotage.statement(WRITE));
        let work = async move {
            let (client, connection) = access.connect().await.map_err(|error| TryOutcome::Lost(error.to_string()))?;
            let failed = |error| TryOutcome::failed(&error);
            let write = client.prepare(&statement).await.map_err(failed)?;
            let held = owner::hold_on(&client, &node).await.map_err(failed)?;
            Ok((client, connection.abort_handle(), write, held))
        };
        match self.bridge.wait(ANSWER_WITHIN, work) {
            Some(Ok((client, connection, write, Some(held)))) => {
                self.is_back(held)?;
                self.link = Some(Link { client, connection, write, epoch: held.epoch });
                Ok(self.link.clone())
            }
            Some(Ok((.., None))) => Err(self.node.is_replaced()),
            Some(Err(lost)) => self.recover(lost).map(|()| None),
            None => self.pause("it does not answer".into()).map(|()| None),
        }
    }

    fn is_back(&mut self, Held { last, .. }: Held) -> Result<(), StoreError> {
        if last < self.number {
            let missing = self.number - last;
            return Err(StoreError::new(format_args!(
                "the database has fallen back: the last {missing} groups that were acknowledged are not there, as after a failover to a \
                 server that was behind"
            ))
            .advising("bring it up to date before this node starts again"));
        }
        // The group whose answer was lost may be among them.
        self.number = last;
        self.renewed = Instant::now();
        metrics::counter!("tandem_postgres_reconnects_total").increment(1);
        if let Some(Away { since, .. }) = self.away.take() {
            tracing::info!(seconds = since.elapsed().as_secs(), "PostgreSQL answers again");
        }
        Ok(())
    }

    /// Waits before the next attempt. Logs the reason once.
    fn pause(&mut self, reason: String) -> Result<(), StoreError> {
        self.drop_link();
        if self.closing.load(Ordering::Acquire) {
            return Err(StoreError::stopping(format_args!("PostgreSQL was away when the node stopped: {reason}")));
        }
        let away =
            self.away.take().unwrap_or_else(|| Away { since: Instant::now(), reason: String::new(), failures: 0 });
        if away.reason != reason {
            tracing::error!(%reason, "PostgreSQL cannot be written to: nothing is acknowledged until it can");
        }
        let failures = away.failures + 1;
        self.away = Some(Away { reason, failures, ..away });
        std::thread::sleep(RETRY.upper_half(failures));
        Ok(())
    }

    fn drop_link(&mut self) {
        if let Some(link) = self.link.take() {
            link.connection.abort();
        }
    }

    /// Deletes numbers of groups that are no longer needed.
    fn forget_numbers(&self, link: &Link) {
        if self.number % NUMBERS_KEPT != 0 {
            return;
        }
        let (client, upto) = (link.client.clone(), self.number - NUMBERS_KEPT);
        self.bridge.spawn(async move {
            let range = "DELETE FROM tandem.groups WHERE number <= $1 AND number > $2";
            // The next start removes the remaining ones.
            let _removed = client.execute(range, &[&upto, &(upto - 2 * NUMBERS_KEPT)]).await;
        });
    }

    /// Releases the shards, so that the next node can start at once.
    pub fn release(&mut self) {
        let Some(link) = self.link.take() else { return };
        let node = self.node.clone();
        let released = self.bridge.wait(ANSWER_WITHIN, async move { owner::release(&link.client, &node).await });
        if !matches!(released, Some(Ok(()))) {
            tracing::warn!("the database could not be released; the next node waits until the lease is over");
        }
    }
}
