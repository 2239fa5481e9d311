//! Users share the node: one with many requests waits for themselves, and what cannot be worked on soon is refused at
//! once.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::server;

#[tokio::test]
async fn requests_beyond_the_limits_are_refused_and_the_node_stays_responsive() {
    let server = server()
        .set("limits.requests", 2)
        .set("limits.requests_waiting", 8)
        .set("limits.requests_per_user", 1)
        .set("limits.requests_per_user_waiting", 2)
        .start()
        .await;
    let partners: Vec<_> = (0..24).map(|n| server.partner(&format!("Partner {n}"))).collect();
    let asking = partners.iter().flat_map(|partner| {
        (0..6)
            .map(|_| partner.request(reqwest::Method::POST, "/sessions").json(&json!({"inviteName": "Ben"})).send_raw())
    });
    let (answers, health) = tokio::join!(join_all(asking), server.get("/health").send());
    health.ok();
    let (mut done, mut refused) = (0, 0);
    for answer in answers {
        match answer.status().as_u16() {
            201 => done += 1,
            429 | 503 => {
                assert!(answer.headers().contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("status {other}"),
        }
    }
    assert!(done >= 2 && refused >= 1, "{done} done, {refused} refused");
    server.partner("Later").invite("Ben").await.created();
}
