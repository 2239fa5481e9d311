//! One batch, from the last check to the last outcome. The start of every attempt is durable before its request; a refused
//! batch is cut up until only what is refused is left.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tandem_actors::{
    domain::time::Timestamp,
    journal::CommitError,
    keys,
    ports::{Change, PushVerdict},
    records,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::{self, Reply},
    breaker::{Pass, Scope},
    collect::{Candidate, Origin},
    dispatcher::Sender,
    message::{self, Message, Occasion},
    outcome::{self, Cause, Code, Final, MESSAGE_TOO_BIG, Outcome, Stage},
    plan::{NO_DEVICE, park},
    reach::{Device, Reach},
    rows::{self, Decision, Delivery, Story},
    settle,
};

/// The session has so long to say whether a push is still wanted.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A message whose attempt has durably started.
struct Outgoing {
    delivery: Delivery,
    device: Device,
    message: Message,
    scope: Scope,
}

impl Sender {
    pub(super) async fn send_batch(
        self: Arc<Self>,
        candidates: Vec<Candidate>,
        slot: OwnedSemaphorePermit,
        is_trial: bool,
    ) {
        let recipients = candidates.iter().map(|candidate| candidate.sends.len()).sum();
        let claimed: Vec<_> = candidates.iter().flat_map(|candidate| candidate.claimed.clone()).collect();
        tokio::select! {
            () = self.limiter.pay(recipients) => {
                let outgoing = self.start(candidates, recipients).await;
                self.unclaim(&claimed);
                self.send(outgoing, is_trial).await;
            }
            () = self.stopped() => self.unclaim(&claimed),
        }
        drop(slot);
        self.work.notify_one();
    }

    /// Asks the sessions, and writes down that the attempts begin.
    async fn start(&self, candidates: Vec<Candidate>, paid: usize) -> Vec<Outgoing> {
        let verdicts = join_all(candidates.iter().map(|candidate| async {
            let answer = self.check.check(&candidate.id.session, &candidate.id.user, candidate.id.seq);
            tokio::time::timeout(CHECK_TIMEOUT, answer).await.unwrap_or(PushVerdict::Later)
        }))
        .await;
        let now = self.alarm.now();
        let mut changes = Vec::new();
        let mut outgoing = Vec::new();
        for (candidate, verdict) in candidates.into_iter().zip(verdicts) {
            match verdict {
                PushVerdict::Send { unread } => match self.devices.reach(&candidate.id.user) {
                    Ok(reach) => self.begin(candidate, &reach, unread, now, &mut changes, &mut outgoing),
                    Err(error) => {
                        tracing::error!(%error, "the devices of a push could not be read");
                        self.postpone(candidate, now, &mut changes);
                    }
                },
                PushVerdict::Drop { reason } => self.drop_push(candidate, reason, now, &mut changes),
                PushVerdict::Later => self.postpone(candidate, now, &mut changes),
            }
        }
        self.limiter.refund(paid.saturating_sub(outgoing.len()));
        if let Err(error) = self.journal.write(changes).await {
            tracing::error!(%error, "pushes could not be started");
            self.limiter.refund(outgoing.len());
            self.rest(Duration::from_secs(1)).await;
            return Vec::new();
        }
        outgoing
    }

    /// `reach` is as of now: since the push was planned, a phone may have been handed to somebody else.
    fn begin(
        &self,
        candidate: Candidate,
        reach: &Reach,
        unread: u32,
        now: Timestamp,
        changes: &mut Vec<Change>,
        outgoing: &mut Vec<Outgoing>,
    ) {
        changes.extend(candidate.on_start);
        for (mut delivery, device) in candidate.sends {
            if !reach.find(&device.id()).is_some_and(|device| device.is_usable(now)) {
                changes.push(settle::end(&mut delivery, Final::Dropped { why: NO_DEVICE.into() }, now));
                continue;
            }
            let occasion = Occasion {
                session: &candidate.id.session,
                event: &candidate.event,
                seq: candidate.id.seq,
                unread,
                time_left: candidate.expires_at.since(now),
                possible_duplicate: delivery.possible_duplicate,
            };
            let message = Message::new(&self.config, &self.texts, &device, &occasion);
            if message.size() > message::BUDGET {
                let end = Final::Rejected { code: Code::new(MESSAGE_TOO_BIG), by: Stage::Budget };
                changes.push(settle::end(&mut delivery, end, now));
                continue;
            }
            delivery.start(now);
            let address = delivery.address();
            changes.push(Change::Put(delivery.key(), records::encode(&delivery)));
            changes.push(Change::Put(rows::in_flight(&address), records::encode(&address)));
            let scope = self.scope(&device);
            outgoing.push(Outgoing { delivery, device, message, scope });
        }
    }

    /// The session says that nobody needs to be told any more.
    fn drop_push(&self, candidate: Candidate, reason: &str, now: Timestamp, changes: &mut Vec<Change>) {
        changes.extend(candidate.on_start);
        if let Origin::Jobs { story, .. } = candidate.origin {
            metrics::counter!("tandem_push_decisions_total", "decision" => "dropped").increment(1);
            let story = Story { decision: Decision::Dropped { why: reason.into() }, ..*story };
            changes.push(Change::Put(rows::story(&story.id), records::encode(&story)));
            return;
        }
        for (mut delivery, _) in candidate.sends {
            changes.push(settle::end(&mut delivery, Final::Dropped { why: reason.into() }, now));
        }
    }

    /// The session could not be asked: some seconds later.
    fn postpone(&self, candidate: Candidate, now: Timestamp, changes: &mut Vec<Change>) {
        let until = now + Duration::from_secs(5).mul_f64(rand::random_range(1.0..2.0));
        match candidate.origin {
            Origin::Jobs { newest, job, story, story_is_new } => {
                let decision = Decision::Held { until, why: "the session could not be asked".into() };
                changes.extend(self.tell(&Story { decision, ..*story }, story_is_new, now));
                changes.push(Change::Delete(newest));
                let later = keys::push_job(until, &job.session, &job.user, job.seq);
                changes.push(Change::Put(later, records::encode(&job)));
            }
            Origin::Retry { row } => {
                changes.push(Change::Delete(row));
                changes.extend(candidate.sends.into_iter().flat_map(|(delivery, _)| park(delivery, until)));
            }
        }
    }

    async fn send(&self, outgoing: Vec<Outgoing>, is_trial: bool) {
        // The first request of each recipient was paid for together.
        let mut groups: Vec<_> = by_project(outgoing).into_iter().map(|group| Group { group, is_paid: true }).collect();
        while let Some(Group { group, is_paid }) = groups.pop() {
            if !is_paid {
                self.limiter.pay(group.len()).await;
            }
            if !is_trial && self.is_shut() {
                let outcome = Outcome::NotSent { why: Cause::HeldBack };
                self.settle_all(group, |_| outcome.clone(), Duration::ZERO, false).await;
                continue;
            }
            let messages: Vec<_> = group.iter().map(|outgoing| &outgoing.message).collect();
            let reply = answer::read_send(self.expo.send(&messages).await, group.len());
            if !matches!(reply, Reply::All { .. }) {
                self.breakers.service.succeeded();
                self.breakers.access.succeeded();
            }
            let parts = match reply {
                Reply::Each { outcomes, errors_too } => {
                    if errors_too {
                        tracing::warn!("the push service answered with tickets and errors: the tickets count");
                    }
                    self.settle_all(group, |place| outcomes[place].clone(), Duration::ZERO, true).await;
                    continue;
                }
                Reply::All { outcome, retry_after } => {
                    let at_least = retry_after.unwrap_or_default();
                    self.whole_request(&outcome, at_least);
                    self.settle_all(group, |_| outcome.clone(), at_least, false).await;
                    continue;
                }
                Reply::Bisect { code } => bisect(group).map_err(|poison| (poison, code)),
                Reply::Split { projects } => self
                    .split(group, &projects)
                    .or_else(bisect)
                    .map_err(|one| (one, Code::new(outcome::TOO_MANY_EXPERIENCES))),
            };
            match parts {
                Ok(parts) => groups.extend(parts.into_iter().map(|group| Group { group, is_paid: false })),
                Err((poison, code)) => {
                    let outcome = Outcome::Rejected { code };
                    self.settle_all(poison, |_| outcome.clone(), Duration::ZERO, false).await;
                }
            }
        }
    }

    fn is_shut(&self) -> bool {
        let now = self.alarm.now();
        matches!(self.breakers.look(now), Pass::NobodyUntil(_)) || self.limiter.paused(now).is_some()
    }

    /// One part for each project that the service named, and remembers them. The group itself if that leaves it whole.
    fn split(
        &self,
        group: Vec<Outgoing>,
        projects: &HashMap<String, String>,
    ) -> Result<Vec<Vec<Outgoing>>, Vec<Outgoing>> {
        const REMEMBERED: usize = 100_000;
        if self.projects.len() >= REMEMBERED {
            self.projects.clear();
        }
        let named = group
            .into_iter()
            .map(|mut outgoing| {
                if let Some(project) = projects.get(outgoing.device.token.reveal()) {
                    self.projects.insert(outgoing.device.id(), project.as_str().into());
                    outgoing.scope = self.scope(&outgoing.device);
                }
                outgoing
            })
            .collect();
        let mut parts = by_project(named);
        if parts.len() > 1 { Ok(parts) } else { Err(parts.pop().unwrap_or_default()) }
    }

    /// What is written for a group after its request; devices that turned out dead are retired after it.
    async fn settle_all(
        &self,
        group: Vec<Outgoing>,
        outcome_of: impl Fn(usize) -> Outcome,
        at_least: Duration,
        is_ticketed: bool,
    ) {
        let now = self.alarm.now();
        let (mut changes, mut dead, mut alive) = (Vec::new(), Vec::new(), 0);
        for (place, Outgoing { delivery, scope, .. }) in group.into_iter().enumerate() {
            let (user, device, asked_at) = (delivery.id.user.clone(), delivery.device.clone(), delivery.started_at());
            let outcome = outcome_of(place);
            alive += usize::from(matches!(outcome, Outcome::Accepted { .. }));
            let (action, written) = self.settle(delivery, outcome, is_ticketed.then_some(&scope), at_least, now);
            changes.extend(written);
            if action.device_dead {
                dead.push((user, device, asked_at.unwrap_or(now)));
            }
        }
        self.write(changes).await;
        self.new_receipts.notify_one();
        self.devices.heard_alive(alive);
        for (user, device, asked_at) in dead {
            if let Err(error) = self.devices.heard_dead(user, device, asked_at).await {
                tracing::error!(%error, "a device that is gone could not be retired");
            }
        }
    }

    /// Writes an outcome. If it cannot be written, the attempt counts as cut off after the restart.
    pub(super) async fn write(&self, changes: Vec<Change>) {
        const TRIES: usize = 50;
        for _ in 0..TRIES {
            match self.journal.write(changes.clone()).await {
                Ok(()) => return,
                Err(CommitError::Refused) if self.journal.is_alive() => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return tracing::error!(%error, "the outcome of pushes could not be written"),
            }
        }
        tracing::error!("the outcome of pushes could not be written: the journal is full or closed");
    }

    /// What the answer to a whole request says about the service.
    fn whole_request(&self, outcome: &Outcome, at_least: Duration) {
        let now = self.alarm.now();
        match outcome {
            Outcome::NotSent { .. } | Outcome::Unknown { .. } => self.breakers.service.failed(now, at_least),
            Outcome::Rejected { code } if code.as_str() == outcome::TOO_MANY_REQUESTS => {
                self.breakers.service.succeeded();
                let jitter = Duration::from_secs(1).mul_f64(rand::random_range(0.0..1.0));
                self.limiter.pause(now + at_least.max(Duration::from_millis(500)) + jitter);
            }
            Outcome::Rejected { code } => {
                tracing::error!(code = code.as_str(), "the push service does not let this node in");
                self.breakers.access.failed(now, at_least);
            }
            Outcome::Accepted { .. } => {}
        }
    }
}

struct Group {
    group: Vec<Outgoing>,
    is_paid: bool,
}

/// Expo takes one project per request.
fn by_project(outgoing: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut groups: HashMap<Option<Arc<str>>, Vec<Outgoing>> = HashMap::new();
    for one in outgoing {
        groups.entry(one.scope.project.clone()).or_default().push(one);
    }
    groups.into_values().collect()
}

/// Two halves, or the group itself if it is only one.
fn bisect(mut group: Vec<Outgoing>) -> Result<Vec<Vec<Outgoing>>, Vec<Outgoing>> {
    if group.len() < 2 {
        return Err(group);
    }
    let half = group.split_off(group.len() / 2);
    Ok(vec![group, half])
}
