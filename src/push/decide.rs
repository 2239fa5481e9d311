//! Decides whether a due push is sent, held or closed. Pure: the caller gathers the facts before, and writes the
//! decision afterwards.

use tandem_actors::{
    domain::{ids::Seq, time::Timestamp},
    records::PushJob,
};

use super::{
    outcome::Final,
    pace::TooSoon,
    reach::{Device, Reach},
    rows::{Decision, Delivery, PushRecord},
};

/// The reason to drop a push whose device is unregistered or belongs to another user.
pub(super) const NO_DEVICE: &str = "the device is not registered any more";

/// The reason to hold a push during quiet hours.
pub(super) const QUIET_HOURS: &str = "quiet hours";

/// The facts of a decision.
pub(super) struct Facts<'a> {
    pub now: Timestamp,
    pub expires_at: Timestamp,
    /// A later push of the same session that was sent to the same user.
    pub newer_push: Option<Seq>,
    /// The user's devices and preferences.
    pub reach: &'a Reach,
}

impl Facts<'_> {
    fn quiet_until(&self) -> Option<Timestamp> {
        self.reach.quiet_until(self.now)
    }
}

/// The decision about a job. `None` if it was decided before. `record` is the earlier decision.
pub(super) fn decide(
    job: &PushJob,
    record: Option<&PushRecord>,
    too_soon: Option<TooSoon>,
    facts: &Facts<'_>,
) -> Option<Decision> {
    if record.is_some_and(|record| !matches!(record.decision, Decision::Held { .. })) {
        return None;
    }
    if facts.now >= facts.expires_at {
        return Some(Decision::Expired);
    }
    if let Some(into) = facts.newer_push {
        return Some(Decision::Coalesced { into });
    }
    if let Some(why) = facts.reach.preferences.refuses(&job.event) {
        return Some(Decision::Dropped { why: why.into() });
    }
    if let Some(until) = facts.quiet_until() {
        return Some(Decision::Held { until, why: QUIET_HOURS.into() });
    }
    let devices = facts.reach.usable(facts.now).count();
    if devices == 0 {
        return Some(Decision::Dropped { why: "no usable push token".into() });
    }
    if let Some(TooSoon { until, why }) = too_soon {
        return Some(Decision::Held { until, why: why.into() });
    }
    Some(Decision::Sent { devices: devices.try_into().unwrap_or(u32::MAX) })
}

/// The decision about a delivery whose retry is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    End(Final),
    WaitUntil(Timestamp),
    Send(Device),
}

/// `not_before` is the time until which a device has to wait.
pub(super) fn decide_retry(
    delivery: &Delivery,
    facts: &Facts<'_>,
    not_before: impl FnOnce(&Device) -> Option<Timestamp>,
) -> RetryDecision {
    if facts.now >= facts.expires_at {
        // If an earlier attempt has an unknown outcome, the push may have arrived.
        return RetryDecision::End(if delivery.tally.unknown > 0 { Final::Unknown } else { Final::Expired });
    }
    if let Some(into) = facts.newer_push {
        return RetryDecision::End(Final::Coalesced { into });
    }
    if let Some(why) = facts.reach.preferences.refuses(&delivery.event) {
        return RetryDecision::End(Final::Dropped { why: why.into() });
    }
    let Some(device) = facts.reach.find(&delivery.device).filter(|device| device.is_usable(facts.now)) else {
        return RetryDecision::End(Final::Dropped { why: NO_DEVICE.into() });
    };
    match facts.quiet_until().or_else(|| not_before(device)) {
        Some(until) => RetryDecision::WaitUntil(until),
        None => RetryDecision::Send(device.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::rows::{DeliveryState, PushId, Tally},
        *,
    };

    const NOON: i64 = 1_768_046_400_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(NOON + minutes * 60_000)
    }

    fn id() -> PushId {
        PushId { session: "csession0001".parse().unwrap(), user: "user_ben".parse().unwrap(), seq: 7 }
    }

    fn job() -> PushJob {
        let PushId { session, user, seq } = id();
        let (event, reason) = ("partner.signed_compact".into(), "absent".into());
        PushJob { session, user, seq, event, created_at: at(0), reason }
    }

    fn device() -> Device {
        Device::new("ExponentPushToken[x]".parse().unwrap(), at(-60))
    }

    fn reach(preferences: serde_json::Value) -> Reach {
        let mut reach = Reach { devices: vec![device()], ..Reach::default() };
        reach.preferences.patch(serde_json::from_value(preferences).unwrap());
        reach
    }

    fn facts(reach: &Reach) -> Facts<'_> {
        Facts { now: at(0), expires_at: at(60), newer_push: None, reach }
    }

    fn record(decision: Decision) -> PushRecord {
        PushRecord {
            id: id(),
            event: job().event,
            reason: job().reason,
            created_at: at(0),
            decision,
            decided_at: at(0),
            expires_at: at(60),
        }
    }

    #[test]
    fn a_push_is_sent_unless_a_fact_speaks_against_it() {
        let all = reach(serde_json::json!({}));
        let nobody = Reach::default();
        let off = reach(serde_json::json!({ "pushEnabled": false }));
        let quiet = reach(serde_json::json!({ "quietHours": { "start": "11:00", "end": "13:00", "timeZone": "UTC" } }));
        let too_soon = || Some(TooSoon { until: at(1), why: "spaced" });
        let held = |until, why: &str| Some(Decision::Held { until, why: why.into() });
        let dropped = |why: &str| Some(Decision::Dropped { why: why.into() });
        for (name, decision, expected) in [
            ("nothing", decide(&job(), None, None, &facts(&all)), Some(Decision::Sent { devices: 1 })),
            ("late", decide(&job(), None, None, &Facts { now: at(60), ..facts(&all) }), Some(Decision::Expired)),
            (
                "a newer push",
                decide(&job(), None, None, &Facts { newer_push: Some(9), ..facts(&all) }),
                Some(Decision::Coalesced { into: 9 }),
            ),
            ("a preference", decide(&job(), None, None, &facts(&off)), dropped("pushes are switched off")),
            ("quiet hours", decide(&job(), None, None, &facts(&quiet)), held(at(60), "quiet hours")),
            ("no device", decide(&job(), None, None, &facts(&nobody)), dropped("no usable push token")),
            ("the pace", decide(&job(), None, too_soon(), &facts(&all)), held(at(1), "spaced")),
        ] {
            assert_eq!(decision, expected, "{name}");
        }
    }

    #[test]
    fn only_a_push_that_was_held_is_decided_again() {
        let all = reach(serde_json::json!({}));
        let again = |decision| decide(&job(), Some(&record(decision)), None, &facts(&all));
        assert_eq!(
            again(Decision::Held { until: at(0), why: "quiet hours".into() }),
            Some(Decision::Sent { devices: 1 })
        );
        for decided in [Decision::Sent { devices: 1 }, Decision::Expired, Decision::Coalesced { into: 9 }] {
            assert_eq!(again(decided), None);
        }
    }

    #[test]
    fn a_retry_is_sent_unless_a_fact_speaks_against_it() {
        let delivery = |unknown| Delivery {
            id: id(),
            device: device().id(),
            event: job().event,
            request_id: None,
            expires_at: at(60),
            state: DeliveryState::Waiting { until: at(0) },
            possible_duplicate: false,
            attempts: Vec::new(),
            tally: Tally { unknown, ..Tally::default() },
        };
        let (all, nobody) = (reach(serde_json::json!({})), Reach::default());
        let late = Facts { now: at(60), ..facts(&all) };
        let newer = Facts { newer_push: Some(9), ..facts(&all) };
        let free = |_: &Device| None;
        let throttled = |_: &Device| Some(at(0) + Duration::from_secs(30));
        let gone = Final::Dropped { why: NO_DEVICE.into() };
        for (name, decision, expected) in [
            ("nothing", decide_retry(&delivery(0), &facts(&all), free), RetryDecision::Send(device())),
            ("late", decide_retry(&delivery(0), &late, free), RetryDecision::End(Final::Expired)),
            ("late and unknown", decide_retry(&delivery(1), &late, free), RetryDecision::End(Final::Unknown)),
            ("newer", decide_retry(&delivery(0), &newer, free), RetryDecision::End(Final::Coalesced { into: 9 })),
            ("no device", decide_retry(&delivery(0), &facts(&nobody), free), RetryDecision::End(gone)),
            (
                "a throttled device",
                decide_retry(&delivery(0), &facts(&all), throttled),
                RetryDecision::WaitUntil(at(0) + Duration::from_secs(30)),
            ),
        ] {
            assert_eq!(decision, expected, "{name}");
        }
    }
}
