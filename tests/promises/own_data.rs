//! What a person takes along of what the node holds: everything of their own, and nothing that the API would not show.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Conversation, Member, eventually, items, server, shared, strategies_of, text, three_ideas};

const DEVICE: &str = "ExponentPushToken[canarycanarycanarycan]";

async fn export(member: &Member) -> Value {
    member.get("/auth/me/export").await.ok()
}

#[tokio::test]
async fn all_of_ones_own_is_in_it_and_of_the_partners_only_what_consent_shows() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 2).await;
    both.anna.register_push_token(DEVICE).await.ok();
    both.anna.patch("/auth/me", json!({ "name": "Anna Canary" })).await.ok();
    both.anna.draft("canary: Anna's draft").await.done();
    both.ben.draft("canary: Ben's draft").await.done();
    both.anna.post("/sessions", json!({ "inviteName": "Canary Carl" })).await.created();
    let taken = export(&both.anna).await;
    let words = taken.to_string();
    for own in ["Anna Canary", &both.anna.id, "canary: Anna's draft", "Canary Carl", "ExponentPushToken[cana…]"] {
        assert!(words.contains(own), "{own}: {words}");
    }
    for foreign in ["Ben's draft", "canarycanary"] {
        assert!(!words.contains(foreign), "{foreign}: {words}");
    }
    assert_eq!(taken["devices"][0]["platform"], "ios");

    both.anna.share_empathy().await.done();
    assert!(!export(&both.anna).await.to_string().contains("Ben's draft"), "Ben has not consented");
    both.ben.share_empathy().await.done();
    assert!(export(&both.anna).await.to_string().contains("canary: Ben's draft"), "both have");
    both.ben.say("/consent/revoke", json!({ "kind": "empathy" })).await.done();
    assert!(!export(&both.anna).await.to_string().contains("Ben's draft"), "Ben has taken it back");

    let description: Value = server.get("/api/v1/openapi.json").send().await.json();
    let fields = &description["components"]["schemas"]["ExportedSession"]["properties"];
    let absent = taken["sessions"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    let absent: Vec<_> = absent.filter(|(_, value)| value.is_null()).map(|(name, _)| name).collect();
    assert!(absent.contains(&&"needsComparison".to_owned()), "{absent:?}");
    for name in absent {
        assert!(fields[name]["type"].to_string().contains("null"), "{name} may be null: {}", fields[name]);
    }

    let own: Vec<String> =
        taken["sessions"].as_array().expect("sessions").iter().map(|session| text(&session["id"])).collect();
    assert!(own.contains(&both.session) && own.len() == 2, "{own:?}");
    server.get("/api/v1/auth/me/export").send().await.refused(401, "UNAUTHORIZED");
    assert_eq!(export(&both.ben).await["devices"], json!([]), "devices are one's own");
}

#[tokio::test]
async fn a_note_written_after_the_session_is_exported_to_its_author() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 4).await;
    three_ideas(&both).await;
    let ids = strategies_of(&both.anna).await;
    for member in both.members() {
        for id in &ids {
            let willing = json!({ "decision": "WILLING" });
            member.say(&format!("/stage4/proposals/{id}/selection"), willing).await.done();
        }
        member.say("/stage4/share-selections", json!({})).await.done();
    }
    both.anna.say("/stage4/close", json!({ "kind": "SHARED_AGREEMENT" })).await.done();
    both.anna.say("/tending/notes", json!({ "content": "canary: we walked" })).await.created();
    both.anna.say("/tending/reentry", json!({ "intent": "canary: talk about money" })).await.created();
    for (member, has) in [(&both.anna, true), (&both.ben, false)] {
        let session = export(member).await["sessions"][0].clone();
        for words in ["canary: we walked", "canary: talk about money"] {
            assert_eq!(session["tending"].to_string().contains(words), has, "{words}: {session}");
        }
        for (part, path) in
            [("tending", "/tending"), ("tendingHistory", "/tending/history"), ("consentHistory", "/consent/history")]
        {
            assert_eq!(session[part], member.read(path).await.ok(), "{part}");
        }
        assert!(!items(&session["consentHistory"]["records"]).is_empty(), "{session}");
    }
}

#[tokio::test]
async fn all_events_of_a_long_session_are_in_it() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    for _ in 0..60 {
        both.anna.press("/pause").await.done();
        both.ben.press("/resume").await.done();
    }
    let events = export(&both.anna).await["sessions"][0]["events"].clone();
    let told = |name: &str| items(&events["events"]).iter().filter(|event| event["name"] == name).count();
    assert_eq!((told("session.paused"), told("session.resumed"), &events["hasMore"]), (60, 60, &json!(false)));
    assert_eq!(events["seq"], both.anna.read("/events?limit=500").await.ok()["seq"]);
}

#[tokio::test]
async fn an_export_is_refused_while_a_session_cannot_answer_instead_of_leaving_it_out() {
    let server = server().set("sessions.answer_timeout", "300ms").set("sessions.max_crashes", 1_000).start().await;
    let both = Conversation::at_stage(&server, 2).await;
    let panic_at = async |point: &str, times: u32| {
        let body = json!({ "sessionId": both.session, "point": point, "harm": "panic", "times": times });
        let request = server.request(reqwest::Method::POST, "/debug/failpoints").bearer(&both.anna.token);
        assert_eq!(request.json(&body).send().await.status, 204, "debug builds have failpoints");
    };
    panic_at("activate", 1_000).await;
    panic_at("before_decide", 1).await;
    both.ben.press("/pause").await.refused(503, "SERVICE_UNAVAILABLE");
    both.anna.get("/auth/me/export").await.refused(503, "SERVICE_UNAVAILABLE");
    panic_at("activate", 1).await;
    let session = eventually("the session answers again", || async {
        let answer = both.anna.get("/auth/me/export").await;
        (answer.status == 200).then(|| answer.ok()["sessions"][0].clone())
    })
    .await;
    assert!(session["state"].is_object() && session["events"].is_object(), "{session}");
    assert_eq!(session["condition"], "ok");
}

#[tokio::test]
async fn the_address_of_an_export_is_of_the_scheme_that_the_node_serves() {
    let of_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/harness/tls");
    let path = |name: &str| of_tests.join(name).display().to_string();
    let setup = server().set("server.tls.certificate", path("one.pem")).set("server.tls.key", path("one.key.pem"));
    let server = setup.start().await;
    let client = tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build();
    let asked = client.expect("a client").post(format!("{}/api/v1/me/export", server.origin));
    let answer = asked.bearer_auth(&server.partner("Anna").token).send().await.expect("an answer");
    let place: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(place["data"]["exportUrl"], format!("{}/api/v1/me/export", server.origin), "{place}");
}
