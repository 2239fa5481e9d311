//! A session's actor may crash or freeze at any point: nothing that was answered is lost, and nobody else notices.

use serde_json::{Value, json};

use crate::harness::{Answer, Conversation, Member, Server, eventually, in_time, items, run, server};

/// Where an actor can panic over a command that nobody else is told of. `containment` has all points.
const POINTS: [&str; 3] = ["before_decide", "after_apply", "after_append"];

pub async fn arm(server: &Server, member: &Member, point: &str, harm: Value, times: u32) {
    let body = json!({ "sessionId": member.session, "point": point, "harm": harm, "times": times });
    let request = server.request(reqwest::Method::POST, "/debug/failpoints").bearer(&member.token);
    let answer = request.json(&body).send().await;
    assert!((200..300).contains(&answer.status), "debug builds have failpoints: {} {}", answer.status, answer.body);
}

async fn needs(member: &Member) -> Vec<String> {
    let needs = eventually("the session answers again", || async {
        let answer = member.read("/needs").await;
        if answer.status == 503 {
            answer.refused(503, "SERVICE_UNAVAILABLE");
            return None;
        }
        Some(items(&answer.ok()["needs"]))
    });
    needs.await.iter().map(|need| need["need"].as_str().expect("a text").to_owned()).collect()
}

async fn add(member: &Member, need: &str, key: &str) -> Answer {
    let request = member.request(reqwest::Method::POST, &member.path("/needs")).header("idempotency-key", key);
    request.json(&json!({ "need": need, "category": "SAFETY" })).send().await
}

/// As the app does it: the same key until there is an answer.
async fn add_until_answered(member: &Member, need: &str, key: &str) -> Answer {
    eventually("an answer", || async {
        let answer = add(member, need, key).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

async fn survives_a_panic_at(point: &str) {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let other = Conversation::at_stage(&server, 3).await;
    both.anna.need("before", "SAFETY").await.created();
    arm(&server, &both.anna, point, json!("panic"), 1).await;
    let during = add(&both.anna, "during", "the-key").await;
    server.logged(&["a thread panicked"]).await;
    let (undisturbed, ()) = (other.anna.need("undisturbed", "SAFETY").await.created(), ());
    assert!(undisturbed["seq"].is_u64());
    let answered = match during.status {
        201 => true,
        _ => {
            during.refused(503, "SERVICE_UNAVAILABLE");
            false
        }
    };
    let there = needs(&both.anna).await;
    assert!(there.contains(&"before".to_owned()), "{point}: {there:?}");
    assert!(!answered || there.contains(&"during".to_owned()), "{point}: it was answered: {there:?}");
    add_until_answered(&both.anna, "during", "the-key").await.created();
    both.ben.need("after", "MEANING").await.created();
    assert_eq!(needs(&both.anna).await, ["before", "during"], "{point}: each once");
    let seqs: Vec<_> = both.anna.events().await.iter().map(|event| event["seq"].as_u64()).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{point}: {seqs:?}");
    assert!(server.get("/health").send().await.status == 200);
}

#[tokio::test]
async fn a_panic_at_any_point_loses_nothing_that_was_answered() {
    futures_util::future::join_all(POINTS.map(survives_a_panic_at)).await;
}

#[tokio::test]
async fn a_session_survives_a_panic_during_activation() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("before", "SAFETY").await.created();
    let server = server.kill_and_start().await;
    let both = both.back_at(&server);
    arm(&server, &both.anna, "activate", json!("panic"), 1).await;
    assert_eq!(needs(&both.anna).await, ["before"]);
}

#[tokio::test]
async fn a_crash_before_publishing_loses_and_repeats_no_event() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let mut ear = crate::harness::Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    arm(&server, &both.anna, "before_publish", json!("panic"), 1).await;
    let signed = both.anna.sign().await;
    assert!(matches!(signed.status, 200 | 503), "{}", signed.body);
    ear.message(&both.session, "partner.signed_compact").await;
    eventually("the session goes on", || async { (both.anna.press("/pause").await.status == 200).then_some(()) }).await;
    ear.message(&both.session, "session.paused").await;
    let heard = ear.messages(&both.session);
    let signed = heard.iter().filter(|message| message["name"] == "partner.signed_compact").count();
    assert_eq!(signed, 1, "{heard:?}");
}

#[tokio::test]
async fn a_frozen_actor_does_not_block_other_sessions_for_good() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Conversation::at_stage(&server, 3).await);
    }
    arm(&server, &both.anna, "before_decide", json!({ "freeze": "2s" }), 1).await;
    let (frozen, free) = in_time("all are answered", async {
        let frozen = add(&both.anna, "slow", "slow-key");
        let free = futures_util::future::join_all(others.iter().map(|other| other.anna.need("quick", "SAFETY")));
        tokio::join!(frozen, free)
    })
    .await;
    assert!(matches!(frozen.status, 201 | 503), "{}", frozen.body);
    for answer in free {
        assert!(matches!(answer.status, 201 | 503), "{}", answer.body);
    }
    add_until_answered(&both.anna, "slow", "slow-key").await.created();
    assert_eq!(needs(&both.anna).await, ["slow"]);
}

#[tokio::test]
async fn a_session_that_keeps_crashing_is_quarantined_until_an_operator_releases_it() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let other = Conversation::joined(&server).await;
    arm(&server, &both.anna, "before_decide", json!("panic"), 100).await;
    let refused = eventually("the quarantine", || async {
        let answer = both.anna.need("again", "SAFETY").await;
        let error = answer.refused(503, "SERVICE_UNAVAILABLE");
        error.to_string().to_lowercase().contains("quarantine").then_some(error)
    });
    assert!(refused.await["message"].as_str().is_some_and(|reason| reason.len() > 20), "a readable reason");
    other.anna.sign().await.done();
    both.anna.need("still", "SAFETY").await.refused(503, "SERVICE_UNAVAILABLE");

    let data = server.data().to_str().expect("a path").to_owned();
    let released = run(&["session", "release", &both.session, "--data", &data], &[]).await;
    assert_eq!(released.code, Some(0), "{released:?}");
    arm(&server, &both.anna, "before_decide", json!("panic"), 1).await;
    eventually("it works again", || async { (add(&both.anna, "free", "free-key").await.status == 201).then_some(()) })
        .await;
    assert_eq!(needs(&both.anna).await, ["free"]);
}

#[tokio::test]
async fn an_actor_that_stays_frozen_is_replaced() {
    let server = server().set("sessions.answer_timeout", "500ms").start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("before", "SAFETY").await.created();
    arm(&server, &both.anna, "before_decide", json!({ "freeze": "20s" }), 1).await;
    let started = std::time::Instant::now();
    let frozen = add(&both.anna, "during", "the-key");
    let behind = both.ben.need("behind", "SAFETY");
    let (frozen, behind) = tokio::join!(frozen, behind);
    for answer in [frozen, behind] {
        assert!(matches!(answer.status, 201 | 503), "{}", answer.body);
    }
    add_until_answered(&both.anna, "during", "the-key").await.created();
    assert!(started.elapsed().as_secs() < 15, "nobody waits for a frozen actor to thaw: {:?}", started.elapsed());
    assert_eq!(needs(&both.anna).await, ["before", "during"]);
}

#[tokio::test]
async fn a_passivated_session_comes_back_unchanged_also_after_a_crash_during_passivation() {
    for crash in [false, true] {
        let server = server().set("sessions.idle_after", "50ms").start().await;
        let both = Conversation::at_stage(&server, 3).await;
        if crash {
            arm(&server, &both.anna, "passivate", json!("panic"), 1).await;
        }
        both.anna.need("before", "SAFETY").await.created();
        for _ in 0..3 {
            resident(&server, "0").await;
            assert_eq!(needs(&both.anna).await, ["before"]);
            both.ben.press("/viewed").await.ok();
        }
    }
}

/// Waits until so many sessions are in memory.
async fn resident(server: &Server, count: &str) {
    eventually("the sessions fall asleep", || async {
        let metrics = server.get("/metrics").send().await.body;
        let mut lines = metrics.lines().filter(|line| line.starts_with("tandem_") && line.contains("resident"));
        lines.next().is_some_and(|line| line.ends_with(&format!(" {count}"))).then_some(())
    })
    .await;
}
