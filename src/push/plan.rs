//! What is to be done about one push that is due: sent, held, or closed, and with what words. Nothing is written here: the plan
//! holds the changes.

use tandem_actors::{
    domain::{ids::Seq, time::Timestamp},
    keys::{self, Key},
    ports::{Change, Direction, StoreError},
    records::{self, PushJob},
};

use super::{
    breakers::Scope,
    collect::{Candidate, Origin, Plan},
    dispatcher::Sender,
    outcome::Final,
    pace::TooSoon,
    reach::{Device, Reach},
    rows::{self, Address, Decision, Delivery, PushId, DeliveryState, PushRecord, Tally},
    settle,
};
use crate::breaker::Pass;

/// How many of a session's latest records are looked through for a newer push.
const LATEST: usize = 32;
/// Why a push to a device was dropped that is gone, or somebody else's by now.
pub(super) const NO_DEVICE: &str = "the device is not registered any more";

impl Sender {
    pub(super) fn plan_jobs(
        &self,
        plan: &mut Plan,
        mut group: Vec<(Key, PushJob)>,
        room: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        group.sort_by_key(|(_, job)| job.seq);
        let Some((newest, job)) = group.pop() else { return Ok(()) };
        let id = PushId::of(&job);
        let mut claimed = vec![newest.clone()];
        let mut closers = Vec::new();
        for (row, older) in group {
            let older_id = PushId::of(&older);
            if older_id != id {
                let record = self.new_record(&older, Decision::Coalesced { into: id.seq }, now, now);
                closers.extend(self.write_record(&record, self.record(&older_id)?.is_none(), now));
            }
            closers.push(Change::Delete(row.clone()));
            claimed.push(row);
        }
        let known = self.record(&id)?;
        let job_due = rows::time_in(&newest, &keys::push_jobs()).unwrap_or(now);
        let expires_at = known.as_ref().map_or(job_due + self.config.ttl, |record| record.expires_at);
        let reach = self.devices.reach(&id.user)?;
        let record_is_new = known.is_none();

        let close = |plan: &mut Plan, decision: Option<Decision>, again: Option<Timestamp>| {
            plan.closures.append(&mut closers.clone());
            plan.closures.push(Change::Delete(newest.clone()));
            if let Some(decision) = decision {
                metrics::counter!("tandem_push_decisions_total", "decision" => label(&decision)).increment(1);
                let expires_at = again.map_or(expires_at, |until| expires_at.max(until + self.config.ttl));
                let record = self.new_record(&job, decision, now, expires_at);
                plan.closures.extend(self.write_record(&record, record_is_new, now));
            }
            if let Some(again) = again {
                let later = keys::push_job(again, &id.session, &id.user, id.seq);
                plan.closures.push(Change::Put(later, records::encode(&job)));
                plan.wait_until(again);
            }
            plan.closed.extend(claimed.iter().cloned());
        };

        let is_held = |record: &PushRecord| matches!(record.decision, Decision::Held { .. });
        if known.as_ref().is_some_and(|record| !is_held(record)) {
            close(plan, None, None);
        } else if self.alarm.settled() >= expires_at {
            close(plan, Some(Decision::Expired), None);
        } else if let Some(into) = self.newer_push(&id)? {
            close(plan, Some(Decision::Coalesced { into }), None);
        } else if let Some(why) = reach.preferences.refuses(&job.event) {
            close(plan, Some(Decision::Dropped { why: why.into() }), None);
        } else if let Some(until) = quiet_until(&reach, now) {
            close(plan, Some(Decision::Held { until, why: "quiet hours".into() }), Some(until));
        } else if reach.usable(now).next().is_none() {
            close(plan, Some(Decision::Dropped { why: "no usable push token".into() }), None);
        } else if let Some(TooSoon { until, why }) = self.paces.look(&*self.store, &self.config, &id, now)? {
            close(plan, Some(Decision::Held { until, why: why.into() }), Some(until));
        } else {
            let devices: Vec<_> = reach.usable(now).cloned().collect();
            let fits = plan.recipients() + devices.len() <= room || plan.candidates.is_empty();
            if !fits {
                return Ok(());
            }
            self.claimed.lock().extend(claimed.iter().cloned());
            let decision = Decision::Sent { devices: devices.len().try_into().unwrap_or(u32::MAX) };
            let record = self.new_record(&job, decision, now, expires_at);
            let mut on_start = closers;
            on_start.extend(self.write_record(&record, record_is_new, now));
            on_start.push(Change::Delete(newest.clone()));
            let mut sends = Vec::new();
            for device in devices {
                let delivery = Delivery {
                    id: id.clone(),
                    device: device.id(),
                    event: job.event.clone(),
                    expires_at,
                    state: DeliveryState::Waiting { until: now },
                    possible_duplicate: false,
                    attempts: Vec::new(),
                    tally: Tally::default(),
                };
                match self.not_before(&device, now) {
                    None => sends.push((delivery, device)),
                    Some(until) => on_start.extend(park(delivery, until)),
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
        }
        Ok(())
    }

    /// `newest_job` is the newest push that waits for the same user and session.
    pub(super) fn plan_retry(
        &self,
        plan: &mut Plan,
        row: Key,
        address: &Address,
        newest_job: Option<Seq>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut close = |changes: Vec<Change>| {
            plan.closures.push(Change::Delete(row.clone()));
            plan.closures.extend(changes);
            plan.closed.push(row.clone());
        };
        let stored = self.store.get(&rows::delivery(&address.id, &address.device))?;
        let Some(mut delivery) = stored.map(|row| records::decode::<Delivery>(&row)).transpose()? else {
            close(Vec::new());
            return Ok(());
        };
        let reach = self.devices.reach(&address.id.user)?;
        let device = reach.find(&address.device).filter(|device| device.is_usable(now));
        let unknown = delivery.tally.unknown > 0;
        let newer_job = newest_job.filter(|seq| *seq > address.id.seq);
        let end = if self.alarm.settled() >= delivery.expires_at {
            Some(if unknown { Final::Unknown } else { Final::Expired })
        } else if let Some(into) = newer_job.map_or_else(|| self.newer_push(&address.id), |seq| Ok(Some(seq)))? {
            Some(Final::Coalesced { into })
        } else if let Some(why) = reach.preferences.refuses(&delivery.event) {
            Some(Final::Dropped { why: why.into() })
        } else if device.is_none() {
            Some(Final::Dropped { why: NO_DEVICE.into() })
        } else {
            None
        };
        if let Some(end) = end {
            close(vec![settle::end(&mut delivery, end, now)]);
            return Ok(());
        }
        let Some(device) = device else { return Ok(()) };
        if let Some(until) = quiet_until(&reach, now).or_else(|| self.not_before(device, now)) {
            close(park(delivery, until));
            plan.wait_until(until);
            return Ok(());
        }
        self.claimed.lock().insert(row.clone());
        plan.candidates.push(Candidate {
            id: address.id.clone(),
            event: delivery.event.clone(),
            expires_at: delivery.expires_at,
            claimed: vec![row.clone()],
            on_start: vec![Change::Delete(row.clone())],
            on_send: Vec::new(),
            origin: Origin::Retry { row },
            sends: vec![(delivery, device.clone())],
        });
        Ok(())
    }

    /// Until when this device has to wait: it was told to slow down, or its project's credentials do not work.
    fn not_before(&self, device: &Device, now: Timestamp) -> Option<Timestamp> {
        let uptime = self.alarm.uptime();
        let throttled = self.throttled.get(&device.id()).map(|until| until.saturating_sub(uptime));
        let throttled = throttled.filter(|wait| !wait.is_zero()).map(|wait| now + wait);
        throttled.or_else(|| match self.breakers.project(&self.scope(device)).pass(uptime) {
            Pass::NobodyFor(wait) => Some(now + wait),
            Pass::All | Pass::Trial => None,
        })
    }

    pub(super) fn scope(&self, device: &Device) -> Scope {
        let project = self.projects.get(&device.id()).map(|project| project.clone());
        Scope { project, platform: device.platform }
    }

    fn record(&self, id: &PushId) -> Result<Option<PushRecord>, StoreError> {
        self.store.get(&rows::record(id))?.map(|row| records::decode(&row)).transpose()
    }

    /// A later push of the same session that was handed out for the same user.
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

    fn new_record(&self, job: &PushJob, decision: Decision, now: Timestamp, expires_at: Timestamp) -> PushRecord {
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

    /// Writes a record down, and when it may be forgotten.
    pub(super) fn write_record(&self, record: &PushRecord, is_new: bool, now: Timestamp) -> Vec<Change> {
        let mut changes = vec![Change::Put(rows::record(&record.id), records::encode(record))];
        if is_new {
            let row = rows::forgettable(now + self.config.retention, &record.id);
            changes.push(Change::Put(row, records::encode(&record.id)));
        }
        changes
    }
}

/// The delivery waits until then.
pub fn park(mut delivery: Delivery, until: Timestamp) -> Vec<Change> {
    delivery.state = DeliveryState::Waiting { until };
    let address = delivery.address();
    vec![
        Change::Put(rows::waiting(until, &address), records::encode(&address)),
        Change::Put(delivery.key(), records::encode(&delivery)),
    ]
}

fn quiet_until(reach: &Reach, now: Timestamp) -> Option<Timestamp> {
    reach.preferences.quiet_hours.as_ref()?.until(now, reach.time_zone())
}

fn label(decision: &Decision) -> &'static str {
    match decision {
        Decision::Sent { .. } => "sent",
        Decision::Held { .. } => "held",
        Decision::Coalesced { .. } => "coalesced",
        Decision::Dropped { .. } => "dropped",
        Decision::Expired => "expired",
    }
}
