use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::*;

fn config() -> AuthSettings {
    AuthSettings { hs256_secret: Some(Secret::new(SECRET)), ..AuthSettings::default() }
}

fn verifier(config: &AuthSettings) -> (Verifier, Arc<TestClock>) {
    let clock = TestClock::start();
    (Verifier::new(config, clock.clone()).unwrap(), clock)
}

fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn part(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

#[actix_web::test]
async fn a_token_made_here_is_accepted_with_its_claims() {
    let config = AuthSettings { issuer: Some("tandem".into()), audience: vec!["app".into()], ..config() };
    let (verifier, clock) = verifier(&config);
    let user = "auth0|anna".parse().unwrap();
    let token =
        sign(&Secret::new(SECRET), &config, &user, Some("Anna"), std::time::Duration::from_secs(60), clock.now())
            .unwrap();
    for _ in 0..2 {
        let identity = verifier.verify(&token).await.unwrap();
        assert_eq!((&identity.user, identity.name.as_deref()), (&user, Some("Anna")));
    }
    clock.advance(66);
    assert_eq!(reason(&verifier, &token).await, "expired", "a remembered token was accepted beyond its expiry");
}

#[actix_web::test]
async fn a_rejected_token_names_its_problem() {
    let config = AuthSettings {
        issuer: Some("https://issuer".into()),
        audience: vec!["app".into(), "web".into()],
        authorized_parties: vec!["https://app".into()],
        ..config()
    };
    let (verifier, _) = verifier(&config);
    let good = json!({ "iss": "https://issuer", "aud": ["other", "web"], "azp": "https://app" });
    let with = |name: &str, value: Value| {
        let mut claims = claims(good.clone());
        claims[name] = value;
        signed(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims(good.clone());
        claims.as_object_mut().unwrap().remove(name);
        signed(&claims)
    };
    let fine = signed(&claims(good.clone()));
    let [header, payload, signature] = fine.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let table = [
        (fine.clone(), "accepted"),
        (with("aud", json!("app")), "accepted"),
        (without("azp"), "accepted"),
        (with("exp", json!(NOW as f64 + 0.5)), "accepted"),
        (with("exp", json!(NOW - 4)), "accepted"),
        (with("exp", json!(NOW - 5)), "expired"),
        (with("exp", json!("soon")), "no_expiry"),
        (without("exp"), "no_expiry"),
        (with("nbf", json!(NOW + 5)), "accepted"),
        (with("nbf", json!(NOW + 6)), "not_yet_valid"),
        (with("iss", json!("https://other")), "wrong_issuer"),
        (without("iss"), "wrong_issuer"),
        (with("aud", json!(["other"])), "wrong_audience"),
        (without("aud"), "wrong_audience"),
        (with("azp", json!("https://evil")), "wrong_authorized_party"),
        (without("sub"), "invalid_subject"),
        (with("sub", json!("")), "invalid_subject"),
        (with("sub", json!("*")), "invalid_subject"),
        (with("sub", json!("*:*")), "invalid_subject"),
        (with("sub", json!("oidc:*")), "invalid_subject"),
        (with("sub", json!("a\nb")), "invalid_subject"),
        (format!("{header}.{payload}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 32])), "bad_signature"),
        (format!("{header}.{payload}."), "bad_signature"),
        (format!("{header}.{}.{signature}", part(&claims(json!({ "sub": "user_eve" })))), "bad_signature"),
        (format!("{}.{payload}.", part(&json!({ "alg": "none" }))), "alg_none"),
        (format!("{}.{payload}.{signature}", part(&json!({ "alg": "nOnE" }))), "alg_none"),
        (format!("{}.{payload}.{signature}", part(&json!({ "alg": "HS512" }))), "algorithm_not_allowed"),
        (format!("{}.{payload}.{signature}", part(&json!({ "alg": "RS256", "kid": "a" }))), "algorithm_not_allowed"),
        (format!("{}.{payload}.{signature}", part(&json!({ "alg": "HS256", "crit": ["b64"] }))), "malformed"),
        (format!("{header}.{payload}"), "malformed"),
        (format!("{fine}.x"), "malformed"),
        ("x".repeat(20_000), "malformed"),
        (String::new(), "malformed"),
    ];
    for (token, expected) in table {
        assert_eq!(reason(&verifier, &token).await, expected, "{token}");
    }
}

#[test]
fn settings_without_a_usable_key_are_refused() {
    let clock = TestClock::start();
    let refused = |config: AuthSettings| Verifier::new(&config, clock.clone()).err();
    assert_eq!(refused(AuthSettings::default()), Some(AuthSettingsError::NoKeys));
    assert_eq!(
        refused(AuthSettings { hs256_secret: Some(Secret::new("")), ..AuthSettings::default() }),
        Some(AuthSettingsError::EmptySecret)
    );
    let found = "issuer.example/jwks".to_owned();
    let config = AuthSettings { jwks_url: Some(found.clone()), ..AuthSettings::default() };
    assert_eq!(refused(config), Some(AuthSettingsError::JwksUrl { found }));
}

#[test]
fn secrets_are_never_shown() {
    let shown = format!("{:?}", config());
    assert!(!shown.contains(SECRET) && shown.contains("[redacted]"), "{shown}");
}
