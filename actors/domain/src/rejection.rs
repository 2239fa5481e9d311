//! Why a command or a query was refused. Programs read the code. The message says what would be right. Neither holds a
//! text of a partner.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::Event;

/// The error codes of the HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    Unauthorized,
    Forbidden,
    ConsentRequired,
    NotFound,
    ValidationError,
    GateNotSatisfied,
    PartnerNotReady,
    SessionNotActive,
    InvalidStage,
    Conflict,
    InvitationExpired,
    RateLimited,
    ServiceUnavailable,
    InternalError,
}

impl Code {
    pub const ALL: [Code; 14] = [
        Code::Unauthorized,
        Code::Forbidden,
        Code::ConsentRequired,
        Code::NotFound,
        Code::ValidationError,
        Code::GateNotSatisfied,
        Code::PartnerNotReady,
        Code::SessionNotActive,
        Code::InvalidStage,
        Code::Conflict,
        Code::InvitationExpired,
        Code::RateLimited,
        Code::ServiceUnavailable,
        Code::InternalError,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Unauthorized => "UNAUTHORIZED",
            Code::Forbidden => "FORBIDDEN",
            Code::ConsentRequired => "CONSENT_REQUIRED",
            Code::NotFound => "NOT_FOUND",
            Code::ValidationError => "VALIDATION_ERROR",
            Code::GateNotSatisfied => "GATE_NOT_SATISFIED",
            Code::PartnerNotReady => "PARTNER_NOT_READY",
            Code::SessionNotActive => "SESSION_NOT_ACTIVE",
            Code::InvalidStage => "INVALID_STAGE",
            Code::Conflict => "CONFLICT",
            Code::InvitationExpired => "INVITATION_EXPIRED",
            Code::RateLimited => "RATE_LIMITED",
            Code::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Code::InternalError => "INTERNAL_ERROR",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused command. It changes nothing, except for the events in [`Rejection::noted`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    pub code: Code,
    pub message: Cow<'static, str>,
    pub details: Option<Box<Value>>,
    pub retry_after: Option<Duration>,
    /// Events that record the refusal, for example of a nudge that came too early. They are applied and stored like all
    /// others, and nobody is told.
    pub noted: Vec<Event>,
}

impl Rejection {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: None, retry_after: None, noted: Vec::new() }
    }

    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(crate) fn with_noted(mut self, events: Vec<Event>) -> Self {
        self.noted = events;
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
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
        }
    }
}
