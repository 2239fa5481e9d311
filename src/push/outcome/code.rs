//! The error codes of Expo's push service.

use serde::{Deserialize, Serialize};

/// An error code of Expo; an open set. Codes that are long or hold special characters are dropped, because they might
/// quote a token or a text into rows, logs or metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExpoCode(Box<str>);

impl ExpoCode {
    pub fn new(text: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if text.is_empty() || text.len() > 48 || !text.chars().all(plain) {
            return Self("Unreadable".into());
        }
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The code for metrics: a known code, or `other`.
    pub fn label(&self) -> &'static str {
        KNOWN.into_iter().find(|known| *known == self.as_str()).unwrap_or("other")
    }
}

pub const DEVICE_NOT_REGISTERED: &str = "DeviceNotRegistered";
pub const MESSAGE_TOO_BIG: &str = "MessageTooBig";
pub const MESSAGE_RATE_EXCEEDED: &str = "MessageRateExceeded";
pub const MISMATCH_SENDER_ID: &str = "MismatchSenderId";
pub const INVALID_CREDENTIALS: &str = "InvalidCredentials";
pub const TOO_MANY_REQUESTS: &str = "TOO_MANY_REQUESTS";
pub const UNAUTHORIZED: &str = "UNAUTHORIZED";
pub const TOO_MANY_EXPERIENCES: &str = "PUSH_TOO_MANY_EXPERIENCE_IDS";
pub const TOO_MANY_NOTIFICATIONS: &str = "PUSH_TOO_MANY_NOTIFICATIONS";
pub const VALIDATION_ERROR: &str = "VALIDATION_ERROR";
/// Tandem's own code for an answer that no push service gives: of a proxy, or of a wrong `push.base_url`.
pub const NOT_THE_SERVICE: &str = "NotThePushService";

const KNOWN: [&str; 11] = [
    DEVICE_NOT_REGISTERED,
    MESSAGE_TOO_BIG,
    MESSAGE_RATE_EXCEEDED,
    MISMATCH_SENDER_ID,
    INVALID_CREDENTIALS,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    TOO_MANY_EXPERIENCES,
    TOO_MANY_NOTIFICATIONS,
    VALIDATION_ERROR,
    NOT_THE_SERVICE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_might_quote_something_is_dropped() {
        for text in ["ExponentPushToken[abc]", "a b", "", &"x".repeat(49)] {
            assert_eq!(ExpoCode::new(text).as_str(), "Unreadable");
        }
        assert_eq!(
            (ExpoCode::new("NeverHeardOf").as_str(), ExpoCode::new("NeverHeardOf").label()),
            ("NeverHeardOf", "other")
        );
    }
}
