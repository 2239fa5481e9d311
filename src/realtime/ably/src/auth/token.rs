//! Tokens. They are self-contained, so that they are valid after a restart: `<app>.<base64url of (mac, body)>`. The
//! body is compressed, because tokens travel in URLs and list one capability entry for each session of the caller.

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{ApiKey, AuthMethod, Capability, ClientId, Grant};
use crate::{protocol::ErrorInfo, time::Timestamp};

const MAC: usize = 16;
const PURPOSE: &[u8] = b"tandem realtime token 1\0";
/// The largest size of a decompressed body.
const MAX_BODY: u64 = 131_072;

#[derive(Serialize, Deserialize)]
struct TokenBody {
    key_name: String,
    issued: i64,
    expires: i64,
    capability: String,
    client_id: Option<String>,
    /// Makes two tokens with the same content and time differ.
    salt: u64,
    /// See [`Grant::signed_by_app`].
    #[serde(default)]
    signed_by_app: bool,
}

/// The response of `requestToken`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenDetails {
    pub token: String,
    pub key_name: String,
    pub issued: i64,
    pub expires: i64,
    pub capability: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// Whom a token is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenHolder {
    pub client_id: Option<String>,
    /// See [`Grant::signed_by_app`].
    pub signed_by_app: bool,
}

pub fn mint(
    key: &ApiKey,
    capability: &Capability,
    holder: TokenHolder,
    issued: Timestamp,
    ttl_ms: i64,
) -> TokenDetails {
    let TokenHolder { client_id, signed_by_app } = holder;
    let body = TokenBody {
        key_name: key.name.as_ref().to_owned(),
        issued: issued.as_millis(),
        expires: issued.as_millis() + ttl_ms,
        capability: capability.to_string(),
        client_id,
        salt: rand::random(),
        signed_by_app,
    };
    let packed = deflate(&rmp_serde::to_vec(&body).expect("a body holds only what MessagePack can"));
    let mac = key.hmac(&[PURPOSE, &packed]);
    let token = format!("{}.{}", ApiKey::app_id(&key.name), URL_SAFE_NO_PAD.encode([&mac[..MAC], &packed].concat()));
    TokenDetails {
        token,
        key_name: body.key_name,
        issued: body.issued,
        expires: body.expires,
        capability: body.capability,
        client_id: body.client_id,
    }
}

/// Verifies a token that one of these keys has signed. The caller checks expiry and revocation.
///
/// # Errors
/// 40143 if the text is not a token, or its key no longer exists.
pub fn verify<'k>(token: &str, find_key: impl FnOnce(&str) -> Option<&'k ApiKey>) -> Result<Grant, ErrorInfo> {
    let unrecognised = || ErrorInfo::token_unrecognised("the token is not one that this server has issued");
    let (_, encoded) = token.split_once('.').ok_or_else(unrecognised)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| unrecognised())?;
    let (mac, packed) = bytes.split_at_checked(MAC).ok_or_else(unrecognised)?;
    let mut plain = Vec::new();
    DeflateDecoder::new(packed).take(MAX_BODY).read_to_end(&mut plain).map_err(|_| unrecognised())?;
    let body: TokenBody = rmp_serde::from_slice(&plain).map_err(|_| unrecognised())?;
    let key = find_key(&body.key_name).ok_or_else(unrecognised)?;
    if !bool::from(key.hmac(&[PURPOSE, packed])[..MAC].ct_eq(mac)) {
        return Err(unrecognised());
    }
    Ok(Grant {
        auth_method: AuthMethod::Token,
        key_name: key.name.clone(),
        capability: Capability::parse(&body.capability).map_err(|_| unrecognised())?.into(),
        client_id: ClientId::of_token(body.client_id.as_deref()),
        issued: body.issued,
        expires: Some(body.expires),
        revocation_key: None,
        signed_by_app: body.signed_by_app,
    })
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> ApiKey {
        ApiKey::new("app123.key1", secret, Capability::everything())
    }

    fn token(key: &ApiKey) -> TokenDetails {
        let holder = TokenHolder { client_id: Some("alice".into()), signed_by_app: true };
        mint(key, &Capability::everything(), holder, Timestamp::from_millis(1_000), 60_000)
    }

    #[test]
    fn a_token_says_what_it_was_issued_for() {
        let key = key("secret");
        let details = token(&key);
        let grant = verify(&details.token, |name| (name == "app123.key1").then_some(&key)).unwrap();
        assert_eq!(grant.client_id, ClientId::Is("alice".into()));
        assert_eq!((grant.issued, grant.expires, grant.signed_by_app), (1_000, Some(61_000), true));
        assert!(details.token.starts_with("app123.") && !details.token.contains("secret"));
        assert_ne!(details.token, token(&key).token, "each token is its own");
    }

    #[test]
    fn a_token_of_an_earlier_release_is_read() {
        #[derive(Serialize)]
        struct Earlier(&'static str, i64, i64, &'static str, Option<&'static str>, u64);
        let body = Earlier("app123.key1", 1, 2, r#"{"c":["subscribe"]}"#, Some("alice"), 7);
        let packed = deflate(&rmp_serde::to_vec(&body).unwrap());
        let key = key("secret");
        let mac = key.hmac(&[PURPOSE, &packed]);
        let token = format!("app123.{}", URL_SAFE_NO_PAD.encode([&mac[..MAC], &packed].concat()));
        let grant = verify(&token, |_| Some(&key)).map(|grant| (grant.expires, grant.signed_by_app));
        assert_eq!(grant, Ok((Some(2), false)));
    }

    #[test]
    fn a_changed_token_or_another_secret_is_refused() {
        let (ours, other) = (key("secret"), key("other"));
        let details = token(&ours);
        assert_eq!(verify(&details.token, |_| Some(&other)).unwrap_err().code, 40143);
        for position in 7..details.token.len() - 1 {
            let mut changed = details.token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed == details.token || verify(&changed, |_| Some(&ours)).is_err(), "position {position}");
        }
    }
}
