//! The quotas of one user, over all connections and requests. The client id of a token identifies the user. A client
//! with a key, or with a token without a client id, is a server and has only the limits of a connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use parking_lot::Mutex;
use tandem_intake::Bucket;

use super::LimitsConfig;
use crate::{
    auth::{AuthMethod, ClientId, Grant},
    protocol::ErrorInfo,
};

/// The largest number of unused connections without a socket, for one user and for all servers together.
const MAX_UNUSED: usize = 16;
const MAX_UNUSED_OF_SERVERS: usize = 4_096;

#[derive(Debug)]
pub struct Account {
    sockets: AtomicUsize,
    quotas: Mutex<Quotas>,
    unused: Mutex<VecDeque<Arc<str>>>,
}

#[derive(Debug)]
struct Quotas {
    connects: Bucket,
    work: Bucket,
    bytes: Bucket,
    stored: Bucket,
}

impl Account {
    fn new(config: &LimitsConfig, history: Duration) -> Self {
        let now = Instant::now();
        let quotas = Quotas {
            connects: Bucket::new(config.connects_per_user, config.connects_per_user.saturating_mul(10), now),
            work: Bucket::new(config.frame_rate, config.frame_rate.saturating_mul(2), now),
            bytes: Bucket::new(config.inbound_bytes, config.inbound_bytes.saturating_mul(2), now),
            stored: stored(config.stored_bytes_per_user, history),
        };
        Self { sockets: AtomicUsize::new(0), quotas: Mutex::new(quotas), unused: Mutex::default() }
    }

    /// Takes a slot for one more socket.
    ///
    /// # Errors
    /// 42910
    pub fn take_slot(self: &Arc<Self>, config: &LimitsConfig) -> Result<SocketSlot, ErrorInfo> {
        if !self.quotas.lock().connects.take(1, Instant::now()) {
            return Err(refused(
                "connects",
                "this client opens connections too fast; try again in a moment".to_owned(),
            ));
        }
        let slot = SocketSlot(self.clone());
        if self.sockets.fetch_add(1, Ordering::Relaxed) >= config.connections_per_user {
            let most = config.connections_per_user;
            return Err(refused(
                "sockets",
                format!("this client has {most} connections, which is the most it may have"),
            ));
        }
        Ok(slot)
    }

    /// Charges work, and returns how long the client has to wait.
    pub fn spend(&self, units: u64, now: Instant) -> Duration {
        self.quotas.lock().work.owe(units, now)
    }

    /// Charges published bytes.
    ///
    /// # Errors
    /// 42910
    pub fn publish(&self, bytes: usize, config: &LimitsConfig) -> Result<(), ErrorInfo> {
        if self.quotas.lock().bytes.take(bytes as u64, Instant::now()) {
            return Ok(());
        }
        Err(refused("bytes", format!("this client publishes more than {} bytes per second", config.inbound_bytes)))
    }

    /// Adds an unused connection that lost its socket. Returns the connection that must be forgotten for it.
    fn add_unused(&self, connection_id: Arc<str>, most: usize) -> Option<Arc<str>> {
        let mut unused = self.unused.lock();
        unused.push_back(connection_id);
        if unused.len() > most { unused.pop_front() } else { None }
    }

    fn is_unused(&self, now: Instant) -> bool {
        let quotas = &mut *self.quotas.lock();
        self.sockets.load(Ordering::Relaxed) == 0
            && quotas.connects.is_full(now)
            && quotas.work.is_full(now)
            && quotas.bytes.is_full(now)
            && quotas.stored.is_full(now)
    }
}

/// A user's slot for one socket. Dropping it frees the slot.
#[derive(Debug)]
pub struct SocketSlot(Arc<Account>);

impl Drop for SocketSlot {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The accounts of one app.
#[derive(Debug)]
pub struct Accounts {
    config: LimitsConfig,
    history: Duration,
    users: DashMap<Arc<str>, Arc<Account>>,
    servers: Account,
    stored: Mutex<Bucket>,
}

impl Accounts {
    pub fn new(config: &LimitsConfig, history: Duration) -> Self {
        Self {
            config: config.clone(),
            history,
            users: DashMap::new(),
            servers: Account::new(config, history),
            stored: Mutex::new(stored(config.stored_bytes, history)),
        }
    }

    /// The account for these credentials. None for servers.
    pub fn of(&self, grant: &Grant, client_id: &ClientId) -> Option<Arc<Account>> {
        if grant.auth_method == AuthMethod::Key { None } else { self.of_user(client_id.concrete()?) }
    }

    fn of_user(&self, id: &Arc<str>) -> Option<Arc<Account>> {
        if let Some(account) = self.users.get(id) {
            return Some(account.value().clone());
        }
        let fresh = || Arc::new(Account::new(&self.config, self.history));
        Some(self.users.entry(id.clone()).or_insert_with(fresh).value().clone())
    }

    /// Charges stored bytes.
    ///
    /// # Errors
    /// 42910
    pub fn store(&self, account: Option<&Account>, bytes: usize) -> Result<(), ErrorInfo> {
        let (bytes, now) = (bytes as u64, Instant::now());
        if account.is_some_and(|account| !account.quotas.lock().stored.take(bytes, now)) {
            return Err(refused("stored", "this client has used up its storage on persisted channels".to_owned()));
        }
        if !self.stored.lock().take(bytes, now) {
            return Err(refused("stored", "the storage of persisted channels for all clients is used up".to_owned()));
        }
        Ok(())
    }

    /// Adds an unused connection that lost its socket. Returns the connection that must be forgotten for it.
    pub fn add_unused(&self, account: Option<&Account>, connection_id: Arc<str>) -> Option<Arc<str>> {
        match account {
            Some(account) => account.add_unused(connection_id, MAX_UNUSED),
            None => self.servers.add_unused(connection_id, MAX_UNUSED_OF_SERVERS),
        }
    }

    /// Drops accounts that equal fresh ones.
    pub fn prune(&self) {
        let now = Instant::now();
        self.users.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_unused(now));
    }
}

/// Allows all bytes at once, and the same amount again within the time for which they are kept.
fn stored(bytes: u64, history: Duration) -> Bucket {
    Bucket::new((bytes / history.as_secs().max(1)).max(1), bytes, Instant::now())
}

fn refused(reason: &'static str, message: String) -> ErrorInfo {
    metrics::counter!("tandem_realtime_refused_total", "reason" => reason).increment(1);
    ErrorInfo::rate_exceeded(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_users_sockets_are_limited_in_number_and_rate() {
        let config = LimitsConfig { connections_per_user: 2, connects_per_user: 1, ..LimitsConfig::default() };
        let accounts = Accounts::new(&config, DAY);
        let anna = accounts.of_user(&"anna".into()).unwrap();
        let (one, _two) = (anna.take_slot(&config).unwrap(), anna.take_slot(&config).unwrap());
        assert_eq!(anna.take_slot(&config).unwrap_err().code, 42910);
        drop(one);
        assert!((0..7).all(|_| anna.take_slot(&config).is_ok()), "as long as one goes before the next comes");
        assert!(anna.take_slot(&config).unwrap_err().message.contains("too fast"));
        assert!(accounts.of_user(&"ben".into()).unwrap().take_slot(&config).is_ok());
    }

    #[test]
    fn a_user_stores_at_most_their_share() {
        let config = LimitsConfig { stored_bytes_per_user: 1_000, stored_bytes: 1_500, ..LimitsConfig::default() };
        let accounts = Accounts::new(&config, DAY);
        let (anna, ben) = (accounts.of_user(&"anna".into()), accounts.of_user(&"ben".into()));
        assert!(accounts.store(anna.as_deref(), 900).is_ok());
        assert_eq!(accounts.store(anna.as_deref(), 200).unwrap_err().code, 42910);
        assert!(accounts.store(ben.as_deref(), 500).is_ok());
        assert!(accounts.store(ben.as_deref(), 400).is_err() && accounts.store(None, 400).is_err(), "of all together");
    }

    #[test]
    fn only_the_newest_unused_connections_are_remembered() {
        let accounts = Accounts::new(&LimitsConfig::default(), DAY);
        let anna = accounts.of_user(&"anna".into());
        let forgotten: Vec<_> =
            (0..20).filter_map(|n| accounts.add_unused(anna.as_deref(), n.to_string().into())).collect();
        assert_eq!(forgotten.iter().map(|id| &**id).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }

    #[test]
    fn unused_accounts_are_forgotten() {
        let accounts = Accounts::new(&LimitsConfig::default(), DAY);
        let anna = accounts.of_user(&"anna".into()).unwrap();
        accounts.prune();
        assert_eq!(accounts.users.len(), 1);
        drop(anna);
        accounts.prune();
        assert!(accounts.users.is_empty());
    }
}
