//! Test notifications, for the operator: does this user's phone ring? Preferences, quiet hours and the pace do not hold
//! them back; breakers and the rate do. They carry no data, and have no receipt.

use serde::Serialize;
use tandem_actors::{domain::ids::UserId, ports::StoreError};

use super::{
    Pusher,
    answer::{self, SendReply},
    config::Priority,
    outcome::{self, Cause, ExpoCode, Outcome},
    reach::Device,
    tokens::PushToken,
};
use crate::breaker::Allowance;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestMessage<'a> {
    to: &'a PushToken,
    title: &'static str,
    body: &'static str,
    sound: &'static str,
    priority: Priority,
    ttl: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_id: Option<&'a str>,
}

/// How long Apple and Google may try, in seconds. A later test would be useless.
const TTL: u64 = 600;

impl Pusher {
    /// Sends a test to each usable device of the user. Returns each device, as the operator knows it, and the answer.
    ///
    /// # Errors
    /// If the devices cannot be read.
    pub async fn send_test(&self, user: &UserId) -> Result<Vec<(String, Outcome)>, StoreError> {
        let reach = self.sender.devices.reach(user)?;
        let mut outcomes = Vec::new();
        for device in reach.usable(self.sender.alarm.now()) {
            let asked_at = self.sender.alarm.now();
            let outcome = self.test_one(device).await;
            if outcome::after_attempt(&outcome, 0).device_unregistered {
                let marked = self.sender.devices.mark_unregistered(user.clone(), device.id(), asked_at).await;
                drop(marked.inspect_err(|error| tracing::error!(%error, "an unregistered device could not be marked")));
            }
            outcomes.push((format!("device {}", device.id().as_str()), outcome));
        }
        Ok(outcomes)
    }

    async fn test_one(&self, device: &Device) -> Outcome {
        if matches!(self.sender.breakers.allowance(self.sender.alarm.uptime()), Allowance::NoneFor(_)) {
            return Outcome::NotSent { why: Cause::HeldBack };
        }
        let config = &self.sender.config;
        let message = TestMessage {
            to: &device.token,
            title: "Test",
            body: "This server can reach your phone.",
            sound: "default",
            priority: config.priority,
            ttl: TTL,
            channel_id: config.channel_id.as_deref(),
        };
        self.sender.limiter.acquire(1).await;
        match answer::read_send(self.sender.expo.send(&[message]).await, 1) {
            SendReply::Each { outcomes, .. } => {
                outcomes.into_iter().next().unwrap_or(Outcome::Unknown { why: Cause::TicketCount })
            }
            SendReply::All { outcome, .. } => outcome,
            SendReply::Bisect { code } => Outcome::Rejected { code },
            SendReply::Split { .. } => Outcome::Rejected { code: ExpoCode::new(outcome::TOO_MANY_EXPERIENCES) },
        }
    }
}
