//! Bearer tokens as an issuer would make them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("seconds fit")
}

/// Claims of a token that is good for an hour; tests change one thing at a time.
#[derive(Clone)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub fn of(sub: &str) -> Self {
        let mut claims = Map::new();
        claims.insert("sub".into(), json!(sub));
        claims.insert("iat".into(), json!(now()));
        claims.insert("exp".into(), json!(now() + 3600));
        Self(claims)
    }

    pub fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.0.insert(claim.into(), value.into());
        self
    }

    pub fn without(mut self, claim: &str) -> Self {
        self.0.remove(claim);
        self
    }

    pub fn hs256(&self, secret: &str) -> String {
        sign(&Header::new(Algorithm::HS256), self, &EncodingKey::from_secret(secret.as_bytes()))
    }

    pub fn json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

pub fn sign(header: &Header, claims: &Claims, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, &claims.0, key).expect("claims can be signed")
}
