//! Sends one batch. If the service refuses it, it is halved until only the refused messages are left.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tandem_actors::{
    backoff::Backoff,
    journal::{CommitError, Obstacle},
    ports::Change,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::{self, SendReply},
    attempt::StartedMessage,
    candidate::Candidate,
    outcome::{self, Cause, ExpoCode, Outcome},
    sender::Sender,
};
use crate::breaker::Allowance;

/// Whether a batch waits for an open circuit breaker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchKind {
    /// It is not sent while a breaker is open.
    Regular,
    /// It finds out whether the service works again, so it is sent although a breaker is open.
    Trial,
}

/// Whether the answer to a request had a ticket for each message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tickets {
    Each,
    None,
}

impl Sender {
    pub(super) async fn send_batch(
        self: Arc<Self>,
        candidates: Vec<Candidate>,
        slot: OwnedSemaphorePermit,
        kind: BatchKind,
    ) {
        let recipients = candidates.iter().map(|candidate| candidate.sends.len()).sum();
        let is_reserved = tokio::select! {
            biased;
            () = self.limiter.acquire(recipients) => true,
            () = self.stopped() => false,
        };
        if is_reserved {
            let claimed: Vec<_> = candidates.iter().flat_map(|candidate| candidate.claimed.clone()).collect();
            let outgoing = self.start(candidates, recipients).await;
            self.unclaim(&claimed);
            self.send(outgoing, kind).await;
        } else {
            candidates.iter().for_each(|candidate| self.give_back(candidate));
        }
        drop(slot);
        self.work.notify_one();
    }

    async fn send(&self, outgoing: Vec<StartedMessage>, kind: BatchKind) {
        // The first request of all recipients has been let through already.
        let mut groups: Vec<_> =
            by_project(outgoing).into_iter().map(|group| Group { group, is_reserved: true }).collect();
        while let Some(Group { group, is_reserved }) = groups.pop() {
            if !is_reserved {
                self.limiter.acquire(group.len()).await;
            }
            if kind == BatchKind::Regular && self.is_shut() {
                let outcome = Outcome::NotSent { why: Cause::HeldBack };
                self.settle_all(group, |_| outcome.clone(), Duration::ZERO, Tickets::None).await;
                continue;
            }
            let messages: Vec<_> = group.iter().map(|outgoing| &outgoing.message).collect();
            let reply = answer::read_send(self.expo.send(&messages).await, group.len());
            if !matches!(reply, SendReply::All { .. }) {
                self.breakers.service.succeeded();
                self.breakers.access.succeeded();
            }
            let parts = match reply {
                SendReply::Each { outcomes, errors_too } => {
                    if errors_too {
                        tracing::warn!("the push service answered with tickets and errors: the tickets count");
                    }
                    debug_assert_eq!(outcomes.len(), group.len(), "an answer has one outcome for each recipient");
                    self.settle_all(group, |place| outcomes[place].clone(), Duration::ZERO, Tickets::Each).await;
                    continue;
                }
                SendReply::All { outcome, retry_after } => {
                    let at_least = retry_after.unwrap_or_default();
                    self.whole_request(&outcome, at_least);
                    self.settle_all(group, |_| outcome.clone(), at_least, Tickets::None).await;
                    continue;
                }
                SendReply::Bisect { code } => halves(group).map_err(|refused| (refused, code)),
                SendReply::Split { projects } => self.parts_by_project(group, &projects),
            };
            match parts {
                Ok(parts) => groups.extend(parts.into_iter().map(|group| Group { group, is_reserved: false })),
                Err((refused, code)) => {
                    let outcome = Outcome::Rejected { code };
                    self.settle_all(refused, |_| outcome.clone(), Duration::ZERO, Tickets::None).await;
                }
            }
        }
    }

    fn is_shut(&self) -> bool {
        let now = self.alarm.uptime();
        matches!(self.breakers.allowance(now), Allowance::NoneFor(_)) || self.limiter.paused(now).is_some()
    }

    /// One part for each project that the service named, and remembers the projects. If that leaves the group whole,
    /// its halves. The group itself and the reason if it has only one recipient.
    fn parts_by_project(
        &self,
        group: Vec<StartedMessage>,
        projects: &HashMap<String, String>,
    ) -> Result<Vec<Vec<StartedMessage>>, (Vec<StartedMessage>, ExpoCode)> {
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
        if parts.len() > 1 {
            return Ok(parts);
        }
        let whole = parts.pop().unwrap_or_default();
        halves(whole).map_err(|refused| (refused, ExpoCode::new(outcome::TOO_MANY_EXPERIENCES)))
    }

    /// Writes the outcomes of a group. Then marks the devices that turned out unregistered.
    async fn settle_all(
        &self,
        group: Vec<StartedMessage>,
        outcome_of: impl Fn(usize) -> Outcome,
        at_least: Duration,
        tickets: Tickets,
    ) {
        let now = self.alarm.now();
        let (mut changes, mut unregistered, mut registered) = (Vec::new(), Vec::new(), 0);
        for (place, StartedMessage { delivery, scope, span, .. }) in group.into_iter().enumerate() {
            let (user, device, asked_at) = (delivery.id.user.clone(), delivery.device.clone(), delivery.started_at());
            let outcome = outcome_of(place);
            span.record("outcome", outcome.label());
            registered += usize::from(matches!(outcome, Outcome::Accepted { .. }));
            let (action, written) =
                self.settle(delivery, outcome, (tickets == Tickets::Each).then_some(&scope), at_least, now);
            changes.extend(written);
            if action.device_unregistered {
                unregistered.push((user, device, asked_at.unwrap_or(now)));
            }
        }
        self.write(changes).await;
        self.new_receipts.notify_one();
        self.devices.count_registered(registered);
        for (user, device, asked_at) in unregistered {
            if let Err(error) = self.devices.mark_unregistered(user, device, asked_at).await {
                tracing::error!(%error, "an unregistered device could not be marked");
            }
        }
    }

    /// Writes outcomes. After a restart, an attempt without a written outcome counts as interrupted.
    pub(super) async fn write(&self, changes: Vec<Change>) {
        const TRIES: usize = 50;
        let mut tries = 0;
        while tries < TRIES {
            match self.commit(changes.clone()).await {
                Ok(()) => return,
                // No push begins meanwhile, because its start has to be written first.
                Err(CommitError::Refused)
                    if !self.is_stopping() && self.journal.obstacle().is_some_and(Obstacle::passes_by_itself) =>
                {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(CommitError::Refused) if self.journal.is_alive() => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return tracing::error!(%error, "the outcome of pushes could not be written"),
            }
        }
        tracing::error!("the outcome of pushes could not be written: the journal is full or closed");
    }

    /// Tells the breakers and the limiter what the answer to a whole request says about the service.
    fn whole_request(&self, outcome: &Outcome, at_least: Duration) {
        let now = self.alarm.uptime();
        match outcome {
            Outcome::NotSent { why } | Outcome::Unknown { why } => {
                let cause = format_args!("{}: {why:?}", self.config.base_url);
                self.breakers.service.failed(now, at_least, &cause);
            }
            Outcome::Rejected { code } if code.as_str() == outcome::TOO_MANY_REQUESTS => {
                self.breakers.service.succeeded();
                let jitter = Backoff::constant(Duration::from_secs(1)).full_jitter(1);
                self.limiter.pause(now + at_least.max(Duration::from_millis(500)) + jitter);
            }
            Outcome::Rejected { code } => {
                tracing::error!(code = code.as_str(), "the push service refuses this node");
                self.breakers.access.failed(now, at_least, &code);
            }
            Outcome::Accepted { .. } => {}
        }
    }
}

struct Group {
    group: Vec<StartedMessage>,
    is_reserved: bool,
}

/// One request may hold messages of one project only.
fn by_project(outgoing: Vec<StartedMessage>) -> Vec<Vec<StartedMessage>> {
    let mut groups: BTreeMap<Option<Arc<str>>, Vec<StartedMessage>> = BTreeMap::new();
    for one in outgoing {
        groups.entry(one.scope.project.clone()).or_default().push(one);
    }
    groups.into_values().collect()
}

/// Two halves, or the group itself if it has only one recipient.
fn halves(mut group: Vec<StartedMessage>) -> Result<Vec<Vec<StartedMessage>>, Vec<StartedMessage>> {
    if group.len() < 2 {
        return Err(group);
    }
    let half = group.split_off(group.len() / 2);
    Ok(vec![group, half])
}
