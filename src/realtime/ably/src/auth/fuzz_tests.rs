//! What the fuzz targets (`tests/fuzz`) do with capabilities and token requests. The tests do it with the corpus.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    ApiKey, Capability, Operation,
    nonces::Nonces,
    token,
    token_request::{MAX_TTL_MS, Sender, TokenRequest},
};
use crate::{protocol::Format, time::Timestamp};

/// Names of channels that the resources of a capability may be about.
fn channels(text: &str) -> Vec<String> {
    let object: Value = serde_json::from_str(text).unwrap_or_default();
    let resources = object.as_object().into_iter().flatten().map(|(resource, _)| resource);
    let names = resources.flat_map(|resource| {
        let own = resource.strip_prefix("[*]").unwrap_or(resource);
        [resource.clone(), own.to_owned(), own.replace('*', "x"), own.replace('*', "x:y"), format!("{own}:z")]
    });
    names.chain(["[meta]log".into()]).collect()
}

/// Two capabilities, one in each line. A capability comes back as it was, and the intersection of two allows what both
/// allow somewhere, and never more than either.
///
/// # Panics
/// If that does not hold.
pub fn capability(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    let Ok(own) = Capability::parse(first) else { return };
    let printed = own.to_string();
    let read = Capability::parse(&printed).map_err(|error| error.code);
    assert_eq!(read.as_ref(), Ok(&own));
    let Ok(other) = Capability::parse(second) else { return };
    let names: Vec<_> = channels(first).into_iter().chain(channels(second)).take(64).collect();
    let common = own.intersect(&other);
    let reverse = other.intersect(&own);
    let itself = own.intersect(&own).expect("it has operations");
    for name in &names {
        for &operation in Operation::ALL {
            let allows = |capability: &Option<Capability>| {
                capability.as_ref().is_some_and(|capability| capability.allows(name, operation))
            };
            let both = own.allows(name, operation) && other.allows(name, operation);
            assert!(!allows(&common) || both, "{operation:?} on {name}: {own} and {other} give {common:?}");
            assert_eq!(allows(&common), allows(&reverse), "{operation:?} on {name}: {own} and {other}");
            assert_eq!(itself.allows(name, operation), own.allows(name, operation), "{operation:?} on {name}: {own}");
        }
    }
}

fn key() -> ApiKey {
    let capability = r#"{"a:*":["subscribe","publish"],"b":["*"],"[*]c":["presence"]}"#;
    ApiKey::new("app.key", "secret", Capability::parse(capability).expect("a capability"))
}

/// A token request in any of the formats. Without the right signature it gives no token. With it, the token allows what
/// the key allows at most, expires in time, and is given once.
///
/// # Panics
/// If that does not hold.
pub fn token_request(bytes: &[u8]) {
    let formats = [Format::Json, Format::Msgpack];
    let requests = formats.into_iter().filter_map(|format| format.decode::<TokenRequest>(bytes).ok());
    requests.for_each(redeem);
}

fn redeem(mut request: TokenRequest) {
    let key = key();
    let now = Timestamp::from_millis(1_700_000_000_000);
    let expected = STANDARD.encode(key.hmac(&[request.signed_text().as_bytes()]));
    let is_signed = request.mac.as_deref() == Some(&*expected);
    assert!(
        is_signed || request.redeem(&key, Sender::Anybody, &Nonces::default(), now).is_err(),
        "a token without a signature"
    );

    request.mac = Some(expected);
    let nonces = Nonces::default();
    let Ok(details) = request.redeem(&key, Sender::Anybody, &nonces, now) else { return };
    assert!((1..=MAX_TTL_MS).contains(&(details.expires - details.issued)));
    let grant = token::verify(&details.token, |name| (name == &*key.name).then_some(&key));
    let grant = grant.map_err(|error| error.code).expect("its own token");
    assert_eq!(grant.capability.to_string(), details.capability);
    assert_eq!(grant.expires, Some(details.expires));
    for name in channels(&details.capability) {
        for &operation in Operation::ALL {
            assert!(!grant.capability.allows(&name, operation) || key.capability.allows(&name, operation), "{name}");
        }
    }
    let again = request.redeem(&key, Sender::Anybody, &nonces, now).map(|_| ()).map_err(|error| error.code);
    assert_eq!(again, Err(40105), "a nonce is valid once");
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpus_of_capabilities_passes() {
        replay("capability", super::capability);
    }

    #[test]
    fn the_corpus_of_token_requests_passes() {
        replay("token_request", super::token_request);
    }
}
