//! What waits to be pushed, and which devices are lost, for the operator. It holds no push token and no text.

use std::collections::HashSet;

use tandem_actors::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    keys,
    ports::{Direction, Store, StoreError},
    records::{self, PushJob},
};

use super::{
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
    /// When it is looked at next.
    pub due: Option<Timestamp>,
    pub why: String,
}

/// What waits. Each list holds those that are due first, and the number is that of all, up to [`MOST`].
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
    /// There are more users than were looked at.
    pub is_partial: bool,
}

/// Rows that are counted.
pub const MOST: usize = 10_000;
/// Rows that are shown of each kind.
const SHOWN: usize = 50;

impl PushOverview {
    /// Reads what waits.
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
        for (key, row) in jobs.iter().take(SHOWN) {
            overview.jobs.push(job(store, records::decode(row)?, rows::time_in(key, &keys::push_jobs()))?);
        }
        for (key, row) in retries.iter().take(SHOWN) {
            let Address { id, device } = records::decode(row)?;
            let delivery = store.get(&rows::delivery(&id, &device))?;
            let delivery: Option<Delivery> = delivery.map(|row| records::decode(&row)).transpose()?;
            let due = rows::time_in(key, &rows::all_waiting());
            let since = delivery.as_ref().and_then(|one| Some(one.attempts.first()?.started_at)).or(due);
            let attempts = delivery.map_or(0, |one| one.tally.attempts);
            let why = format!("is tried again after {attempts} attempts");
            overview.retries.push(waiting(id, since, due, why));
        }
        for (key, row) in receipts.iter().take(SHOWN) {
            let ReceiptDue { address, sent_at, asked, .. } = records::decode(row)?;
            let why = format!("asked for {asked} times");
            overview.receipts.push(waiting(address.id, Some(sent_at), rows::time_in(key, &rows::receipts()), why));
        }
        Ok(overview)
    }
}

fn job(store: &dyn Store, job: PushJob, due: Option<Timestamp>) -> Result<WaitingPush, StoreError> {
    let id = PushId::of(&job);
    let record: Option<PushRecord> = store.get(&rows::record(&id))?.map(|row| records::decode(&row)).transpose()?;
    let why = match record.map(|record| record.decision) {
        Some(Decision::Held { why, .. }) => format!("held: {why}"),
        Some(_) | None => "waits for its turn".to_owned(),
    };
    Ok(waiting(id, Some(job.created_at), due, why))
}

fn waiting(id: PushId, since: Option<Timestamp>, due: Option<Timestamp>, why: String) -> WaitingPush {
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
            let (Some(user), reach) = (rows::user_of(key), records::decode::<Reach>(row)?) else { continue };
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
