//! Nothing private leaves: canaries in every field that is private, and a search through everything that goes out.

use std::{io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::Value;
use tandem::push::{
    ExplainedPush,
    fake_expo::{DeviceSetup, Fault, FaultKind, ProjectSetup},
};
use tandem::secret::Secret;
use tracing_subscriber::{Layer as _, filter::LevelFilter, layer::SubscriberExt as _};

use super::rig::{Rig, eventually, user};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const USER: &str = "canary-user@example.org";
const TOKEN: &str = "ExponentPushToken[canarytoken]";
const DEAD_TOKEN: &str = "ExponentPushToken[canarydead]";
const ACCESS: &str = "canaryaccess";

/// Every string in a JSON value but those under `to`.
fn without_addresses(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "to") {
                found.push(key.clone());
                without_addresses(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| without_addresses(value, found)),
        Value::Null => {}
        other => found.push(other.to_string()),
    }
}

#[tokio::test]
async fn nothing_private_is_in_a_body_a_log_or_a_metric() {
    let log = Log::default();
    let writer = log.clone();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(LevelFilter::TRACE));
    let _logging = tracing::subscriber::set_default(subscriber);
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _measuring = metrics::set_default_local_recorder(&recorder);

    let rig = Rig::with(|config| config.access_token = Some(Secret::new(ACCESS))).await;
    assert!(!format!("{:?}", rig.config).contains("canary"));
    let project = ProjectSetup { access_token: Some(ACCESS.into()), ..ProjectSetup::default() };
    rig.expo.set_project("@tandem/app", project);
    rig.expo.set_device(DEAD_TOKEN, DeviceSetup { registered: false, ..DeviceSetup::default() });
    for kind in [
        FaultKind::Unauthorized,
        FaultKind::ErrorAfter { status: 500 },
        FaultKind::ResetAfter,
        FaultKind::RateLimit { retry_after: Some(1) },
        FaultKind::Unreadable,
        FaultKind::Code { code: TOKEN.into() },
        FaultKind::TicketsAndErrors,
    ] {
        rig.expo.fault(Fault::once(kind));
    }
    rig.register(USER, TOKEN).await;
    rig.register(USER, DEAD_TOKEN).await;
    for number in 1..=8 {
        rig.decide(number, USER, 1).await;
        let ended = |told: &ExplainedPush| {
            !told.deliveries.is_empty() && told.deliveries.iter().all(|one| !matches!(one.state, "waiting" | "started"))
        };
        for _ in 0..1_000 {
            if rig.told(number).iter().any(ended) {
                break;
            }
            rig.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        rig.advance(Duration::from_secs(16 * 60));
    }
    eventually("a receipt", || metrics.render().contains("outcome=\"delivered\"")).await;
    rig.devices.remove_all(user(USER)).await.unwrap();

    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    for said in ["a push needs attention", "the push service refuses this node"] {
        assert!(logged.contains(said), "the log is there at all: {said}");
    }
    let mut sent = Vec::new();
    rig.expo.requests().iter().for_each(|seen| without_addresses(&seen.body, &mut sent));
    assert!(sent.len() > 50 && rig.expo.requests().iter().all(|seen| seen.bearer));
    for (place, text) in [("log", logged), ("metrics", metrics.render()), ("bodies", sent.join("\n"))] {
        if let Some(line) = text.lines().find(|line| line.contains("canary")) {
            panic!("{place}: {line}");
        }
    }
    let told = rig.told_as_json(1).to_string().replace(USER, "");
    assert!(!told.contains("canary"), "what operators read holds no token: {told}");
}
