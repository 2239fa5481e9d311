//! Reads the due rows in bounded pages, and groups the jobs of one user and session.

use std::collections::HashMap;

use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    keys::{self, Key},
    ports::{Direction, StoreError},
    records::{self, PushJob},
};

use super::{
    candidate::Plan,
    rows::{self, Address},
    sender::Sender,
};

/// Rows read at once.
const PAGE: usize = 500;

/// A page of due rows that no batch has claimed.
struct Due {
    rows: Vec<(Key, bytes::Bytes)>,
    next_due: Option<Timestamp>,
}

impl Sender {
    /// Plans the due rows: up to `room` recipients, and at least one push if one is due.
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
