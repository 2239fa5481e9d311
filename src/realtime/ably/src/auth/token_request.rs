//! `POST /keys/{keyName}/requestToken`: makes a token from a signed request, or from an unsigned one that comes with
//! the key itself.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::{
    ApiKey, Capability,
    nonces::{self, Nonces},
    token::{self, TokenDetails, TokenHolder},
};
use crate::{protocol::ErrorInfo, time::Timestamp};

pub const DEFAULT_TTL_MS: i64 = 3_600_000;
pub const MAX_TTL_MS: i64 = 24 * 3_600_000;

/// How the nonces of the application's own token requests begin. It signs them for its users.
pub const APP_NONCE_PREFIX: &str = "tandem-";

/// Who sends a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client that has shown the key's secret, so the request need not be signed.
    KeyHolder,
    /// Any other client. The request must be signed.
    Anybody,
}

/// A token request from a client. Numbers are kept as the text that was signed.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TokenRequest {
    pub key_name: Option<String>,
    #[serde(deserialize_with = "as_text")]
    pub ttl: Option<String>,
    #[serde(deserialize_with = "capability_text")]
    pub capability: Option<String>,
    pub client_id: Option<String>,
    #[serde(deserialize_with = "as_text")]
    pub timestamp: Option<String>,
    pub nonce: Option<String>,
    pub mac: Option<String>,
}

fn as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        // JavaScript encodes large whole numbers as floats in MessagePack.
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
            _ => number.to_string(),
        }),
        other => Some(other.to_string()),
    })
}

fn capability_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    })
}

impl TokenRequest {
    /// The text whose HMAC is the mac: each field and a newline. Absent fields are empty.
    pub(super) fn signed_text(&self) -> String {
        let field = |value: &Option<String>| value.clone().unwrap_or_default();
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n",
            field(&self.key_name),
            field(&self.ttl),
            field(&self.capability),
            field(&self.client_id),
            field(&self.timestamp),
            field(&self.nonce)
        )
    }

    /// Makes a token.
    ///
    /// # Errors
    /// 40101 for the mac or key name, 40104 timestamp, 40105 nonce, 40003 ttl, 40000 capability, 40012 client id.
    /// 40160 if the key has none of the requested operations.
    pub fn redeem(
        &self,
        key: &ApiKey,
        sender: Sender,
        nonces: &Nonces,
        now: Timestamp,
    ) -> Result<TokenDetails, ErrorInfo> {
        if self.key_name.as_deref().is_some_and(|name| *name != *key.name) {
            return Err(ErrorInfo::invalid_credentials("the keyName of the token request is not the one of the path"));
        }
        if self.mac.is_some() || sender == Sender::Anybody {
            self.check_signature(key, nonces, now)?;
        }
        let ttl = self.ttl()?;
        if self.client_id.as_deref() == Some("") {
            return Err(ErrorInfo::client_id_mismatch("a clientId must not be empty"));
        }
        let capability = match &self.capability {
            None => (*key.capability).clone(),
            Some(text) => key
                .capability
                .intersect(&Capability::parse(text)?)
                .ok_or_else(|| ErrorInfo::not_permitted("the token request asks for no operation that its key has"))?,
        };
        let holder = TokenHolder { client_id: self.client_id.clone(), signed_by_app: self.is_signed_by_app() };
        Ok(token::mint(key, &capability, holder, now, ttl))
    }

    /// Whether the application signed it for one of its users.
    pub fn is_signed_by_app(&self) -> bool {
        self.mac.is_some() && self.nonce.as_deref().is_some_and(|nonce| nonce.starts_with(APP_NONCE_PREFIX))
    }

    /// The time of signing that it states. None if it is not signed.
    pub fn signed_at(&self) -> Option<i64> {
        self.timestamp.as_deref().filter(|_| self.mac.is_some()).and_then(|text| text.parse().ok())
    }

    fn check_signature(&self, key: &ApiKey, nonces: &Nonces, now: Timestamp) -> Result<(), ErrorInfo> {
        let mac = self
            .mac
            .as_deref()
            .ok_or_else(|| ErrorInfo::invalid_credentials("the token request is not signed: it has no mac"))?;
        let expected = key.hmac(&[self.signed_text().as_bytes()]);
        let given = STANDARD.decode(mac).unwrap_or_default();
        if !bool::from(given.as_slice().ct_eq(&expected)) {
            return Err(ErrorInfo::invalid_credentials("the token request's mac is wrong"));
        }
        let timestamp: i64 =
            self.timestamp.as_deref().and_then(|text| text.parse().ok()).ok_or_else(|| {
                ErrorInfo::timestamp_not_current("the token request has no timestamp in milliseconds")
            })?;
        if now.as_millis().abs_diff(timestamp) > nonces::WINDOW.as_millis() as u64 {
            return Err(ErrorInfo::timestamp_not_current("the token request's timestamp is more than two minutes off"));
        }
        match self.nonce.as_deref() {
            Some(nonce) if nonce.chars().count() >= 16 && nonce.len() <= 256 => {
                let at = self.timestamp.as_deref().unwrap_or_default();
                nonces.spend(&key.name, nonce, at, now)
            }
            _ => Err(ErrorInfo::bad_request("the token request's nonce must have at least 16 characters")),
        }
    }

    fn ttl(&self) -> Result<i64, ErrorInfo> {
        let Some(text) = self.ttl.as_deref().filter(|text| !text.is_empty()) else { return Ok(DEFAULT_TTL_MS) };
        match text.parse::<i64>() {
            Ok(0) => Ok(DEFAULT_TTL_MS),
            Ok(ttl) if (1..=MAX_TTL_MS).contains(&ttl) => Ok(ttl),
            _ => Err(ErrorInfo::invalid_parameter("a ttl must be between 1 ms and 24 hours")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn key() -> ApiKey {
        let capability = Capability::parse(r#"{"a:*":["subscribe","publish"]}"#).unwrap();
        ApiKey::new("app.key", "secret", capability)
    }

    fn signed(change: impl FnOnce(&mut TokenRequest)) -> TokenRequest {
        let mut request = TokenRequest {
            key_name: Some("app.key".into()),
            timestamp: Some(NOW.as_millis().to_string()),
            nonce: Some("0123456789abcdef".into()),
            ..TokenRequest::default()
        };
        change(&mut request);
        request.mac = Some(STANDARD.encode(key().hmac(&[request.signed_text().as_bytes()])));
        request
    }

    fn refused(request: &TokenRequest) -> u32 {
        request.redeem(&key(), Sender::Anybody, &Nonces::default(), NOW).map(|_| ()).unwrap_err().code
    }

    #[test]
    fn a_signed_request_becomes_a_token_once() {
        let nonces = Nonces::default();
        let request = signed(|_| ());
        let details = request
            .redeem(&key(), Sender::Anybody, &nonces, NOW)
            .map_err(|e| e.code)
            .map(|d| (d.expires - d.issued, d.capability));
        assert_eq!(details, Ok((DEFAULT_TTL_MS, r#"{"a:*":["publish","subscribe"]}"#.to_owned())));
        assert_eq!(request.redeem(&key(), Sender::Anybody, &nonces, NOW).map(|_| ()).unwrap_err().code, 40105);
    }

    #[test]
    fn the_applications_token_requests_are_recognised_by_their_signed_nonce() {
        let nonce = || Some(format!("{APP_NONCE_PREFIX}0123456789abcdef"));
        assert!(signed(|request| request.nonce = nonce()).is_signed_by_app());
        assert!(!signed(|_| ()).is_signed_by_app());
        assert!(!TokenRequest { mac: None, ..signed(|request| request.nonce = nonce()) }.is_signed_by_app());
        assert_eq!(refused(&TokenRequest { nonce: nonce(), ..signed(|_| ()) }), 40101, "nobody else can say so");
    }

    #[test]
    fn each_fault_has_its_code() {
        assert_eq!(refused(&signed(|r| r.timestamp = Some((NOW.as_millis() - 121_000).to_string()))), 40104);
        assert_eq!(refused(&signed(|r| r.timestamp = None)), 40104);
        assert_eq!(refused(&signed(|r| r.nonce = Some("short".into()))), 40000);
        assert_eq!(refused(&signed(|r| r.ttl = Some("-1".into()))), 40003);
        assert_eq!(refused(&signed(|r| r.ttl = Some("notanumber".into()))), 40003);
        assert_eq!(refused(&signed(|r| r.ttl = Some((MAX_TTL_MS + 1).to_string()))), 40003);
        assert_eq!(refused(&signed(|r| r.capability = Some(r#"{"b":["subscribe"]}"#.into()))), 40160);
        assert_eq!(refused(&signed(|r| r.capability = Some("nonsense".into()))), 40000);
        assert_eq!(refused(&signed(|r| r.client_id = Some(String::new()))), 40012);
        assert_eq!(refused(&TokenRequest { mac: None, ..signed(|_| ()) }), 40101);
        assert_eq!(refused(&TokenRequest { ttl: Some("5".into()), ..signed(|_| ()) }), 40101, "changed after signing");
        assert_eq!(refused(&TokenRequest { key_name: Some("app.other".into()), ..signed(|_| ()) }), 40101);
    }

    #[test]
    fn numbers_are_signed_as_they_are_written() {
        let request: TokenRequest = serde_json::from_str(r#"{"ttl":3600000,"timestamp":1700000000000}"#).unwrap();
        assert_eq!(request.signed_text(), "\n3600000\n\n\n1700000000000\n\n");
    }
}
