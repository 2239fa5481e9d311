//! Waiting pushes and lost devices, for the operator. It contains no push token and no text.

use std::collections::HashSet;

use bytes::Bytes;
use tandem_actors::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    keys::{self, Key},
    ports::{Direction, Store, StoreError},
    records::{self, PushJob},
};

use super::{
    outcome::Outcome,
    reach::{DeviceState, Reach},
    rows::{self, Address, Decision, Delivery, PushId, PushRecord, ReceiptDue},
};

/// A push that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingPush {
    pub session: SessionId,
    pub user: UserId,
    pub seq: Seq,
    /// When it was decided, or tried first.
    pub since: Timestamp,
    /// When it is due.
    pub due: Option<Timestamp>,
    pub why: Why,
}

/// Why a push waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is due, or becomes so soon.
    Turn,
    /// It is held for this reason.
    Held(String),
    /// The number of attempts, and the outcome of the last one.
    Retry { attempts: u32, last: Option<Outcome> },
    /// How often Expo was asked for its receipt.
    Receipt { asked: u32 },
}

/// Waiting pushes. Each list has those that are due first, and the number of all, up to [`MOST`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushOverview {
    /// Pushes that have not been sent.
    pub jobs: Vec<WaitingPush>,
    pub jobs_in_all: usize,
    /// Deliveries that are tried again.
    pub retries: Vec<WaitingPush>,
    pub retries_in_all: usize,
    /// Receipts that Expo is asked for.
    pub receipts: Vec<WaitingPush>,
    pub receipts_in_all: usize,
    /// Unreadable rows before or among the listed ones.
    pub unreadable: usize,
}

/// A device that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDevice {
    pub user: UserId,
    /// Shortened.
    pub token: String,
    pub registered_at: Timestamp,
    /// When it was retired, or until when it is quarantined.
    pub at: Timestamp,
}

/// The devices of all users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicesOverview {
    pub users: usize,
    pub devices: usize,
    /// Expo says that the app is not installed any more.
    pub retired: Vec<LostDevice>,
    /// Expo said so of suspiciously many at once.
    pub quarantined: Vec<LostDevice>,
    /// There are more users than were read.
    pub is_partial: bool,
    /// Users whose devices cannot be read.
    pub unreadable: usize,
}

/// Rows that are counted.
pub const MOST: usize = 10_000;
/// Rows that are shown of each kind.
const SHOWN: usize = 50;

impl PushOverview {
    /// Reads the waiting pushes.
    ///
    /// # Errors
    /// If the store fails.
    pub fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let jobs = store.scan(&keys::push_jobs(), None, Direction::Forward, MOST)?;
        let retries = store.scan(&rows::all_waiting(), None, Direction::Forward, MOST)?;
        let receipts = store.scan(&rows::receipts(), None, Direction::Forward, MOST)?;
        let mut overview = Self {
            jobs_in_all: jobs.len(),
            retries_in_all: retries.len(),
            receipts_in_all: receipts.len(),
            ..Self::default()
        };
        overview.jobs = overview.first(&jobs, |key, row| job(store, row, rows::time_in(key, &keys::push_jobs())));
        overview.retries = overview.first(&retries, |key, row| retry(store, key, row));
        overview.receipts = overview.first(&receipts, receipt);
        Ok(overview)
    }

    /// The first rows that can be read, and counts those that cannot.
    fn first(
        &mut self,
        rows: &[(Key, Bytes)],
        read: impl Fn(&Key, &[u8]) -> Result<WaitingPush, StoreError>,
    ) -> Vec<WaitingPush> {
        let mut shown = Vec::new();
        for (key, row) in rows {
            match read(key, row) {
                Ok(push) => shown.push(push),
                Err(_) => self.unreadable += 1,
            }
            if shown.len() == SHOWN {
                break;
            }
        }
        shown
    }
}

fn job(store: &dyn Store, row: &[u8], due: Option<Timestamp>) -> Result<WaitingPush, StoreError> {
    let job: PushJob = records::decode(row)?;
    let id = PushId::of(&job);
    let record: Option<PushRecord> = store.get(&rows::record(&id))?.map(|row| records::decode(&row)).transpose()?;
    let why = match record.map(|record| record.decision) {
        Some(Decision::Held { why, .. }) => Why::Held(why),
        Some(_) | None => Why::Turn,
    };
    Ok(waiting(id, Some(job.created_at), due, why))
}

fn retry(store: &dyn Store, key: &Key, row: &[u8]) -> Result<WaitingPush, StoreError> {
    let Address { id, device } = records::decode(row)?;
    let delivery = store.get(&rows::delivery(&id, &device))?;
    let delivery: Option<Delivery> = delivery.map(|row| records::decode(&row)).transpose()?;
    let due = rows::time_in(key, &rows::all_waiting());
    let since = delivery.as_ref().and_then(|one| Some(one.attempts.first()?.started_at)).or(due);
    let attempts = delivery.as_ref().map_or(0, |one| one.tally.attempts);
    let last = delivery.and_then(|one| one.attempts.into_iter().next_back()?.outcome);
    Ok(waiting(id, since, due, Why::Retry { attempts, last }))
}

fn receipt(key: &Key, row: &[u8]) -> Result<WaitingPush, StoreError> {
    let ReceiptDue { address, sent_at, asked, .. } = records::decode(row)?;
    let due = rows::time_in(key, &rows::receipts());
    Ok(waiting(address.id, Some(sent_at), due, Why::Receipt { asked }))
}

fn waiting(id: PushId, since: Option<Timestamp>, due: Option<Timestamp>, why: Why) -> WaitingPush {
    let PushId { session, user, seq } = id;
    WaitingPush { session, user, seq, since: since.unwrap_or_default(), due, why }
}

impl DevicesOverview {
    /// Reads the devices of all users, up to [`MOST`] users.
    ///
    /// # Errors
    /// If the store fails.
    pub fn read(store: &dyn Store, now: Timestamp) -> Result<Self, StoreError> {
        let users = store.scan(&rows::all_devices(), None, Direction::Forward, MOST)?;
        let mut overview = Self { users: users.len(), is_partial: users.len() >= MOST, ..Self::default() };
        let mut tokens = HashSet::new();
        for (key, row) in &users {
            let (Some(user), Ok(reach)) = (rows::user_of(key), records::decode::<Reach>(row)) else {
                overview.unreadable += 1;
                continue;
            };
            for device in reach.devices {
                overview.devices += usize::from(tokens.insert(device.id()));
                let lost = |at| LostDevice {
                    user: user.clone(),
                    token: device.token.shortened(),
                    registered_at: device.registered_at,
                    at,
                };
                match device.state {
                    DeviceState::Retired { at } => overview.retired.push(lost(at)),
                    DeviceState::Quarantined { until } if until > now => overview.quarantined.push(lost(until)),
                    DeviceState::Quarantined { .. } | DeviceState::Active => {}
                }
            }
        }
        overview.retired.sort_by_key(|device| std::cmp::Reverse(device.at));
        Ok(overview)
    }
}

#[cfg(test)]
mod tests {
    use tandem_actors::ports::{Change, Commit};
    use tandem_testing::MemoryStore;

    use super::*;

    fn waiting_job(at: i64, user: &str) -> Change {
        let (session, user) = ("cabcdefghijklmnopqrstuvwx".parse().unwrap(), user.parse::<UserId>().unwrap());
        let at = Timestamp::from_millis(at);
        let key = keys::push_job(at, &session, &user, 1);
        let job = PushJob { session, user, seq: 1, event: "e".into(), reason: "r".into(), created_at: at };
        Change::Put(key, records::encode(&job))
    }

    /// A row that a later version or a bug may have written.
    fn broken(mut change: Change) -> Change {
        if let Change::Put(_, row) = &mut change {
            *row = Bytes::from_static(b"\xc1");
        }
        change
    }

    #[test]
    fn rows_that_cannot_be_read_are_counted_and_the_others_are_shown() {
        let store = MemoryStore::default();
        let broken_devices = Change::Put(rows::devices(&"user_x".parse().unwrap()), Bytes::from_static(b"\xc1"));
        let changes = vec![broken(waiting_job(1, "user_a")), waiting_job(2, "user_b"), broken_devices];
        store.commit(&[Commit { fence: None, changes }]).unwrap();
        let overview = PushOverview::read(&store).unwrap();
        assert_eq!((overview.unreadable, overview.jobs_in_all), (1, 2));
        let shown: Vec<_> = overview.jobs.iter().map(|push| push.user.as_str()).collect();
        assert_eq!(shown, ["user_b"]);
        let devices = DevicesOverview::read(&store, Timestamp::from_millis(3)).unwrap();
        assert_eq!((devices.unreadable, devices.users), (1, 1));
    }

    #[test]
    fn explaining_a_session_reads_only_its_own_jobs() {
        let store = MemoryStore::default();
        let changes = vec![broken(waiting_job(1, "user_a"))];
        store.commit(&[Commit { fence: None, changes }]).unwrap();
        let told = crate::push::explain(&store, &"cother000000000000000000".parse().unwrap(), None);
        assert_eq!(told.unwrap(), [], "another session's row is broken");
        let own = crate::push::explain(&store, &"cabcdefghijklmnopqrstuvwx".parse().unwrap(), None);
        assert!(own.is_err());
    }
}
