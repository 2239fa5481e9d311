//! Who may call: refusals, by shared secret and by an issuer's keys side by side.

use std::sync::mpsc;

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::harness::{Answer, Claims, SECRET, Server, now, server, shared, sign};

async fn with(server: &Server, authorization: &str) -> Answer {
    server.get("/api/v1/sessions").header("authorization", authorization).send().await
}

async fn bearer(server: &Server, token: &str) -> Answer {
    with(server, &format!("Bearer {token}")).await
}

fn unsigned(header: Value, claims: &Claims) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(&claims.json()))
}

#[tokio::test]
async fn an_invalid_token_is_refused_with_a_reason_that_does_not_repeat_it() {
    let server = shared().await;
    let good = Claims::of("user_auth");
    bearer(&server, &good.hs256(SECRET)).await.ok();
    let signed = good.hs256(SECRET);
    let tampered = {
        let mut parts: Vec<_> = signed.split('.').map(str::to_owned).collect();
        parts[1] = URL_SAFE_NO_PAD.encode(Claims::of("user_somebody_else").json().to_string());
        parts.join(".")
    };
    let cases = [
        ("rubbish", "not-a-token".to_owned()),
        ("two parts", "a.b".to_owned()),
        ("an empty token", String::new()),
        ("alg none", unsigned(json!({ "alg": "none", "typ": "JWT" }), &good)),
        ("alg None", unsigned(json!({ "alg": "None" }), &good)),
        ("no signature", unsigned(json!({ "alg": "HS256", "typ": "JWT" }), &good)),
        ("another secret", good.hs256("another secret, as long as the right one is")),
        ("changed claims", tampered),
        ("expired", good.clone().with("exp", now() - 3600).hs256(SECRET)),
        ("not yet valid", good.clone().with("nbf", now() + 3600).hs256(SECRET)),
        ("no expiry", good.clone().without("exp").hs256(SECRET)),
        ("no subject", good.clone().without("sub").hs256(SECRET)),
        ("an empty subject", good.clone().with("sub", "").hs256(SECRET)),
        ("HS512", sign(&Header::new(Algorithm::HS512), &good, &EncodingKey::from_secret(SECRET.as_bytes()))),
    ];
    for (what, token) in cases {
        let answer = bearer(&server, &token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        let error = answer.refused(401, "UNAUTHORIZED");
        assert!(token.len() < 8 || !error.to_string().contains(&token), "{what} is repeated: {error}");
    }
    for scheme in ["Basic dXNlcjpwYXNz", "Bearer", "bearer", "Token x"] {
        with(&server, scheme).await.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn each_reason_for_a_401_has_a_message_of_its_own() {
    let server = shared().await;
    let good = Claims::of("user_auth");
    let reasons = [
        server.get("/api/v1/sessions").send().await,
        bearer(&server, "rubbish").await,
        bearer(&server, &good.clone().with("exp", now() - 3600).hs256(SECRET)).await,
        bearer(&server, &good.hs256("another secret, as long as the right one is")).await,
    ];
    let mut reasons: Vec<_> = reasons.iter().map(|answer| answer.refused(401, "UNAUTHORIZED").to_string()).collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
}

/// Publishes a key set.
struct Issuer {
    url: String,
    handle: ServerHandle,
}

impl Issuer {
    fn start(keys: Vec<Value>) -> Self {
        let (send, started) = mpsc::channel();
        let set = json!({ "keys": keys });
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let set = set.clone();
                    App::new().default_service(web::to(move || {
                        let set = set.clone();
                        async move { HttpResponse::Ok().json(set) }
                    }))
                });
                let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                send.send((address, server.handle())).expect("the test waits");
                let _ = server.await;
            });
        });
        let (address, handle) = started.recv().expect("the issuer starts");
        Self { url: format!("http://{address}/.well-known/jwks.json"), handle }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

struct Key {
    kid: &'static str,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl Key {
    fn rsa() -> Self {
        let pem = include_bytes!("../../src/auth/tests/keys/rsa-one.pem");
        Self { kid: "rsa", algorithm: Algorithm::RS256, private: EncodingKey::from_rsa_pem(pem).expect("a key") }
    }

    fn ec() -> Self {
        let pem = include_bytes!("../../src/auth/tests/keys/ec-one.pem");
        Self { kid: "ec", algorithm: Algorithm::ES256, private: EncodingKey::from_ec_pem(pem).expect("a key") }
    }

    fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, self.algorithm).expect("a public half");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(self.kid);
        jwk
    }

    fn sign(&self, claims: &Claims) -> String {
        sign(&Header { kid: Some(self.kid.into()), ..Header::new(self.algorithm) }, claims, &self.private)
    }
}

#[tokio::test]
async fn an_issuers_keys_and_the_shared_secret_work_side_by_side() {
    let (rsa, ec) = (Key::rsa(), Key::ec());
    let issuer = Issuer::start(vec![rsa.public(), ec.public()]);
    let server = server().set("auth.jwks_url", &issuer.url).start().await;
    let claims = Claims::of("user_issued");
    for token in [rsa.sign(&claims), ec.sign(&claims), claims.hs256(SECRET)] {
        bearer(&server, &token).await.ok();
    }
    let modulus = rsa.public()["n"].as_str().expect("a modulus").to_owned();
    let stranger = Key { kid: "somebody-elses", ..Key::ec() };
    let confused = Key { kid: "rsa", ..Key::ec() };
    for (what, token) in [
        ("an HMAC with the public key", claims.hs256(&modulus)),
        ("an HMAC with the public key and its kid", {
            let header = Header { kid: Some("rsa".into()), ..Header::new(Algorithm::HS256) };
            sign(&header, &claims, &EncodingKey::from_secret(modulus.as_bytes()))
        }),
        ("an unknown kid", stranger.sign(&claims)),
        ("the wrong key under a known kid", confused.sign(&claims)),
        ("expired", ec.sign(&claims.clone().with("exp", now() - 3600))),
        ("alg none with a known kid", unsigned(json!({ "alg": "none", "kid": "rsa" }), &claims)),
    ] {
        let answer = bearer(&server, &token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        answer.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn issuer_audience_and_party_are_checked_where_configured() {
    let ec = Key::ec();
    let issuer = Issuer::start(vec![ec.public()]);
    let server = server()
        .set("auth.jwks_url", &issuer.url)
        .set("auth.issuer", "https://issuer.example")
        .set("auth.audience", "tandem")
        .set("auth.authorized_parties", "[\"https://app.example\"]")
        .start()
        .await;
    let good = Claims::of("user_issued")
        .with("iss", "https://issuer.example")
        .with("aud", "tandem")
        .with("azp", "https://app.example");
    bearer(&server, &ec.sign(&good)).await.ok();
    bearer(&server, &ec.sign(&good.clone().with("aud", json!(["other", "tandem"])))).await.ok();
    for (claim, value) in [("iss", "https://evil.example"), ("aud", "another"), ("azp", "https://evil.example")] {
        let answer = bearer(&server, &ec.sign(&good.clone().with(claim, value))).await;
        assert_eq!(answer.status, 401, "wrong {claim}: {}", answer.body);
    }
    for claim in ["iss", "aud"] {
        let answer = bearer(&server, &ec.sign(&good.clone().without(claim))).await;
        assert_eq!(answer.status, 401, "no {claim}: {}", answer.body);
    }
}

#[tokio::test]
async fn tokens_of_the_shared_secret_are_accepted_while_the_issuer_is_down() {
    let server = server().set("auth.jwks_url", "http://127.0.0.1:9/jwks.json").start().await;
    bearer(&server, &Claims::of("user_here").hs256(SECRET)).await.ok();
    let answer = bearer(&server, &Key::ec().sign(&Claims::of("user_there"))).await;
    assert!(matches!(answer.status, 401 | 503), "{}", answer.body);
}

#[tokio::test]
async fn a_malformed_optional_claim_is_ignored() {
    let server = shared().await;
    for (claim, value) in [
        ("name", json!(7)),
        ("email", json!({ "address": "x" })),
        ("iss", json!(["a", "b"])),
        ("azp", json!(1)),
        ("aud", json!({ "a": 1 })),
    ] {
        let token = Claims::of(&format!("user_odd_{claim}")).with(claim, value.clone()).hs256(SECRET);
        let me = server.get("/api/v1/auth/me").bearer(&token).send().await.ok();
        assert_eq!(me["user"]["id"], format!("user_odd_{claim}"), "{claim}: {value}");
    }
    for (claim, value, reason) in [
        ("exp", json!("tomorrow"), "no_expiry"),
        ("nbf", json!("yesterday"), "unreadable_not_before"),
        ("sub", json!(7), "invalid_subject"),
    ] {
        let token = Claims::of("user_odd").with(claim, value).hs256(SECRET);
        let refused = server.get("/api/v1/auth/me").bearer(&token).send().await.refused(401, "UNAUTHORIZED");
        assert_eq!(refused["details"]["reason"], reason, "{claim}: {refused}");
        let named = refused["message"].as_str().is_some_and(|message| message.contains(claim) || claim == "sub");
        assert!(named, "{claim} is named: {refused}");
    }
}
