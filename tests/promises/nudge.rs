//! Nudges: one in six hours for each partner, whatever happens to the server meanwhile.

use serde_json::json;

use crate::harness::{Conversation, eventually, has, server, shared};

#[tokio::test]
async fn a_second_nudge_waits_six_hours_and_the_other_partner_has_their_own() {
    let both = Conversation::joined(&*shared().await).await;
    has(&both.anna.press("/nudge").await.done(), &["nudged", "nextAllowedAt"]);
    let refused = both.anna.press("/nudge").await;
    refused.refused(429, "RATE_LIMITED");
    let wait: u64 = refused.header("retry-after").expect("checked").parse().expect("seconds");
    assert!((6 * 3600 - 120..=6 * 3600).contains(&wait), "{wait}");
    both.ben.press("/nudge").await.done();
    let told = both.ben.events().await;
    assert_eq!(
        told.iter().filter(|event| event["name"] == "partner.nudged").count(),
        2,
        "what was refused is not told"
    );
}

#[tokio::test]
async fn only_one_of_several_simultaneous_nudges_is_sent() {
    let both = Conversation::joined(&*shared().await).await;
    let answers = futures_util::future::join_all((0..6).map(|_| both.anna.press("/nudge"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[tokio::test]
async fn the_limit_survives_a_kill() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    both.anna.press("/nudge").await.done();
    let server = server.kill_and_start().await;
    let both = both.back_at(&server);
    both.anna.press("/nudge").await.refused(429, "RATE_LIMITED");
    both.ben.press("/nudge").await.done();
}

#[tokio::test]
async fn every_nudge_is_logged_sent_or_refused() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    both.anna.press("/nudge").await.done();
    both.anna.press("/nudge").await.refused(429, "RATE_LIMITED");
    let logged = || {
        server
            .logs()
            .lines()
            .filter(|line| line.to_lowercase().contains("nudge") && line.contains(&both.session))
            .count()
    };
    eventually("both are in the log", || async { (logged() >= 2).then_some(()) }).await;
}

#[tokio::test]
async fn after_the_interval_a_partner_may_be_nudged_again() {
    let server = server().set("nudge.min_interval", "1s").start().await;
    let both = Conversation::joined(&server).await;
    both.anna.press("/nudge").await.done();
    both.anna.press("/nudge").await.refused(429, "RATE_LIMITED");
    eventually("the next nudge is allowed", || async { (both.anna.press("/nudge").await.status == 200).then_some(()) })
        .await;
}

#[tokio::test]
async fn there_must_be_a_partner_to_nudge() {
    let both = Conversation::invited(&*shared().await).await;
    both.anna.say("/nudge", json!({})).await.refused(400, "SESSION_NOT_ACTIVE");
}
