//! The outcomes of attempts, and the action that follows each. Expo has no idempotency key, so a request whose answer
//! was lost may have been accepted. Therefore an attempt has four outcomes, and one of them is "unknown". Pure.

mod code;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_actors::backoff::Backoff;

pub use self::code::*;

/// How one attempt for one recipient ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Outcome {
    Accepted {
        /// Without a ticket, there is no receipt to request.
        ticket: Option<String>,
    },
    Rejected {
        code: ExpoCode,
    },
    /// The request was not sent.
    NotSent {
        why: Cause,
    },
    /// It may have been accepted.
    Unknown {
        why: Cause,
    },
}

impl Outcome {
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Rejected { .. } => "rejected",
            Outcome::NotSent { .. } => "not_sent",
            Outcome::Unknown { .. } => "unknown",
        }
    }
}

/// Why a request has no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// Refused, no such name, no TLS.
    NoConnection,
    /// A circuit breaker opened while the message waited.
    HeldBack,
    /// The connection broke after the request was on its way.
    Reset,
    /// No answer in time.
    Timeout,
    /// 5xx.
    ServerError,
    /// The answer does not have the form of the push service.
    Unreadable,
    /// Not one ticket for each recipient.
    TicketCount,
    /// The process ended while the request was under way.
    ProcessEnded,
}

/// The end of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase")]
pub enum Final {
    /// The receipt says that Apple or Google accepted it.
    Delivered,
    /// Accepted without a ticket, so there is no receipt.
    Accepted,
    /// Accepted, but the receipt never appeared.
    ReceiptLost,
    Rejected {
        code: ExpoCode,
        by: RejectedBy,
    },
    /// It may have arrived. The second attempt had an unknown outcome too.
    Unknown,
    Expired,
    /// Not wanted any more before a retry.
    Dropped {
        why: String,
    },
    Coalesced {
        into: u64,
    },
}

impl Final {
    pub fn label(&self) -> &'static str {
        match self {
            Final::Delivered => "delivered",
            Final::Accepted => "accepted",
            Final::ReceiptLost => "receipt_lost",
            Final::Rejected { .. } => "rejected",
            Final::Unknown => "unknown",
            Final::Expired => "expired",
            Final::Dropped { .. } => "dropped",
            Final::Coalesced { .. } => "coalesced",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RejectedBy {
    Ticket,
    Receipt,
    /// Tandem's own check of the size, before sending.
    Budget,
}

/// The next step of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    AskForReceipt { ticket: String },
    End(Final),
    Again(RetryPace),
}

/// How long to wait before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryPace {
    /// The service could not be reached: backoff until the push expires.
    Unreachable,
    /// One retry, marked as a possible duplicate.
    OnceMore,
    /// The whole project is throttled.
    Throttled,
    /// This device is throttled.
    DeviceThrottled,
    /// An operator must repair credentials or settings. The breaker decides when to try again.
    AfterRepair,
}

/// The circuit breaker that an outcome affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The node's access to the service as a whole.
    Access,
    /// The credentials of the recipient's project on its platform.
    Project,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeAction {
    pub next: Next,
    /// The device is not registered any more.
    pub device_unregistered: bool,
    pub fault: Option<Fault>,
    /// An operator should look at it.
    pub alert: bool,
}

impl OutcomeAction {
    fn quiet(next: Next) -> Self {
        Self { next, device_unregistered: false, fault: None, alert: false }
    }
}

/// The action after an attempt. `unknown` counts earlier attempts of the delivery with an unknown outcome.
pub fn after_attempt(outcome: &Outcome, unknown: u32) -> OutcomeAction {
    match outcome {
        Outcome::Accepted { ticket: Some(ticket) } => {
            OutcomeAction::quiet(Next::AskForReceipt { ticket: ticket.clone() })
        }
        Outcome::Accepted { ticket: None } => {
            OutcomeAction { alert: true, ..OutcomeAction::quiet(Next::End(Final::Accepted)) }
        }
        Outcome::NotSent { .. } => OutcomeAction::quiet(Next::Again(RetryPace::Unreachable)),
        Outcome::Unknown { why } => {
            let next = if unknown == 0 { Next::Again(RetryPace::OnceMore) } else { Next::End(Final::Unknown) };
            OutcomeAction { alert: *why == Cause::TicketCount, ..OutcomeAction::quiet(next) }
        }
        Outcome::Rejected { code } => match code.as_str() {
            TOO_MANY_REQUESTS => OutcomeAction::quiet(Next::Again(RetryPace::Throttled)),
            MESSAGE_RATE_EXCEEDED => OutcomeAction::quiet(Next::Again(RetryPace::DeviceThrottled)),
            UNAUTHORIZED | NOT_THE_SERVICE => OutcomeAction {
                fault: Some(Fault::Access),
                alert: true,
                ..OutcomeAction::quiet(Next::Again(RetryPace::AfterRepair))
            },
            INVALID_CREDENTIALS | MISMATCH_SENDER_ID => OutcomeAction {
                fault: Some(Fault::Project),
                alert: true,
                ..OutcomeAction::quiet(Next::Again(RetryPace::AfterRepair))
            },
            _ => rejected(code, RejectedBy::Ticket),
        },
    }
}

/// The action after a receipt. `refusal` is its error code, if it has one. A receipt never causes another send.
pub fn after_receipt(refusal: Option<&ExpoCode>) -> OutcomeAction {
    let Some(code) = refusal else { return OutcomeAction::quiet(Next::End(Final::Delivered)) };
    let fault = matches!(code.as_str(), INVALID_CREDENTIALS | MISMATCH_SENDER_ID).then_some(Fault::Project);
    let action = rejected(code, RejectedBy::Receipt);
    OutcomeAction { fault, alert: action.alert || fault.is_some(), ..action }
}

fn rejected(code: &ExpoCode, by: RejectedBy) -> OutcomeAction {
    let expected = matches!(code.as_str(), DEVICE_NOT_REGISTERED | MESSAGE_RATE_EXCEEDED);
    OutcomeAction {
        next: Next::End(Final::Rejected { code: code.clone(), by }),
        device_unregistered: code.as_str() == DEVICE_NOT_REGISTERED,
        fault: None,
        alert: !expected,
    }
}

impl RetryPace {
    pub fn backoff(self) -> Backoff {
        match self {
            RetryPace::Unreachable | RetryPace::Throttled => {
                Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
            }
            RetryPace::OnceMore => Backoff::constant(Duration::from_secs(5)),
            RetryPace::DeviceThrottled => Backoff::new(Duration::from_secs(30), Duration::from_secs(60 * 60)),
            RetryPace::AfterRepair => Backoff::new(Duration::from_secs(30), Duration::from_secs(30 * 60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> ExpoCode {
        ExpoCode::new(text)
    }

    fn refused(text: &str) -> Outcome {
        Outcome::Rejected { code: code(text) }
    }

    fn ended(text: &str, by: RejectedBy) -> Next {
        Next::End(Final::Rejected { code: code(text), by })
    }

    #[test]
    fn each_outcome_of_an_attempt_has_its_action() {
        let accepted = Outcome::Accepted { ticket: Some("t1".into()) };
        let unknown = |why| Outcome::Unknown { why };
        let receipt = Next::AskForReceipt { ticket: "t1".into() };
        let quiet = (false, None, false);
        for (outcome, unknowns, next, (dead, fault, alert)) in [
            (accepted.clone(), 0, receipt.clone(), quiet),
            (accepted, 1, receipt, quiet),
            (Outcome::Accepted { ticket: None }, 0, Next::End(Final::Accepted), (false, None, true)),
            (Outcome::NotSent { why: Cause::NoConnection }, 0, Next::Again(RetryPace::Unreachable), quiet),
            (Outcome::NotSent { why: Cause::NoConnection }, 1, Next::Again(RetryPace::Unreachable), quiet),
            (unknown(Cause::Reset), 0, Next::Again(RetryPace::OnceMore), quiet),
            (unknown(Cause::Timeout), 0, Next::Again(RetryPace::OnceMore), quiet),
            (unknown(Cause::ProcessEnded), 0, Next::Again(RetryPace::OnceMore), quiet),
            (unknown(Cause::TicketCount), 0, Next::Again(RetryPace::OnceMore), (false, None, true)),
            (unknown(Cause::ServerError), 1, Next::End(Final::Unknown), quiet),
            (unknown(Cause::ProcessEnded), 2, Next::End(Final::Unknown), quiet),
            (refused(TOO_MANY_REQUESTS), 0, Next::Again(RetryPace::Throttled), quiet),
            (refused(TOO_MANY_REQUESTS), 1, Next::Again(RetryPace::Throttled), quiet),
            (refused(MESSAGE_RATE_EXCEEDED), 0, Next::Again(RetryPace::DeviceThrottled), quiet),
            (refused(UNAUTHORIZED), 0, Next::Again(RetryPace::AfterRepair), (false, Some(Fault::Access), true)),
            (refused(NOT_THE_SERVICE), 0, Next::Again(RetryPace::AfterRepair), (false, Some(Fault::Access), true)),
            (refused(INVALID_CREDENTIALS), 0, Next::Again(RetryPace::AfterRepair), (false, Some(Fault::Project), true)),
            (refused(MISMATCH_SENDER_ID), 0, Next::Again(RetryPace::AfterRepair), (false, Some(Fault::Project), true)),
            (refused(DEVICE_NOT_REGISTERED), 0, ended(DEVICE_NOT_REGISTERED, RejectedBy::Ticket), (true, None, false)),
            (refused(MESSAGE_TOO_BIG), 0, ended(MESSAGE_TOO_BIG, RejectedBy::Ticket), (false, None, true)),
            (refused(VALIDATION_ERROR), 0, ended(VALIDATION_ERROR, RejectedBy::Ticket), (false, None, true)),
            (refused("NeverHeardOf"), 0, ended("NeverHeardOf", RejectedBy::Ticket), (false, None, true)),
        ] {
            let expected = OutcomeAction { next, device_unregistered: dead, fault, alert };
            assert_eq!(after_attempt(&outcome, unknowns), expected, "{outcome:?} after {unknowns} unknown");
        }
    }

    #[test]
    fn each_receipt_has_its_action_and_none_sends_again() {
        for (refusal, next, dead, fault, alert) in [
            (None, Next::End(Final::Delivered), false, None, false),
            (Some(DEVICE_NOT_REGISTERED), ended(DEVICE_NOT_REGISTERED, RejectedBy::Receipt), true, None, false),
            (Some(MESSAGE_RATE_EXCEEDED), ended(MESSAGE_RATE_EXCEEDED, RejectedBy::Receipt), false, None, false),
            (Some(MESSAGE_TOO_BIG), ended(MESSAGE_TOO_BIG, RejectedBy::Receipt), false, None, true),
            (
                Some(INVALID_CREDENTIALS),
                ended(INVALID_CREDENTIALS, RejectedBy::Receipt),
                false,
                Some(Fault::Project),
                true,
            ),
            (
                Some(MISMATCH_SENDER_ID),
                ended(MISMATCH_SENDER_ID, RejectedBy::Receipt),
                false,
                Some(Fault::Project),
                true,
            ),
            (Some("NeverHeardOf"), ended("NeverHeardOf", RejectedBy::Receipt), false, None, true),
        ] {
            let expected = OutcomeAction { next, device_unregistered: dead, fault, alert };
            assert_eq!(after_receipt(refusal.map(code).as_ref()), expected, "{refusal:?}");
        }
    }
}
