//! Push tokens: the addresses of devices at Expo. A push token allows to send to the device, so it is as secret as a
//! password. Only Expo gets it.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

/// `ExponentPushToken[…]`, `ExpoPushToken[…]`, or 8-4-4-4-12 letters and digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PushToken(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a push token must be ExponentPushToken[…], ExpoPushToken[…] or of the form 8-4-4-4-12")]
pub struct InvalidPushToken;

const LONGEST: usize = 255;

impl PushToken {
    /// The token itself, for messages to Expo only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// As an operator may see it: the form, and so little of the rest that nobody can send with it.
    pub fn shortened(&self) -> String {
        let (form, inner, end) = match self.0.split_once('[') {
            Some((form, inner)) => (form, inner.trim_end_matches(']'), "]"),
            None => ("", &*self.0, ""),
        };
        // Of a short token, four characters would be too much.
        let shown: String = if inner.len() >= 16 { inner.chars().take(4).collect() } else { String::new() };
        let bracket = if end.is_empty() { "" } else { "[" };
        format!("{form}{bracket}{shown}…{end}")
    }

    /// SHA-256, for keys of rows.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The device's name in rows and logs.
    pub fn device_id(&self) -> DeviceId {
        DeviceId(HEXLOWER.encode(&self.digest()[..8]).into())
    }
}

/// As a schema.
pub fn form() -> RefOr<Schema> {
    const PATTERN: &str =
        r#"^(Expo(nent)?PushToken\[[!#-Z^-~]+\]|[A-Za-z0-9]{8}(-[A-Za-z0-9]{4}){3}-[A-Za-z0-9]{12})$"#;
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(LONGEST)).pattern(Some(PATTERN)).into()
}

fn is_push_token(text: &str) -> bool {
    let inner = text
        .strip_prefix("ExponentPushToken[")
        .or_else(|| text.strip_prefix("ExpoPushToken["))
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => {
            !inner.is_empty()
                && text.len() <= LONGEST
                && inner.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'[' | b']' | b'"' | b'\\'))
        }
        None => {
            let mut groups = text.split('-');
            let fits = |group: Option<&str>, length: usize| {
                group.is_some_and(|group| {
                    group.len() == length && group.bytes().all(|byte| byte.is_ascii_alphanumeric())
                })
            };
            [8, 4, 4, 4, 12].into_iter().all(|length| fits(groups.next(), length)) && groups.next().is_none()
        }
    }
}

impl FromStr for PushToken {
    type Err = InvalidPushToken;
    fn from_str(text: &str) -> Result<Self, InvalidPushToken> {
        if is_push_token(text) { Ok(Self(text.into())) } else { Err(InvalidPushToken) }
    }
}

impl TryFrom<String> for PushToken {
    type Error = InvalidPushToken;
    fn try_from(text: String) -> Result<Self, InvalidPushToken> {
        text.parse()
    }
}

impl From<PushToken> for String {
    fn from(token: PushToken) -> String {
        token.0.into()
    }
}

impl fmt::Debug for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushToken({})", self.device_id().as_str())
    }
}

/// The beginning of a token's digest. It distinguishes devices and does not reveal the token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(Box<str>);

impl DeviceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_forms_are_push_tokens() {
        for good in [
            "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]",
            "ExpoPushToken[a-b_c:d]",
            "F5741A13-BCDA-434B-A316-5DC0E6FFA94F",
        ] {
            assert!(good.parse::<PushToken>().is_ok(), "{good}");
        }
        let long = format!("ExpoPushToken[{}]", "x".repeat(250));
        for bad in [
            "",
            "ExponentPushToken[]",
            "ExponentPushToken[a",
            "exponentpushtoken[a]",
            "ExpoPushToken[a\"b]",
            "ExpoPushToken[a]b]",
            "ExpoPushToken[ä]",
            "F5741A13-BCDA-434B-A316-5DC0E6FFA94",
            "F5741A13-BCDA-434B-A316-5DC0E6FFA94F-",
            "F5741A13-BCDA-434B-A316-5DC0E6FFA94?",
            long.as_str(),
        ] {
            assert_eq!(bad.parse::<PushToken>(), Err(InvalidPushToken), "{bad}");
        }
    }

    #[test]
    fn a_shortened_token_shows_four_characters_at_most() {
        let shortened = |token: &str| token.parse::<PushToken>().unwrap().shortened();
        assert_eq!(shortened("ExponentPushToken[xyzwxxxxxxxxxxxxxxxxxx]"), "ExponentPushToken[xyzw…]");
        assert_eq!(shortened("ExpoPushToken[abcdefgh]"), "ExpoPushToken[…]");
        assert_eq!(shortened("F5741A13-BCDA-434B-A316-5DC0E6FFA94F"), "F574…");
    }

    #[test]
    fn a_token_cannot_be_read_from_its_debug_output() {
        let token: PushToken = "ExponentPushToken[canary]".parse().unwrap();
        assert!(!format!("{token:?} {:?}", token.device_id()).contains("canary"));
    }
}
