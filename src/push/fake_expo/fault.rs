//! Failures on demand.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    #[default]
    Send,
    Receipts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// 429; with `Retry-After` if there is one.
    RateLimit {
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Fails before it has accepted anything.
    ErrorBefore {
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// Accepts everything, and fails then.
    ErrorAfter {
        #[serde(default = "gateway_timeout")]
        status: u16,
    },
    ResetBefore,
    /// Accepts everything, and cuts the connection.
    ResetAfter,
    /// Accepts everything, and never answers.
    Hang,
    /// Answers late.
    Slow {
        millis: u64,
    },
    /// Accepts everything, and answers without JSON.
    Unreadable,
    /// Accepts everything, and leaves the last ticket out.
    Short,
    /// Refuses the first recipient with this code.
    Code {
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
        to: String,
    },
}

fn unavailable() -> u16 {
    503
}

fn gateway_timeout() -> u16 {
    504
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
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
    pub fn once(kind: FaultKind) -> Self {
        Self { kind, on: Route::Send, times: Some(1), probability: 1.0 }
    }

    pub fn forever(kind: FaultKind) -> Self {
        Self { times: None, ..Self::once(kind) }
    }

    pub fn sometimes(kind: FaultKind, probability: f64) -> Self {
        Self { probability, ..Self::forever(kind) }
    }

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
