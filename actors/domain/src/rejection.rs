//! Why a command or a query was refused. Programs read the code. The message says what would be right. Neither holds a
//! text of a partner.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::Event;

/// The error codes of the HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The token is missing, invalid or expired.
    Unauthorized,
    /// The caller is known and may not do this.
    Forbidden,
    /// The caller's own consent has to come first.
    ConsentRequired,
    /// Nothing there that the caller may see.
    NotFound,
    /// A field has a wrong value; `details` names it.
    ValidationError,
    /// An earlier step is missing; the message names it.
    GateNotSatisfied,
    /// A step of the partner is missing.
    PartnerNotReady,
    /// The status of the session does not allow it; `details.status` has it.
    SessionNotActive,
    /// It belongs to another stage than the caller's.
    InvalidStage,
    /// It was done before, or contradicts what was done before.
    Conflict,
    /// The time of the invitation is over.
    InvitationExpired,
    /// Too early or too often; `Retry-After` says when to try again.
    RateLimited,
    /// Nothing was decided; try again after `Retry-After`.
    ServiceUnavailable,
    /// A fault of the coordinator.
    InternalError,
}

impl Code {
    /// All codes.
    pub const ALL: &[Code] = <Code as strum::VariantArray>::VARIANTS;

    /// The code as in JSON, for example `NOT_FOUND`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused command. It changes nothing, except for the events in [`Rejection::events`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// Decides the HTTP status.
    pub code: Code,
    /// For people, in English. It says what would be right.
    pub message: Cow<'static, str>,
    /// For programs: the object `error.details`.
    pub details: Option<Box<Value>>,
    /// When a retry can succeed. None if time alone does not help.
    pub retry_after: Option<Duration>,
    /// Events that record the rejection, for example of a nudge that came too early. They are applied and stored like
    /// all others. They are not published.
    pub events: Vec<Event>,
}

impl Rejection {
    /// A rejection. The message says what would be right, in lower case without a full stop.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: None, retry_after: None, events: Vec::new() }
    }

    /// Adds `error.details`, which programs can read.
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Adds the wait after which a retry can succeed.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(crate) fn with_events(mut self, events: Vec<Event>) -> Self {
        self.events = events;
        self
    }

    /// For a user who is not a member, whether or not the session exists.
    pub fn no_such_session() -> Self {
        Self::new(Code::NotFound, "there is no such session among yours")
    }

    /// For a user who may not use the invitation, whether or not it exists.
    pub fn no_such_invitation() -> Self {
        Self::new(Code::NotFound, "there is no such invitation")
    }

    /// For every user with whom the caller shares no session, whether or not that user exists.
    pub fn no_such_person() -> Self {
        Self::new(Code::NotFound, "there is no such person among those you have sessions with")
    }

    /// A field with a wrong value. `found` describes the value and never repeats it.
    pub fn invalid(field: &str, found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        let (found, expected) = (found.to_string(), expected.to_string());
        Self::new(Code::ValidationError, format!("{field} must be {expected}; found {found}"))
            .with_details(json!({ "field": field, "found": found, "expected": expected }))
    }

    pub(super) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Conflict, message)
    }

    pub(super) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    pub(super) fn gate(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::GateNotSatisfied, message)
    }

    pub(super) fn partner_not_ready(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::PartnerNotReady, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_spelled_alike_in_json_and_in_text() {
        for code in Code::ALL.iter().copied() {
            assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
        }
    }
}
