//! What the fuzz targets (`tests/fuzz`) do with tokens and key sets. The tests do it with the corpus.

use std::sync::{Arc, LazyLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::FutureExt;
use tandem_actors::{domain::time::Timestamp, ports::Clock};

use super::{AuthSettings, Identity, Reason, Secret, Verifier, jwks};

const SECRET: &str = "a secret that is long enough to be one";

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let settings = AuthSettings {
        hs256_secret: Some(Secret::new(SECRET)),
        audience: vec!["a".into()],
        remembered_tokens: 1,
        ..AuthSettings::default()
    };
    Verifier::new(&settings, Arc::new(Standing)).expect("valid settings")
});

fn verify(token: &str) -> Result<Arc<Identity>, Reason> {
    VERIFIER.verify(token).now_or_never().expect("a shared secret needs no fetch")
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let part = |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = tandem_ably::hmac_sha256(SECRET.as_bytes(), &[signed.as_bytes()]);
    format!("{signed}.{}", part(&signature))
}

/// A token, and the claims of a signed one. Only a signed token is accepted, and what it says is fit to be shown.
///
/// # Panics
/// If that does not hold.
pub fn bearer(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(verify(text).is_err(), "accepted without the secret");
    }
    let _ = verify(&signed(bytes, b"{}"));
    let token = signed(br#"{"alg":"HS256"}"#, bytes);
    if let Ok(identity) = verify(&token) {
        assert!(!identity.user.as_str().contains('*'));
        for text in [&identity.name, &identity.email].into_iter().flatten() {
            assert!(!text.trim().is_empty() && text.chars().count() <= 320 && !text.contains(char::is_control));
        }
        assert!(verify(&token).is_ok(), "accepted once, and not again");
        for claims in [[bytes, b" "].concat(), bytes[..bytes.len() - 1].to_vec()] {
            let (head, signature) = token.rsplit_once('.').expect("three parts");
            let header = head.split('.').next().unwrap_or_default();
            let forged = format!("{header}.{}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(claims));
            assert!(verify(&forged).is_err(), "other claims with this signature");
        }
    }
}

/// A key set. Its keys verify nothing that they have not signed.
///
/// # Panics
/// If that does not hold.
pub fn jwks(bytes: &[u8]) {
    let Ok(keys) = jwks::read(bytes) else { return };
    for ((_, algorithm), key) in keys {
        for signature in ["", "AAAA", &"A".repeat(86), &"A".repeat(342)] {
            let verified = jsonwebtoken::crypto::verify(signature, b"a.b", &key.key, algorithm.into());
            assert!(!verified.unwrap_or(false), "a forged signature is accepted");
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpora_of_tokens_and_key_sets_pass() {
        replay("bearer", super::bearer);
        replay("jwks", super::jwks);
    }
}
