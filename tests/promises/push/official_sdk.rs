//! One table of scenarios, two senders: this one and Expo's official SDK for Node, both against the stand-in. Where the
//! service behaves, they must agree, which proves that the stand-in is not shaped by our own reading only; where it
//! does not, the table shows what each makes of it.

use std::{collections::BTreeMap, process::Command, time::Duration};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tandem::push::{
    config::Text,
    fake_expo::{DeviceSetup, FakeExpo, FakeExpoSettings, Fault, FaultKind, ProjectSetup},
};
use tandem::secret::Secret;

use super::rig::{Rig, eventually, token};
use crate::sdk_packages;

struct Scenario {
    name: &'static str,
    faults: Vec<FaultKind>,
    first: DeviceSetup,
    second: DeviceSetup,
    access_token: Option<&'static str>,
    wanted_token: Option<&'static str>,
    body: Option<String>,
    /// The outcomes of three recipients with our sender, and what the official SDK says.
    ours: Value,
    theirs: Value,
}

fn plain(name: &'static str, ours: Value, theirs: Value) -> Scenario {
    Scenario {
        name,
        faults: Vec::new(),
        first: DeviceSetup::default(),
        second: DeviceSetup::default(),
        access_token: None,
        wanted_token: None,
        body: None,
        ours,
        theirs,
    }
}

fn faulty(name: &'static str, fault: FaultKind, times: usize, ours: Value, theirs: Value) -> Scenario {
    Scenario { faults: vec![fault; times], ..plain(name, ours, theirs) }
}

#[expect(clippy::too_many_lines, reason = "one table: each fault, and what both senders make of it")]
fn scenarios() -> Vec<Scenario> {
    let all = json!({"delivered": 3});
    let fine = json!({"tickets": {"ok": 3}, "receipts": {"ok": 3}});
    let with_ticket = |code: &str| DeviceSetup { ticket: Some(code.into()), ..DeviceSetup::default() };
    let code = |code: &str| FaultKind::Code { code: code.into() };
    let gone = DeviceSetup { registered: false, ..DeviceSetup::default() };
    let later = DeviceSetup { receipt: Some("DeviceNotRegistered".into()), ..DeviceSetup::default() };
    let other = DeviceSetup { project: "@other/app".into(), ..DeviceSetup::default() };
    vec![
        plain("all is well", all.clone(), fine.clone()),
        Scenario {
            first: gone,
            ..plain(
                "one device is gone, says the ticket",
                json!({"DeviceNotRegistered": 1, "delivered": 2}),
                json!({"tickets": {"DeviceNotRegistered": 1, "ok": 2}, "receipts": {"ok": 2}}),
            )
        },
        Scenario {
            first: later,
            ..plain(
                "one device is gone, says the receipt",
                json!({"DeviceNotRegistered": 1, "delivered": 2}),
                json!({"tickets": {"ok": 3}, "receipts": {"DeviceNotRegistered": 1, "ok": 2}}),
            )
        },
        Scenario {
            first: with_ticket("NeverHeardOf"),
            ..plain(
                "a code that nobody knows",
                json!({"NeverHeardOf": 1, "delivered": 2}),
                json!({"tickets": {"NeverHeardOf": 1, "ok": 2}, "receipts": {"ok": 2}}),
            )
        },
        Scenario {
            access_token: Some("secret"),
            wanted_token: Some("secret"),
            ..plain("with the right access token", all.clone(), fine.clone())
        },
        Scenario {
            access_token: Some("wrong"),
            wanted_token: Some("secret"),
            ..plain("with a wrong access token", json!({"waits": 3}), json!({"throws": 401}))
        },
        Scenario { body: Some("x".repeat(1500)), ..plain("a body worth compressing", all.clone(), fine.clone()) },
        Scenario {
            first: DeviceSetup { poison: true, ..DeviceSetup::default() },
            ..plain(
                "one message is refused with 400",
                json!({"VALIDATION_ERROR": 1, "delivered": 2}),
                json!({"throws": "VALIDATION_ERROR"}),
            )
        },
        Scenario {
            first: other,
            ..plain("two projects in one request", all.clone(), json!({"throws": "PUSH_TOO_MANY_EXPERIENCE_IDS"}))
        },
        faulty("429 twice", FaultKind::RateLimit { retry_after: None }, 2, all.clone(), fine.clone()),
        faulty(
            "429, Retry-After: 60",
            FaultKind::RateLimit { retry_after: Some(60) },
            3,
            all.clone(),
            json!({"throws": "TOO_MANY_REQUESTS"}),
        ),
        faulty("503 once", FaultKind::ErrorBefore { status: 503 }, 1, all.clone(), json!({"throws": 503})),
        faulty("504 after acceptance", FaultKind::ErrorAfter { status: 504 }, 1, all.clone(), json!({"throws": 504})),
        faulty("reset after acceptance", FaultKind::ResetAfter, 1, all.clone(), json!({"throws": "UND_ERR_SOCKET"})),
        faulty("never an answer", FaultKind::Hang, 1, all.clone(), json!({"waits": true})),
        faulty("an unreadable answer", FaultKind::Unreadable, 1, all.clone(), json!({"throws": 200})),
        faulty("one ticket too few", FaultKind::Short, 1, all.clone(), json!({"throws": "Error"})),
        faulty(
            "one ticket is null",
            FaultKind::OddTicket,
            1,
            all.clone(),
            json!({"tickets": {"unreadable": 1, "ok": 2}, "receipts": {"ok": 2}}),
        ),
        faulty("tickets and errors", FaultKind::TicketsAndErrors, 1, all, json!({"throws": "SOMETHING_ELSE"})),
        faulty(
            "this device too often",
            code("MessageRateExceeded"),
            1,
            json!({"delivered": 3}),
            json!({"tickets": {"MessageRateExceeded": 1, "ok": 2}, "receipts": {"ok": 2}}),
        ),
    ]
}

fn prepare(expo: &FakeExpo, scenario: &Scenario) {
    expo.set(FakeExpoSettings { receipt_delay: Duration::ZERO, rate: 100_000, ..FakeExpoSettings::default() });
    expo.set_device(&token(1), scenario.first.clone());
    expo.set_device(&token(2), scenario.second.clone());
    let project = ProjectSetup { access_token: scenario.wanted_token.map(Into::into), ..ProjectSetup::default() };
    expo.set_project("@tandem/app", project);
    scenario.faults.iter().for_each(|kind| expo.fault(Fault::once(kind.clone())));
}

/// Three pushes, in a day of simulated time.
async fn ours(scenario: &Scenario) -> Value {
    let rig = Rig::with(|config| {
        config.linger = Duration::from_millis(50);
        config.request_timeout = Duration::from_millis(300);
        config.access_token = scenario.access_token.map(Secret::new);
        if let Some(body) = &scenario.body {
            let text = Text { title: "Partner is ready".into(), body: body.clone() };
            config.texts =
                [("en".into(), [("default".into(), text.clone()), ("partner.signed_compact".into(), text)].into())]
                    .into();
        }
    })
    .await;
    prepare(&rig.expo, scenario);
    for number in 1..=3 {
        rig.register(&format!("user{number}"), &token(number)).await;
    }
    rig.decide_all((1..=3).map(|number| (number, format!("user{number}"), 1))).await;
    let is_done = |number: u32| !rig.told(number).is_empty() && rig.delivery(number)["state"] == "done";
    let mut outcomes = BTreeMap::<String, u32>::new();
    eventually("all were tried", || (1..=3).all(|number| rig.delivery(number)["attempts"][0]["outcome"].is_object()))
        .await;
    for _ in 0..600 {
        if (1..=3).all(is_done) {
            break;
        }
        rig.advance(Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for number in 1..=3 {
        let outcome = &rig.delivery(number)["outcome"];
        let name = outcome["code"].as_str().or(outcome["end"].as_str()).unwrap_or("waits");
        *outcomes.entry(name.to_owned()).or_default() += 1;
        if name == "delivered" {
            let shown = rig.expo.device(&token(number)).unwrap().notifications;
            assert_eq!(shown.len(), 1, "{}: seen once", scenario.name);
        }
    }
    json!(outcomes)
}

async fn theirs(scenario: &Scenario) -> Value {
    let expo = FakeExpo::start("127.0.0.1:0").await.unwrap();
    prepare(&expo, scenario);
    let tokens = json!((1..=3).map(token).collect::<Vec<_>>());
    let mut command = Command::new("node");
    command
        .arg("push/send.mjs")
        .current_dir(sdk_packages::folder())
        .env("EXPO_BASE_URL", &expo.url)
        .env("TOKENS", tokens.to_string())
        .envs(scenario.access_token.map(|token| ("ACCESS_TOKEN", token)))
        .envs(scenario.body.as_ref().map(|body| ("BODY", body)));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(told.trim()).unwrap_or_else(|_| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn both_senders_agree_while_the_service_works_and_ours_delivers_despite_failures() {
    if !*sdk_packages::INSTALLED {
        return;
    }
    let mut wrong = Vec::new();
    println!("| what the service does (three recipients) | Tandem | expo-server-sdk 7.2.0 |\n|---|---|---|");
    let all = scenarios();
    let official = futures_util::stream::iter(all.iter().map(theirs)).buffered(4).collect::<Vec<_>>().await;
    for (scenario, theirs) in all.into_iter().zip(official) {
        let ours = ours(&scenario).await;
        println!("| {} | {} | {} |", scenario.name, words(&ours), words(&theirs));
        if (&ours, &theirs) != (&scenario.ours, &scenario.theirs) {
            wrong.push(format!("{}: {ours} and {theirs}", scenario.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// As it stands in the README.
fn words(outcome: &Value) -> String {
    let counts = |counts: &Value| {
        let counts = counts.as_object().into_iter().flatten().map(|(name, count)| format!("{count} {name}"));
        counts.collect::<Vec<_>>().join(", ")
    };
    if let Some(code) = outcome.get("throws") {
        format!("throws {}", code.to_string().trim_matches('"'))
    } else if outcome.get("waits") == Some(&json!(true)) {
        "still waits after 4 s".into()
    } else if let (Some(tickets), Some(receipts)) = (outcome.get("tickets"), outcome.get("receipts")) {
        format!("tickets: {}; receipts: {}", counts(tickets), counts(receipts))
    } else {
        counts(outcome)
    }
}
