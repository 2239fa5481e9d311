//! A session that fails again and again costs nobody but itself: it can be read, its neighbours do not notice,
//! strangers learn nothing, and the operator learns what to do.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tandem::store::{self, Engine, Location, Options, StoreOpenError};
use tandem_actors::{
    domain::ids::SessionId,
    keys,
    ports::{Change, Commit, Direction},
};

use crate::harness::{
    Conversation, Expo, GET_ROUTES, Member, SESSION_ROUTES, Server, eventually, fill, items, run, server, text,
};

async fn arm(server: &Server, member: &Member, times: u32) {
    let body = json!({ "sessionId": member.session, "point": "before_decide", "harm": "panic", "times": times });
    let request = server.request(Method::POST, "/debug/failpoints").bearer(&member.token);
    assert_eq!(request.json(&body).send().await.status, 204, "debug builds have failpoints");
}

async fn quarantined(server: &Server, member: &Member) {
    arm(server, member, 100).await;
    eventually("the quarantine", || async {
        let error = member.press("/viewed").await.refused(503, "SERVICE_UNAVAILABLE");
        error["message"].as_str().is_some_and(|message| message.contains("quarantine")).then_some(())
    })
    .await;
}

async fn release(server: &Server, session: &str) -> crate::harness::Finished {
    run(&["session", "release", session, "--data", server.data().to_str().expect("a path")], &[]).await
}

#[tokio::test]
async fn a_quarantined_session_can_be_read_and_other_sessions_work() {
    let server = server().start().await;
    let ill = Conversation::at_stage(&server, 1).await;
    let well = Conversation::between((*ill.anna).clone(), server.partner("Carl")).await;
    well.ben.accept(&well.invitation).await.ok();
    let (state, events) = (ill.anna.read("/state").await.ok(), ill.anna.events().await);
    quarantined(&server, &ill.anna).await;

    let page = ill.anna.get("/sessions").await.ok();
    let listed = items(&page["items"]);
    let of = |session: &str| listed.iter().find(|item| item["id"] == session).expect("both are listed").clone();
    assert_eq!(
        (&of(&ill.session)["condition"], &of(&well.session)["condition"]),
        (&json!("quarantined"), &json!("ok"))
    );
    for path in ["/sessions/unread-count", "/auth/me", "/auth/ably-token", "/sessions?status=ACTIVE"] {
        ill.anna.get(path).await.ok();
    }
    let mut shown = ill.anna.read("/state").await.ok();
    assert_eq!(shown["session"]["condition"], "quarantined");
    shown["session"]["condition"] = json!("ok");
    assert_eq!(shown, state);
    assert_eq!(ill.anna.events().await, events);
    let exported = items(&ill.anna.get("/auth/me/export").await.ok()["sessions"]);
    let of = |session: &str| exported.iter().find(|item| item["id"] == session).expect("both are exported");
    let conditions = [&ill.session, &well.session].map(|session| &of(session)["condition"]);
    assert_eq!(conditions, [&json!("quarantined"), &json!("ok")]);
    assert!(!of(&ill.session)["state"].is_null(), "{exported:?}");
    for route in &GET_ROUTES {
        let answer = ill.ben.get(&fill(route.path, &ill.session, &ill.invitation)).await;
        assert!(answer.status < 500, "{}: {}", answer.to, answer.body);
    }
    ill.anna.feel_heard().await.refused(503, "SERVICE_UNAVAILABLE");
    well.anna.sign().await.done();
    ill.anna.patch("/auth/me", json!({ "name": "Anna Karenina" })).await.ok();
    let other = well.ben.read("").await.ok();
    assert_eq!(other["session"]["partner"]["name"], "Anna Karenina");

    arm(&server, &ill.anna, 1).await;
    assert_eq!(release(&server, &ill.session).await.code, Some(0));
    eventually("the new name arrives where it could not", || async {
        let answer = ill.ben.read("").await;
        (answer.status == 200 && answer.ok()["session"]["partner"]["name"] == "Anna Karenina").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_account_is_erased_at_once_for_everybody_and_for_good_when_the_session_works_again() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 2).await;
    both.anna.draft("canary of anna").await.done();
    both.anna.share_empathy().await.done();
    both.ben.share_attempt().await;
    assert!(both.ben.read("/empathy/partner").await.body.contains("canary"));
    quarantined(&server, &both.ben).await;
    both.anna.delete("/auth/me").await.ok();
    both.anna.read("").await.refused(404, "NOT_FOUND");
    assert!(items(&both.anna.get("/sessions").await.ok()["items"]).is_empty());
    assert!(!both.ben.read("/empathy/partner").await.body.contains("canary"));
    let server = server.kill_and_start().await;
    let both = both.back_at(&server);
    eventually("the erasure is made up for", || async {
        let answer = both.ben.read("").await;
        (answer.status == 200 && answer.ok()["session"]["status"] == "ABANDONED").then_some(())
    })
    .await;
    assert!(!both.ben.read("/empathy/partner").await.body.contains("canary"));
    both.anna.read("").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_stranger_gets_the_same_answer_as_for_an_unknown_session() {
    let server = server().start().await;
    let ill = Conversation::at_stage(&server, 1).await;
    let open = Conversation::invited(&server).await;
    quarantined(&server, &ill.anna).await;
    quarantined(&server, &open.anna).await;
    let eve = server.partner("Eve");
    for route in GET_ROUTES.iter().chain(&SESSION_ROUTES) {
        for both in [&ill, &open] {
            let path = fill(route.path, &both.session, &both.invitation);
            let method = Method::from_bytes(route.method.as_bytes()).expect("a method");
            let request = eve.request(method, &path);
            let body = (route.body)();
            let answer = if body.is_null() { request.send().await } else { request.json(&body).send().await };
            let answers = path.ends_with("/accept") || path.ends_with("/decline");
            let may = match path.starts_with("/invitations/") && answers {
                true if both.session == open.session => 503,
                true => 409,
                false => 404,
            };
            assert_eq!(answer.status, may, "{}: {}", answer.to, answer.body);
        }
    }
    for both in [&ill, &open] {
        server.get(&format!("/api/v1/invitations/{}", both.invitation)).send().await.ok();
    }
}

#[tokio::test]
async fn pushes_of_other_sessions_go_out() {
    let expo = Expo::start();
    let server = server().set("push.base_url", &expo.url).start().await;
    let ill = Conversation::joined(&server).await;
    let well = Conversation::between(server.partner("Carl"), (*ill.ben).clone()).await;
    well.ben.accept(&well.invitation).await.ok();
    let token = "ExponentPushToken[of-ben]";
    ill.ben.register_push_token(token).await.ok();
    quarantined(&server, &ill.anna).await;
    well.anna.sign().await.done();
    eventually("a push of the other session", || async {
        expo.pushes_to(token).iter().any(|push| push["data"]["sessionId"] == well.session).then_some(())
    })
    .await;
}

/// The session's last event is no event any more.
pub fn damage_last_event(data: &Path, session: &str) -> u64 {
    let location = Location { engine: Engine::Sled, path: data.join("store") };
    let store = loop {
        match store::open(&location, &Options::default()) {
            Err(StoreOpenError::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => break opened.expect("the store opens"),
        }
    };
    let session: SessionId = session.parse().expect("a session id");
    let last = store.scan(&keys::events(&session), None, Direction::Backward, 1).expect("a scan");
    let (key, _) = last.into_iter().next().expect("an event");
    let seq = keys::seq_of(&key).expect("a number");
    let changes = vec![Change::Put(key, Bytes::from_static(b"\x81\xa1vrubbish"))];
    store.commit(&[Commit { fence: None, changes }]).expect("written");
    seq
}

#[tokio::test]
async fn the_operator_learns_which_record_is_bad_and_that_a_release_did_not_help() {
    let server = server().set("store.engine", "sled").start().await;
    let both = Conversation::at_stage(&server, 1).await;
    let events = both.ben.events().await;
    both.anna.feel_heard().await.done();
    let stopped = server.stop().await;
    let seq = damage_last_event(stopped.data(), &both.session);
    let server = stopped.start().await;
    let both = both.back_at(&server);
    let refused = eventually("the quarantine", || async {
        let error = both.anna.press("/pause").await.refused(503, "SERVICE_UNAVAILABLE");
        error["message"].as_str().is_some_and(|message| message.contains("quarantine")).then_some(error)
    });
    let record = format!("event {seq}");
    let message = text(&refused.await["message"]);
    assert!(message.contains(&record), "{message}");
    assert!(both.ben.events().await.starts_with(&events[..events.len() - 1]), "what lies before it stays readable");
    assert_eq!(both.ben.read("").await.ok()["session"]["condition"], "quarantined");

    let data = server.data().to_str().expect("a path").to_owned();
    let why = run(&["session", "why", &both.session, "--data", &data], &[]).await;
    assert_eq!(why.code, Some(0), "{why:?}");
    let why: Value = serde_json::from_str(&why.stdout).expect("JSON");
    assert!(why["quarantine"]["cause"].as_str().is_some_and(|cause| cause.contains(&record)), "{why}");
    assert!(why["quarantine"]["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{why}");
    assert!(!why["events"].as_array().expect("a list").is_empty(), "{why}");
    let released = release(&server, &both.session).await;
    assert!(released.code.is_some_and(|code| code != 0) && released.stderr.contains(&record), "{released:?}");
    let listed = run(&["session", "quarantined", "--data", &data], &[]).await;
    assert!(listed.stdout.contains(&both.session) && listed.stdout.contains(&record), "{listed:?}");
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.lines().any(|line| line == "tandem_sessions_quarantined 1"), "{metrics}");
}
