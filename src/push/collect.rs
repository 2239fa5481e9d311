//! What is due: reads due rows in bounded pages and joins the pushes of one user and session.

use std::collections::HashMap;

use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    keys::{self, Key},
    ports::{Change, Direction, StoreError},
    records::{self, PushJob},
};

use super::{
    dispatcher::Sender,
    reach::Device,
    rows::{self, Address, Delivery, PushId, PushRecord},
};

/// Rows read at once.
const PAGE: usize = 500;

/// A push that may be sent, once the session agrees.
pub struct Candidate {
    pub id: PushId,
    pub event: String,
    pub expires_at: Timestamp,
    /// The rows it was made of, which nobody else takes meanwhile.
    pub claimed: Vec<Key>,
    /// Written together with the start of the attempt.
    pub on_start: Vec<Change>,
    /// Written as well if it is sent.
    pub on_send: Vec<Change>,
    pub origin: Origin,
    pub sends: Vec<(Delivery, Device)>,
}

pub enum Origin {
    /// The newest of these jobs; the others are closed by `on_start`.
    Jobs {
        newest: Key,
        job: PushJob,
        record: Box<PushRecord>,
        record_is_new: bool,
    },
    Retry {
        row: Key,
    },
}

#[derive(Default)]
pub struct Plan {
    pub candidates: Vec<Candidate>,
    /// Decided without anything to send.
    pub closures: Vec<Change>,
    pub closed: Vec<Key>,
    /// When the first row that is not due yet will be.
    pub next_due: Option<Timestamp>,
}

impl Plan {
    pub fn recipients(&self) -> usize {
        self.candidates.iter().map(|candidate| candidate.sends.len()).sum()
    }

    pub fn wait_until(&mut self, at: Timestamp) {
        self.next_due = Some(self.next_due.map_or(at, |due| due.min(at)));
    }
}

/// A page of rows that are due and nobody's.
struct Due {
    rows: Vec<(Key, bytes::Bytes)>,
    next_due: Option<Timestamp>,
}

impl Sender {
    /// Up to `room` recipients, and at least one push if there is one.
    pub(super) fn collect(&self, room: usize, now: Timestamp) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        let jobs = self.due(&keys::push_jobs(), now)?;
        let mut groups: Vec<Vec<(Key, PushJob)>> = Vec::new();
        let mut places: HashMap<(SessionId, UserId), usize> = HashMap::new();
        for (row, value) in jobs.rows {
            let job: PushJob = records::decode(&value)?;
            let place = *places.entry((job.session.clone(), job.user.clone())).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push((row, job));
        }
        let retries = self.due(&rows::all_waiting(), now)?;
        for (row, value) in retries.rows {
            if plan.recipients() >= room {
                return Ok(plan);
            }
            let address: Address = records::decode(&value)?;
            let place = places.get(&(address.id.session.clone(), address.id.user.clone()));
            let jobs = place.map(|place| groups[*place].as_slice()).unwrap_or_default();
            let newest_job = jobs.iter().map(|(_, job)| job.seq).max();
            self.plan_retry(&mut plan, row, &address, newest_job, now)?;
        }
        for group in groups {
            if plan.recipients() >= room {
                return Ok(plan);
            }
            self.plan_jobs(&mut plan, group, room, now)?;
        }
        [retries.next_due, jobs.next_due].into_iter().flatten().for_each(|at| plan.wait_until(at));
        Ok(plan)
    }

    fn due(&self, prefix: &Key, now: Timestamp) -> Result<Due, StoreError> {
        let claimed = self.claimed.lock();
        let page = self.store.scan(prefix, None, Direction::Forward, PAGE + claimed.len())?;
        let mut due = Due { rows: Vec::new(), next_due: None };
        for (key, value) in page {
            let at = rows::time_in(&key, prefix).unwrap_or(now);
            if at > now {
                due.next_due = Some(at);
                break;
            }
            if !claimed.contains(&key) {
                due.rows.push((key, value));
            }
        }
        Ok(due)
    }
}
