//! Failures on demand.

use serde::{Deserialize, Serialize};

/// Which requests a fault affects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST /--/api/v2/push/send`
    #[default]
    Send,
    /// `POST /--/api/v2/push/getReceipts`
    Receipts,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// 429; with `Retry-After` if there is one.
    RateLimit {
        /// The `retry-after` header, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Fails before it has accepted anything.
    ErrorBefore {
        /// The HTTP status; 503, if left out.
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// Accepts everything, and fails then.
    ErrorAfter {
        /// The HTTP status; 504, if left out.
        #[serde(default = "gateway_timeout")]
        status: u16,
    },
    /// Cuts the connection before it has accepted anything.
    ResetBefore,
    /// Accepts everything, and cuts the connection.
    ResetAfter,
    /// Accepts everything, and never answers.
    Hang,
    /// Answers late.
    Slow {
        /// The delay.
        millis: u64,
    },
    /// Accepts everything, and answers without JSON.
    Unreadable,
    /// Accepts everything, and leaves the last ticket out.
    Short,
    /// Refuses the first recipient with this code.
    Code {
        /// One of Expo's codes, for example `MessageTooBig`.
        code: String,
    },
    /// Accepts everything; the first ticket is `null`.
    OddTicket,
    /// Accepts everything, and adds errors of the whole request.
    TicketsAndErrors,
    /// 401, as for a wrong bearer token.
    Unauthorized,
    /// An answer that never ends.
    Endless,
    /// Answers with a redirect.
    Redirect {
        /// The `Location` header.
        to: String,
    },
}

fn unavailable() -> u16 {
    503
}

fn gateway_timeout() -> u16 {
    504
}

/// A fault, and the requests that it affects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Requests of this route.
    #[serde(default)]
    pub on: Route,
    /// How many times. Absent: until it is deleted.
    #[serde(default)]
    pub times: Option<u32>,
    /// The share of requests that it affects, between 0 and 1.
    #[serde(default = "always")]
    pub probability: f64,
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// The next request to send.
    pub fn once(kind: FaultKind) -> Self {
        Self { kind, on: Route::Send, times: Some(1), probability: 1.0 }
    }

    /// All requests to send, until the faults end.
    pub fn forever(kind: FaultKind) -> Self {
        Self { times: None, ..Self::once(kind) }
    }

    /// A share of all requests to send, between 0 and 1.
    pub fn sometimes(kind: FaultKind, probability: f64) -> Self {
        Self { probability, ..Self::forever(kind) }
    }

    /// The same fault on another route.
    pub fn on(self, route: Route) -> Self {
        Self { on: route, ..self }
    }
}

/// The fault that affects this request, if any.
pub fn take(faults: &mut Vec<Fault>, route: Route) -> Option<FaultKind> {
    let hits = |fault: &Fault| fault.on == route && rand::random_bool(fault.probability.clamp(0.0, 1.0));
    let place = faults.iter().position(hits)?;
    let kind = faults[place].kind.clone();
    if let Some(times) = &mut faults[place].times {
        *times = times.saturating_sub(1);
        if *times == 0 {
            faults.remove(place);
        }
    }
    Some(kind)
}
