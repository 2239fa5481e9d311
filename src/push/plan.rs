//! Plans one due push: gathers the facts, gets the decision, and turns it into changes. Nothing is written here.

use tandem_actors::{
    domain::{ids::Seq, time::Timestamp},
    keys::{self, Key},
    ports::{Change, Direction, StoreError},
    records::{self, PushJob},
};

use super::{
    candidate::{Candidate, Origin, Plan},
    decide::{Facts, RetryDecision, decide, decide_retry},
    reach::{Device, Reach},
    rows::{self, Address, Decision, Delivery, DeliveryState, PushId, PushRecord, Tally},
    sender::Sender,
    settle::{end, wait},
};

/// How many of a session's latest records are looked through for a newer push.
const LATEST: usize = 32;

/// Jobs of one user and session. The newest one stands for all.
struct JobGroup {
    id: PushId,
    newest: Key,
    job: PushJob,
    /// All rows of the group.
    claimed: Vec<Key>,
    /// Closes the older jobs.
    closers: Vec<Change>,
    record_is_new: bool,
    expires_at: Timestamp,
}

impl Sender {
    /// Plans the jobs of one user and session. `room` is how many recipients the batch may have.
    pub(super) fn plan_jobs(
        &self,
        plan: &mut Plan,
        jobs: Vec<(Key, PushJob)>,
        room: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some((group, record)) = self.group(jobs, now)? else { return Ok(()) };
        let reach = self.devices.reach(&group.id.user)?;
        let facts = Facts { now, expires_at: group.expires_at, newer_push: self.newer_push(&group.id)?, reach: &reach };
        let too_soon = self.paces.look(&*self.store, &self.config, &group.id, now)?;
        match decide(&group.job, record.as_ref(), too_soon, &facts) {
            Some(decision @ Decision::Sent { .. }) => self.send_group(plan, group, decision, &reach, room, now),
            decision => {
                self.close_group(plan, group, decision, now);
                Ok(())
            }
        }
    }

    /// The group, and the earlier decision about its newest job. `None` without jobs.
    fn group(
        &self,
        mut jobs: Vec<(Key, PushJob)>,
        now: Timestamp,
    ) -> Result<Option<(JobGroup, Option<PushRecord>)>, StoreError> {
        jobs.sort_by_key(|(_, job)| job.seq);
        let Some((newest, job)) = jobs.pop() else { return Ok(None) };
        let id = PushId::of(&job);
        let mut claimed = vec![newest.clone()];
        let mut closers = Vec::new();
        for (row, older) in jobs {
            let older_id = PushId::of(&older);
            if older_id != id {
                let record = new_record(&older, Decision::Coalesced { into: id.seq }, now, now);
                closers.extend(self.write_record(&record, self.record(&older_id)?.is_none(), now));
            }
            closers.push(Change::Delete(row.clone()));
            claimed.push(row);
        }
        let record = self.record(&id)?;
        let job_due = rows::time_in(&newest, &keys::push_jobs()).unwrap_or(now);
        let expires_at = record.as_ref().map_or(job_due + self.config.ttl, |record| record.expires_at);
        let group = JobGroup { id, newest, job, claimed, closers, record_is_new: record.is_none(), expires_at };
        Ok(Some((group, record)))
    }

    /// Writes a decision that sends nothing now. Without a decision, only the rows are removed.
    fn close_group(&self, plan: &mut Plan, group: JobGroup, decision: Option<Decision>, now: Timestamp) {
        let JobGroup { id, newest, job, claimed, closers, record_is_new, expires_at } = group;
        plan.closures.extend(closers);
        plan.closures.push(Change::Delete(newest));
        plan.closed.extend(claimed);
        let Some(decision) = decision else { return };
        metrics::counter!("tandem_push_decisions_total", "decision" => decision.label()).increment(1);
        let again = match decision {
            Decision::Held { until, .. } => Some(until),
            _ => None,
        };
        let expires_at = again.map_or(expires_at, |until| expires_at.max(until + self.config.ttl));
        let record = new_record(&job, decision, now, expires_at);
        plan.closures.extend(self.write_record(&record, record_is_new, now));
        if let Some(until) = again {
            let later = keys::push_job(until, &id.session, &id.user, id.seq);
            plan.closures.push(Change::Put(later, records::encode(&job)));
            plan.wait_until(until);
        }
    }

    fn send_group(
        &self,
        plan: &mut Plan,
        group: JobGroup,
        decision: Decision,
        reach: &Reach,
        room: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let devices: Vec<Device> = reach.usable(now).cloned().collect();
        debug_assert!(!devices.is_empty(), "a push without usable devices is dropped");
        let fits = plan.recipients() + devices.len() <= room || plan.candidates.is_empty();
        if !fits {
            return Ok(());
        }
        let JobGroup { id, newest, job, claimed, closers, record_is_new, expires_at } = group;
        self.claimed.lock().extend(claimed.iter().cloned());
        let record = new_record(&job, decision, now, expires_at);
        let mut on_start = closers;
        on_start.extend(self.write_record(&record, record_is_new, now));
        on_start.push(Change::Delete(newest.clone()));
        let mut sends = Vec::new();
        for device in devices {
            let delivery = new_delivery(&id, &device, &job, expires_at, now);
            match self.not_before(&device, now) {
                None => sends.push((delivery, device)),
                Some(until) => on_start.extend(wait(delivery, until)),
            }
        }
        if sends.is_empty() {
            plan.closures.extend(on_start);
            plan.closed.extend(claimed);
            return Ok(());
        }
        let event = job.event.clone();
        let on_send = self.paces.begin(&*self.store, &self.config, &id, now)?;
        let origin = Origin::Jobs { newest, job, record: record.into(), record_is_new };
        plan.candidates.push(Candidate { id, event, expires_at, claimed, on_start, on_send, origin, sends });
        Ok(())
    }

    /// Plans a delivery whose retry is due. `newest_job` is the newest job of the same user and session.
    pub(super) fn plan_retry(
        &self,
        plan: &mut Plan,
        row: Key,
        address: &Address,
        newest_job: Option<Seq>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let stored = self.store.get(&rows::delivery(&address.id, &address.device))?;
        let Some(mut delivery) = stored.map(|row| records::decode::<Delivery>(&row)).transpose()? else {
            plan.close_row(row);
            return Ok(());
        };
        let reach = self.devices.reach(&address.id.user)?;
        let newer_job = newest_job.filter(|seq| *seq > address.id.seq);
        let facts = Facts {
            now,
            expires_at: delivery.expires_at,
            newer_push: newer_job.map_or_else(|| self.newer_push(&address.id), |seq| Ok(Some(seq)))?,
            reach: &reach,
        };
        match decide_retry(&delivery, &facts, |device| self.not_before(device, now)) {
            RetryDecision::Send(device) => {
                self.claimed.lock().insert(row.clone());
                plan.candidates.push(Candidate {
                    id: address.id.clone(),
                    event: delivery.event.clone(),
                    expires_at: delivery.expires_at,
                    claimed: vec![row.clone()],
                    on_start: vec![Change::Delete(row.clone())],
                    on_send: Vec::new(),
                    origin: Origin::Retry { row },
                    sends: vec![(delivery, device)],
                });
            }
            RetryDecision::End(outcome) => {
                plan.close_row(row);
                plan.closures.push(end(&mut delivery, outcome, now));
            }
            RetryDecision::WaitUntil(until) => {
                plan.close_row(row);
                plan.closures.extend(wait(delivery, until));
                plan.wait_until(until);
            }
        }
        Ok(())
    }

    fn record(&self, id: &PushId) -> Result<Option<PushRecord>, StoreError> {
        self.store.get(&rows::record(id))?.map(|row| records::decode(&row)).transpose()
    }

    /// A later push of the same session that was sent to the same user.
    fn newer_push(&self, id: &PushId) -> Result<Option<Seq>, StoreError> {
        let latest = self.store.scan(&rows::records_of(&id.session), None, Direction::Backward, LATEST)?;
        for (_, row) in latest {
            let record: PushRecord = records::decode(&row)?;
            if record.id.seq <= id.seq {
                break;
            }
            if record.id.user == id.user && matches!(record.decision, Decision::Sent { .. }) {
                return Ok(Some(record.id.seq));
            }
        }
        Ok(None)
    }

    /// The row of a record. For a new record, also the row that says when it may be forgotten.
    pub(super) fn write_record(&self, record: &PushRecord, is_new: bool, now: Timestamp) -> Vec<Change> {
        let mut changes = vec![Change::Put(rows::record(&record.id), records::encode(record))];
        if is_new {
            let row = rows::forgettable(now + self.config.retention, &record.id);
            changes.push(Change::Put(row, records::encode(&record.id)));
        }
        changes
    }
}

fn new_record(job: &PushJob, decision: Decision, now: Timestamp, expires_at: Timestamp) -> PushRecord {
    PushRecord {
        id: PushId::of(job),
        event: job.event.clone(),
        reason: job.reason.clone(),
        created_at: job.created_at,
        decision,
        decided_at: now,
        expires_at,
    }
}

fn new_delivery(id: &PushId, device: &Device, job: &PushJob, expires_at: Timestamp, now: Timestamp) -> Delivery {
    Delivery {
        id: id.clone(),
        device: device.id(),
        event: job.event.clone(),
        request_id: None,
        expires_at,
        state: DeliveryState::Waiting { until: now },
        possible_duplicate: false,
        attempts: Vec::new(),
        tally: Tally::default(),
    }
}
