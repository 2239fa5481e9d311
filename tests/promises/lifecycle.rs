//! Pausing, resuming, resolving, archiving, deleting: one guarded table, anything else is refused.

use serde_json::json;

use crate::harness::{Conversation, has, items, shared};

#[tokio::test]
async fn either_partner_pauses_and_either_resumes() {
    let both = Conversation::at_stage(&*shared().await, 1).await;
    let paused = both.anna.say("/pause", json!({ "reason": "I need air" })).await.done();
    has(&paused, &["paused", "pausedAt", "status", "session"]);
    assert_eq!((&paused["paused"], &paused["status"]), (&json!(true), &json!("PAUSED")));
    both.ben.feel_heard().await.refused(400, "SESSION_NOT_ACTIVE");
    let twice = both.ben.press("/pause").await;
    assert!(matches!(twice.status, 400 | 409), "{}", twice.body);
    let resumed = both.ben.press("/resume").await.done();
    has(&resumed, &["resumed", "resumedAt", "status", "session"]);
    assert_eq!((&resumed["resumed"], &resumed["status"]), (&json!(true), &json!("ACTIVE")));
    both.anna.press("/resume").await.refused(400, "VALIDATION_ERROR");
    both.ben.feel_heard().await.done();
}

#[tokio::test]
async fn only_one_of_several_simultaneous_pauses_succeeds() {
    let both = Conversation::joined(&*shared().await).await;
    let answers =
        futures_util::future::join_all((0..3).flat_map(|_| [both.anna.press("/pause"), both.ben.press("/pause")]))
            .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    let told = both.anna.events().await;
    assert_eq!(told.iter().filter(|event| event["name"] == "session.paused").count(), 1);
}

#[tokio::test]
async fn only_the_transitions_of_the_table_are_possible() {
    let server = shared().await;
    let invited = Conversation::invited(&server).await;
    for path in ["/pause", "/resolve", "/archive"] {
        let answer = invited.anna.press(path).await;
        assert!(matches!(answer.status, 400 | 409), "{path} of an invited session: {}", answer.body);
    }
    assert_eq!(invited.anna.read("").await.ok()["session"]["status"], "INVITED");
    let active = Conversation::joined(&server).await;
    for path in ["/resolve", "/archive", "/resume"] {
        let answer = active.anna.press(path).await;
        assert!(matches!(answer.status, 400 | 409), "{path} of an active session: {}", answer.body);
    }
    assert_eq!(active.anna.read("").await.ok()["session"]["status"], "ACTIVE");
}

#[tokio::test]
async fn a_late_command_does_not_revive_an_ended_session() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    both.anna.delete(&both.anna.path("")).await.ok();
    for path in ["/resume", "/compact/sign", "/pause"] {
        let answer = both.ben.press(path).await;
        assert!(matches!(answer.status, 400 | 409), "{path}: {}", answer.body);
    }
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ABANDONED");
    let paused = Conversation::joined(&server).await;
    paused.anna.press("/pause").await.done();
    paused.ben.sign().await.refused(400, "SESSION_NOT_ACTIVE");
    assert_eq!(paused.ben.read("").await.ok()["session"]["status"], "PAUSED");
}

#[tokio::test]
async fn a_partner_who_deletes_a_session_leaves_it_and_the_partner_is_notified() {
    let both = Conversation::at_stage(&*shared().await, 1).await;
    let deleted = both.anna.delete(&both.anna.path("")).await.ok();
    has(&deleted, &["deleted", "summary"]);
    assert_eq!(deleted["deleted"], true);
    both.anna.read("").await.refused(404, "NOT_FOUND");
    assert_eq!(items(&both.anna.get("/sessions").await.ok()["items"]).len(), 0);
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ABANDONED");
    let told = both.ben.events().await;
    assert_eq!(told.iter().filter(|event| event["name"] == "session.abandoned").count(), 1);
}

#[tokio::test]
async fn a_session_that_is_over_can_be_archived() {
    let (both, _) = Conversation::agreed(&*shared().await).await;
    let early = both.anna.press("/archive").await;
    assert!(matches!(early.status, 400 | 409), "{}", early.body);
    both.anna.press("/resolve").await.done();
    let archived = both.ben.press("/archive").await.done();
    has(&archived, &["archived", "archivedAt"]);
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ARCHIVED");
    let again = both.ben.press("/resume").await;
    assert!(matches!(again.status, 400 | 409), "{}", again.body);
}

#[tokio::test]
async fn an_erased_account_leaves_nothing_behind_and_ends_its_sessions() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 2).await;
    both.anna.draft("words that must go").await.done();
    let erased = both.anna.delete("/auth/me").await;
    assert_eq!(erased.status, 200, "{}", erased.body);
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ABANDONED");
    assert!(!both.ben.read("/state").await.body.contains("words that must go"));
    both.anna.read("").await.refused(404, "NOT_FOUND");
    assert_eq!(items(&both.anna.get("/sessions").await.ok()["items"]).len(), 0);
}

#[tokio::test]
async fn a_session_without_any_event_for_long_is_abandoned() {
    use crate::harness::{eventually, server};
    let server = server().set("sessions.abandon_after", "1s").start().await;
    let both = Conversation::joined(&server).await;
    eventually("the session is abandoned", || async {
        (both.anna.read("").await.ok()["session"]["status"] == "ABANDONED").then_some(())
    })
    .await;
    both.ben.sign().await.refused(400, "SESSION_NOT_ACTIVE");
}
