mod issuer;
mod issuers_keys;
mod shared_secret;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::{Value, json};
use tandem_actors::{domain::time::Timestamp, ports::Clock};

use super::*;

const NOW: i64 = 1_800_000_000;
const SECRET: &str = "a secret that is long enough to be one";

/// A clock that the test moves; in seconds.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl TestClock {
    fn start() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW)))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst) * 1000)
    }
}

fn claims(more: Value) -> Value {
    let mut claims = json!({ "sub": "user_anna", "exp": NOW + 600 });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn reason(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token).await {
        Ok(_) => "accepted",
        Err(reason) => reason.as_str(),
    }
}
