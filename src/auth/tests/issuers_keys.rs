use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::{
    issuer::{Issuer, ec, key_set, rsa},
    *,
};

fn verifier(issuer: &Issuer) -> (Arc<Verifier>, Arc<TestClock>) {
    let clock = TestClock::start();
    let config = AuthSettings {
        hs256_secret: Some(Secret::new(SECRET)),
        jwks_url: Some(issuer.url.clone()),
        jwks_timeout: Duration::from_millis(500),
        ..AuthSettings::default()
    };
    (Arc::new(Verifier::new(&config, clock.clone()).unwrap()), clock)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[actix_web::test]
async fn both_algorithms_and_the_shared_secret_work_side_by_side() {
    let (rsa, ec) = (rsa("r1"), ec("e1"));
    let issuer = Issuer::start(key_set(&[&rsa, &ec])).await;
    let (verifier, clock) = verifier(&issuer);
    let own = sign(
        &Secret::new(SECRET),
        &AuthSettings::default(),
        &"user_ben".parse().unwrap(),
        None,
        Duration::from_secs(60),
        clock.now(),
    )
    .unwrap();
    assert_eq!(reason(&verifier, &own).await, "accepted");
    assert_eq!(issuer.requests(), 0, "a token of the shared secret needs no issuer");
    assert_eq!(reason(&verifier, &rsa.sign(&claims(json!({})))).await, "accepted");
    assert_eq!(reason(&verifier, &ec.sign(&claims(json!({})))).await, "accepted");
    assert_eq!(reason(&verifier, &rsa.sign(&claims(json!({ "exp": NOW - 60 })))).await, "expired");
    assert_eq!(issuer.requests(), 1);
}

#[actix_web::test]
async fn a_public_key_is_never_taken_for_a_shared_secret() {
    let rsa = rsa("r1");
    let issuer = Issuer::start(key_set(&[&rsa])).await;
    let (verifier, _) = verifier(&issuer);
    verifier.warm_up().await;
    let public = rsa.public();
    let modulus = public["n"].as_str().unwrap();
    for secret in [modulus.to_owned(), public.to_string(), key_set(&[&rsa])] {
        let header = Header { kid: Some("r1".into()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&header, &claims(json!({})), &key).unwrap();
        assert_eq!(reason(&verifier, &token).await, "bad_signature");
    }
}

#[actix_web::test]
async fn a_key_verifies_its_own_algorithm_and_its_own_signatures_only() {
    let (rsa_1, rsa_2, ec_1) = (rsa("r1"), rsa("r2"), ec("e1"));
    let issuer = Issuer::start(key_set(&[&rsa_1, &ec_1])).await;
    let (verifier, _) = verifier(&issuer);
    let forged = issuer::Key { kid: "r1", ..rsa_2 };
    assert_eq!(reason(&verifier, &forged.sign(&claims(json!({})))).await, "bad_signature");
    let confused = issuer::Key { kid: "e1", ..rsa("r1") };
    assert_eq!(reason(&verifier, &confused.sign(&claims(json!({})))).await, "algorithm_not_allowed");
    let nameless = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims(json!({})), &rsa_1.private).unwrap();
    assert_eq!(reason(&verifier, &nameless).await, "unknown_kid");
}

#[actix_web::test]
async fn a_symmetric_key_in_the_key_set_is_not_used() {
    let set = json!({ "keys": [
        { "kty": "oct", "kid": "o1", "alg": "HS256", "k": "c2VjcmV0" },
        { "kty": "RSA", "kid": "enc", "use": "enc", "n": rsa("r1").public()["n"], "e": "AQAB" },
        rsa("r1").public(),
    ]});
    let issuer = Issuer::start(set.to_string()).await;
    let (verifier, _) = verifier(&issuer);
    let header = Header { kid: Some("o1".into()), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&header, &claims(json!({})), &EncodingKey::from_secret(b"secret")).unwrap();
    assert_eq!(reason(&verifier, &token).await, "bad_signature");
    let encryption = issuer::Key { kid: "enc", ..rsa("r1") };
    assert_eq!(reason(&verifier, &encryption.sign(&claims(json!({})))).await, "unknown_kid");
}

#[actix_web::test]
async fn a_rotated_key_is_fetched_at_once_and_unknown_ones_at_most_once_a_minute() {
    let (one, two) = (rsa("r1"), rsa("r2"));
    let issuer = Issuer::start(key_set(&[&one])).await;
    let (verifier, clock) = verifier(&issuer);
    let old = one.sign(&claims(json!({})));
    assert_eq!(reason(&verifier, &old).await, "accepted");
    issuer.publish(key_set(&[&two]));
    assert_eq!(reason(&verifier, &two.sign(&claims(json!({})))).await, "accepted");
    assert_eq!(issuer.requests(), 2);
    assert_eq!(reason(&verifier, &old).await, "unknown_kid", "a token of a withdrawn key was remembered");

    let unknown = ec("e9");
    for attempt in 0..20 {
        let token = unknown.sign(&claims(json!({ "sub": format!("user_{attempt}") })));
        assert_eq!(reason(&verifier, &token).await, "unknown_kid");
    }
    assert_eq!(issuer.requests(), 2, "unknown keys are asked for more than once a minute");
    clock.advance(60);
    assert_eq!(reason(&verifier, &unknown.sign(&claims(json!({})))).await, "unknown_kid");
    assert_eq!(reason(&verifier, &unknown.sign(&claims(json!({})))).await, "unknown_kid");
    assert_eq!(issuer.requests(), 3);
}

#[actix_web::test]
async fn two_keys_of_different_types_may_share_a_kid() {
    let (rsa, ec) = (rsa("k1"), ec("k1"));
    for set in [[&rsa, &ec], [&ec, &rsa]] {
        let issuer = Issuer::start(key_set(&set)).await;
        let (verifier, _) = verifier(&issuer);
        for key in set {
            assert_eq!(reason(&verifier, &key.sign(&claims(json!({})))).await, "accepted");
        }
    }
}

#[actix_web::test]
async fn a_short_rsa_key_is_not_used() {
    let short = json!({ "kty": "RSA", "kid": "r1", "e": "AQAB", "n": BASE64_URL_SAFE_NO_PAD.encode([0xff; 128]) });
    let other = ec("e1");
    let issuer = Issuer::start(json!({ "keys": [short, other.public()] }).to_string()).await;
    let (verifier, _) = verifier(&issuer);
    assert_eq!(reason(&verifier, &other.sign(&claims(json!({})))).await, "accepted");
    assert_eq!(reason(&verifier, &rsa("r1").sign(&claims(json!({})))).await, "unknown_kid");
}

#[actix_web::test]
async fn a_remembered_token_ends_with_its_key_even_without_requests() {
    let (one, two) = (rsa("r1"), rsa("r2"));
    let issuer = Issuer::start(key_set(&[&one])).await;
    let config = AuthSettings {
        jwks_url: Some(issuer.url.clone()),
        jwks_refresh: Duration::from_millis(20),
        ..AuthSettings::default()
    };
    let verifier = Arc::new(Verifier::new(&config, TestClock::start()).unwrap());
    let token = one.sign(&claims(json!({})));
    assert_eq!(reason(&verifier, &token).await, "accepted");
    let refreshing = verifier.clone();
    actix_web::rt::spawn(async move { refreshing.keep_keys_fresh().await });
    issuer.publish(key_set(&[&two]));
    until("the token is forgotten", || verifier.remembered(&token).is_none()).await;
    assert_eq!(reason(&verifier, &token).await, "unknown_kid");
}

#[actix_web::test]
async fn many_callers_share_one_fetch() {
    let rsa = rsa("r1");
    let issuer = Issuer::start(key_set(&[&rsa])).await;
    issuer.hang();
    let (verifier, _) = verifier(&issuer);
    let callers: Vec<_> = (0..50)
        .map(|caller| {
            let verifier = verifier.clone();
            let token = rsa.sign(&claims(json!({ "sub": format!("user_{caller}") })));
            actix_web::rt::spawn(async move { reason(&verifier, &token).await })
        })
        .collect();
    until("the issuer is asked", || issuer.requests() > 0).await;
    issuer.go_on(50);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "accepted");
    }
    assert_eq!(issuer.requests(), 1);
}

#[actix_web::test]
async fn a_request_that_waits_for_a_refresh_uses_its_keys() {
    let (one, two) = (rsa("r1"), rsa("r2"));
    let issuer = Issuer::start(key_set(&[&one])).await;
    let (verifier, clock) = verifier(&issuer);
    verifier.warm_up().await;
    issuer.publish(key_set(&[&one, &two]));
    issuer.hang();
    clock.advance(3600);
    let later = |key: &issuer::Key| key.sign(&claims(json!({ "exp": NOW + 100_000 })));
    assert_eq!(reason(&verifier, &later(&one)).await, "accepted");
    until("it refreshes in the background", || issuer.requests() == 2).await;
    let (waiting, token) = (verifier.clone(), later(&two));
    let waiting = actix_web::rt::spawn(async move { reason(&waiting, &token).await });
    // Lets it come to where it waits; with one thread, one turn is enough.
    tokio::task::yield_now().await;
    issuer.go_on(10);
    assert_eq!(waiting.await.unwrap(), "accepted");
    assert_eq!(issuer.requests(), 2);
}

#[actix_web::test]
async fn known_keys_stay_in_force_while_the_issuer_is_down() {
    let (one, two) = (rsa("r1"), rsa("r2"));
    let issuer = Issuer::start(key_set(&[&one])).await;
    let (verifier, clock) = verifier(&issuer);
    verifier.warm_up().await;
    let late = |key: &issuer::Key, sub: &str| key.sign(&claims(json!({ "sub": sub, "exp": NOW + 100_000 })));
    for (status, body) in
        [(500, "{}".to_owned()), (200, "<html>".into()), (200, "{\"keys\":[]}".into()), (200, " ".repeat(300_000))]
    {
        issuer.publish(body);
        issuer.fail(status);
        clock.advance(3600);
        let asked = issuer.requests();
        assert_eq!(reason(&verifier, &late(&one, &format!("user_{asked}"))).await, "accepted");
        until("it refreshes in the background", || issuer.requests() == asked + 1).await;
        assert_eq!(reason(&verifier, &late(&two, "user_x")).await, "unknown_kid");
        assert_eq!(reason(&verifier, &late(&one, &format!("user_again_{asked}"))).await, "accepted");
    }
    issuer.publish(key_set(&[&two]));
    clock.advance(3600);
    let old = late(&one, "user_old");
    assert_eq!(reason(&verifier, &old).await, "accepted");
    let mut still = "accepted";
    for _ in 0..1000 {
        still = reason(&verifier, &old).await;
        if still != "accepted" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(still, "unknown_kid", "the background refresh never took the old key away");
}

#[actix_web::test]
async fn without_keys_requests_are_answered_503() {
    let rsa = rsa("r1");
    let issuer = Issuer::start(key_set(&[&rsa])).await;
    issuer.hang();
    let (verifier, clock) = verifier(&issuer);
    let token = rsa.sign(&claims(json!({})));
    assert_eq!(reason(&verifier, &token).await, "keys_unavailable", "a hanging issuer must not hang callers");
    assert_eq!(reason(&verifier, &token).await, "keys_unavailable");
    assert_eq!(issuer.requests(), 1, "a failing issuer is left in peace for a moment");
    issuer.go_on(10);
    clock.advance(3);
    assert_eq!(reason(&verifier, &token).await, "accepted");
}
