//! What the fuzz targets (`tests/fuzz`) do with webhooks. The tests do it with the corpus.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use tandem_ably::hmac_sha256;

use super::{
    ApiKey,
    channels::ChannelNames,
    webhook::{WebhookError, names_key, verify_and_parse},
};

fn headers(key: &str, signature: &[u8]) -> HeaderMap {
    let values = [("x-ably-key", HeaderValue::from_str(key)), ("x-ably-signature", HeaderValue::from_bytes(signature))];
    let valid = values.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), value.ok()?)));
    valid.collect()
}

/// A webhook's body. With the node's signature it gives changes in the order of their times, or is malformed. With the
/// body itself as the signature, or another body's signature, it is not believed.
///
/// # Panics
/// If that does not hold.
pub fn webhook(bytes: &[u8]) {
    let key = ApiKey::parse("app.key:secret").expect("a key");
    let names = ChannelNames::default();
    let signature = STANDARD.encode(hmac_sha256(b"secret", &[bytes]));
    let signed = headers("app.key", signature.as_bytes());
    assert!(names_key(&signed, &key));
    match verify_and_parse(&signed, bytes, &key, &names) {
        Ok(changes) => assert!(changes.is_sorted_by_key(|(_, change)| change.at)),
        Err(error) => assert_eq!(error, WebhookError::Malformed),
    }
    let other = [bytes, b" "].concat();
    let refused = |headers: &HeaderMap, body: &[u8]| {
        let outcome = verify_and_parse(headers, body, &key, &names);
        assert!(matches!(outcome, Err(WebhookError::Unsigned | WebhookError::WrongSignature)));
    };
    refused(&signed, &other);
    refused(&headers("app.key", bytes), bytes);
    refused(&headers("app.other", signature.as_bytes()), bytes);
    refused(&HeaderMap::new(), bytes);
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpus_of_webhooks_passes() {
        replay("webhook", super::webhook);
    }
}
