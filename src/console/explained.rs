//! Explains in words why a partner heard of an event or did not.

use tandem_actors::{
    domain::{ids::Seq, view::PartnerOversight},
    explain::{ExplainedDecision, ExplainedEvent},
};

use super::words;
use crate::push::{
    Cause, DeviceState, ExplainedDelivery, ExplainedPush, ExplainedPushDecision as Decision, Final, Outcome, Reach,
    RejectedBy,
};

/// Whether a partner heard of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind of mark.
    pub kind: &'static str,
    pub short: String,
}

impl Verdict {
    fn new(kind: &'static str, short: impl Into<String>) -> Self {
        Self { kind, short: short.into() }
    }
}

/// The facts about one event and one partner.
pub struct Told<'a> {
    pub event: &'a ExplainedEvent,
    pub partner: &'a PartnerOversight,
    pub push: Option<&'a ExplainedPush>,
    /// The partner's devices as they are now.
    pub reach: &'a Reach,
    /// Why nothing is sent at the moment.
    pub obstacle: Option<&'a str>,
}

impl Told<'_> {
    /// In the order in which they were made.
    pub fn decisions(&self) -> impl Iterator<Item = &ExplainedDecision> {
        self.event.decisions.iter().filter(|decision| decision.user == self.partner.user)
    }

    fn is_author(&self) -> bool {
        self.event.by.as_ref() == Some(&self.partner.user)
    }

    /// The partner's client has confirmed it.
    pub fn was_seen(&self) -> bool {
        self.partner.last_seen >= self.event.seq
    }

    pub fn verdict(&self) -> Verdict {
        if self.is_author() {
            return Verdict::new("calm", "did it");
        }
        let Some(last) = self.decisions().last() else {
            let absent = self.partner.joined_at > self.event.at;
            return Verdict::new("calm", if absent { "had not joined" } else { "not meant for them" });
        };
        let verdict = match self.push {
            Some(push) => of_push(push, self.obstacle),
            None => of_channel(last),
        };
        match verdict.kind {
            "good" => verdict,
            _ if self.was_seen() => Verdict::new("good", "saw it in the app"),
            _ => verdict,
        }
    }

    /// The steps of the event on its way to the partner, one sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let mut told = Vec::new();
        if self.is_author() {
            told.push("This partner did it.".to_owned());
        } else if self.decisions().next().is_none() {
            told.push(
                "Nothing was decided for this partner: the event concerns the other one, or came before they joined."
                    .into(),
            );
        }
        told.extend(self.decisions().map(|decision| {
            let way = match decision.legs.as_str() {
                "publish" => "Over the channel only",
                "push" => "By push only",
                "publish_and_push" => "Over the channel and by push",
                "resolve" => "Undecided until the provider says who is present",
                _ => "Not at all",
            };
            format!("{way}: {}.", because(&decision.reason))
        }));
        if self.decisions().any(|decision| decision.reason.contains("no push token")) {
            told.push(devices(self.reach));
        }
        if let Some(push) = self.push {
            told.push(push_sentence(push, self.obstacle));
        }
        if self.was_seen() {
            told.push("The partner's app has confirmed to have seen it.".into());
        }
        told
    }
}

/// Whether a device can be reached now, and if not, why.
fn devices(reach: &Reach) -> String {
    let deaths = reach.devices.iter().filter_map(|device| match device.state {
        DeviceState::Retired { at } => Some(at),
        DeviceState::Active | DeviceState::Quarantined { .. } => None,
    });
    match (reach.devices.len(), deaths.clone().count(), deaths.max()) {
        (0, ..) => "No device is registered now.".to_owned(),
        (all, dead, Some(at)) if all == dead => {
            format!("All registered devices are dead: {GONE}, the last answer was at {} UTC.", words::date_text(at))
        }
        _ => "A device is registered now.".to_owned(),
    }
}

const GONE: &str = "Expo says that the app is not installed any more";

/// The reason of a routing decision.
fn because(reason: &str) -> &str {
    match reason {
        "author" => "the partner did it, and the partner's own screen waits for it",
        "event without push" => "an event of this kind never rings a phone",
        "present" => "the partner was present",
        "absent" => "the partner was absent and has a device",
        "absent, no push token" => "the partner was absent, and no device of theirs can be reached",
        "presence unknown" => "nobody knew whether the partner was present",
        "presence unknown, no push token" => {
            "nobody knew whether the partner was present, and no device can be reached"
        }
        "presence unresolved" => "the provider did not say in time whether the partner was present",
        "presence unresolved, no push token" => {
            "the provider did not say in time whether the partner was present, and no device can be reached"
        }
        "left unseen" => "the partner left soon after, without having seen it",
        other => other,
    }
}

fn of_channel(last: &ExplainedDecision) -> Verdict {
    match (last.legs.as_str(), last.reason.as_str()) {
        ("resolve", _) => Verdict::new("care", "waits to know who is present"),
        ("nothing", _) => Verdict::new("calm", "not told"),
        (_, "present") => Verdict::new("good", "told over the channel"),
        (_, "event without push" | "author") => Verdict::new("calm", "on the channel only"),
        (_, reason) if reason.contains("no push token") => Verdict::new("bad", "no device to reach"),
        _ => Verdict::new("care", "push is being prepared"),
    }
}

fn of_push(push: &ExplainedPush, obstacle: Option<&str>) -> Verdict {
    match &push.decision {
        None => waits(obstacle, "push waits for its turn"),
        Some(Decision::Held { why, .. }) => Verdict::new("care", format!("push held: {why}")),
        Some(Decision::Coalesced { into }) => part_of_later_push(*into),
        Some(Decision::Dropped { why }) if why == "already seen" || why == "present again" => {
            Verdict::new("good", format!("no push needed: {why}"))
        }
        Some(Decision::Dropped { why }) => Verdict::new("bad", format!("no push: {why}")),
        Some(Decision::Expired) => Verdict::new("bad", "push expired"),
        Some(Decision::Sent { .. }) => of_deliveries(&push.deliveries, obstacle),
    }
}

/// A push that is not sent yet. `usual` says why, unless nothing is sent at all.
fn waits(obstacle: Option<&str>, usual: &str) -> Verdict {
    match obstacle {
        Some(obstacle) => Verdict::new("bad", format!("push waits: {obstacle}")),
        None => Verdict::new("care", usual),
    }
}

/// A later push of the session has replaced this one.
fn part_of_later_push(later: Seq) -> Verdict {
    Verdict::new("calm", format!("told with event {later}"))
}

/// The best of all devices counts.
fn of_deliveries(deliveries: &[ExplainedDelivery], obstacle: Option<&str>) -> Verdict {
    let rank = |verdict: &Verdict| ["good", "care", "calm", "bad"].iter().position(|kind| *kind == verdict.kind);
    let verdicts = deliveries.iter().map(|delivery| match (&delivery.outcome, delivery.state) {
        (Some(Final::Delivered), _) => Verdict::new("good", "push delivered"),
        (Some(Final::Accepted), _) => Verdict::new("good", "push accepted"),
        (Some(Final::Coalesced { into }), _) => part_of_later_push(*into),
        (Some(outcome), _) => Verdict::new("bad", format!("push failed: {}", ended(outcome))),
        (None, "awaitingReceipt") => Verdict::new("care", "push accepted, no receipt yet"),
        (None, "waiting") => waits(obstacle, "push waits to be tried again"),
        (None, _) => Verdict::new("care", "push is being sent"),
    });
    verdicts.min_by_key(rank).unwrap_or_else(|| Verdict::new("care", "push is being sent"))
}

fn push_sentence(push: &ExplainedPush, obstacle: Option<&str>) -> String {
    match (&push.decision, obstacle) {
        (None, Some(obstacle)) => format!("The push waits. {obstacle}. It is sent as soon as that is over."),
        (None, None) => "The push waits for its turn.".to_owned(),
        (Some(Decision::Sent { devices }), _) => {
            let was_accepted = push.deliveries.iter().any(ExplainedDelivery::was_accepted);
            let verb = if was_accepted { "was sent" } else { "goes" };
            format!("The push {verb} to {}.", words::count(*devices as usize, "device"))
        }
        (Some(Decision::Held { until, why }), _) => {
            format!("The push is held until {} UTC: {why}.", words::date_text(*until))
        }
        (Some(Decision::Coalesced { into }), _) => {
            format!("The push was merged into the one for event {into}, so that the phone rings once.")
        }
        (Some(Decision::Dropped { why }), _) => format!("The push was not sent: {why}."),
        (Some(Decision::Expired), _) => "The push could not be sent in time and was given up.".to_owned(),
    }
}

/// The end of a delivery.
pub fn ended(outcome: &Final) -> String {
    match outcome {
        Final::Rejected { code, .. } if code.as_str() == "DeviceNotRegistered" => GONE.to_owned(),
        Final::Delivered => "delivered to Apple or Google, says the receipt".to_owned(),
        Final::Accepted => "accepted by Expo without a ticket".to_owned(),
        Final::ReceiptLost => "accepted by Expo, but no receipt came".to_owned(),
        Final::Rejected { code, by: RejectedBy::Ticket } => format!("refused by Expo: {}", code.as_str()),
        Final::Rejected { code, by: RejectedBy::Receipt } => format!("refused by Apple or Google: {}", code.as_str()),
        Final::Rejected { code, by: RejectedBy::Budget } => format!("too large to send: {}", code.as_str()),
        Final::Unknown => "two attempts without a known outcome; it may have arrived".to_owned(),
        Final::Expired => "given up, because it could not be sent in time".to_owned(),
        Final::Dropped { why } => format!("not wanted any more: {why}"),
        Final::Coalesced { into } => format!("not tried again: the phone was told with event {into}"),
    }
}

/// The outcome of one attempt.
pub fn attempted(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "under way".to_owned(),
        Some(Outcome::Accepted { ticket: Some(ticket) }) => format!("accepted, ticket {ticket}"),
        Some(Outcome::Accepted { ticket: None }) => "accepted, without a ticket".to_owned(),
        Some(Outcome::Rejected { code }) => format!("refused: {}", code.as_str()),
        Some(Outcome::NotSent { why }) => format!("not sent: {}", cause(*why)),
        Some(Outcome::Unknown { why }) => format!("outcome unknown: {}", cause(*why)),
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::NoConnection => "Expo could not be reached",
        Cause::HeldBack => "a breaker opened meanwhile",
        Cause::Reset => "the connection broke",
        Cause::Timeout => "no answer in time",
        Cause::ServerError => "Expo answered with a server error",
        Cause::Unreadable => "the answer could not be read",
        Cause::TicketCount => "the answer had another number of tickets",
        Cause::ProcessEnded => "the node was stopped or killed meanwhile",
    }
}
