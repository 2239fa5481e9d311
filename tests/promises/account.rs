//! The caller's own account: names, privacy, the unlocking of the app, the end.

use serde_json::json;

use crate::harness::{Conversation, Partner, has, shared};

const PRIVACY: &str = "/auth/me/privacy-preferences";

async fn without_address(origin: &str) -> Partner {
    let partner = Partner::fresh(origin, "Nora");
    let claims = crate::harness::Claims::of(&format!("{}_bare", partner.id));
    Partner { token: claims.hs256(crate::harness::SECRET), id: format!("{}_bare", partner.id), ..partner }
}

#[tokio::test]
async fn the_account_has_every_field_that_a_screen_reads() {
    let server = shared().await;
    let me = server.partner("Anna").get("/auth/me").await.ok();
    has(&me, &["activeSessions", "pushNotificationsEnabled"]);
    let user = &me["user"];
    has(user, &["id", "email", "name", "firstName", "lastName", "createdAt"]);
    assert_eq!((&user["biometricEnabled"], &user["lastMoodIntensity"]), (&json!(false), &json!(null)));
    let bare = without_address(&server.origin).await.get("/auth/me").await.ok();
    assert_eq!(bare["user"]["email"], "", "a text, also where no token has named an address");
}

#[tokio::test]
async fn names_change_one_by_one_and_partners_see_the_change() {
    let both = Conversation::joined(&*shared().await).await;
    let user = both.anna.patch("/auth/me", json!({ "firstName": "Anna", "lastName": "Berg" })).await.ok();
    assert_eq!(
        (&user["user"]["firstName"], &user["user"]["lastName"], &user["user"]["name"]),
        (&json!("Anna"), &json!("Berg"), &json!("Anna Berg"))
    );
    assert_eq!(both.ben.read("").await.ok()["session"]["partner"]["name"], "Anna Berg");
    let user = both.anna.patch("/auth/me", json!({ "name": "Annie" })).await.ok();
    assert_eq!((&user["user"]["firstName"], &user["user"]["name"]), (&json!("Anna"), &json!("Annie")));
    let user = both.anna.patch("/auth/me", json!({ "lastName": "" })).await.ok();
    assert_eq!((&user["user"]["lastName"], &user["user"]["name"]), (&json!(null), &json!("Anna")));
    assert_eq!(both.ben.read("").await.ok()["session"]["partner"]["name"], "Anna");
    assert_eq!(both.anna.get("/auth/me").await.ok()["user"]["name"], "Anna");
}

#[tokio::test]
async fn an_account_change_that_names_nothing_is_refused_with_what_would_be_right() {
    let anna = shared().await.partner("Anna");
    for nothing in [json!({}), json!({ "name": null }), json!({ "nickname": "An" })] {
        let error = anna.patch("/auth/me", nothing).await.refused(400, "VALIDATION_ERROR");
        let message = error["message"].as_str().expect("a message");
        assert!(["name", "firstName", "lastName"].iter().all(|field| message.contains(field)), "{message}");
    }
    anna.request(reqwest::Method::PATCH, "/auth/me")
        .header("content-type", "application/json")
        .send()
        .await
        .refused(400, "VALIDATION_ERROR");
    for wrong in [json!({ "firstName": "" }), json!({ "lastName": 5 }), json!({ "firstName": "x".repeat(51) })] {
        anna.patch("/auth/me", wrong).await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn unlocking_by_fingerprint_is_remembered_with_its_time() {
    let anna = shared().await.partner("Anna");
    let on = anna.patch("/auth/biometric", json!({ "biometricEnabled": true })).await.ok();
    assert!(on["biometricEnabled"] == true && on["biometricEnrolledAt"].is_string(), "{on}");
    let again = anna.patch("/auth/biometric", json!({ "enabled": true })).await.ok();
    assert_eq!(again, on, "enrolled once");
    assert_eq!(anna.get("/auth/me").await.ok()["user"]["biometricEnabled"], true);
    let off = anna.patch("/auth/biometric", json!({ "biometricEnabled": false })).await.ok();
    assert_eq!(off, json!({ "biometricEnabled": false, "biometricEnrolledAt": null }));
    for wrong in [json!({}), json!({ "biometricEnabled": "yes" })] {
        anna.patch("/auth/biometric", wrong).await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn the_privacy_preferences_begin_open_and_change_one_by_one() {
    let anna = shared().await.partner("Anna");
    let open = json!({ "showActivityStatus": true, "allowSessionInvites": true, "analyticsOptOut": false });
    assert_eq!(anna.get(PRIVACY).await.ok()["preferences"], open);
    let changed = anna.patch(PRIVACY, json!({ "analyticsOptOut": true })).await.ok();
    let expected = json!({ "showActivityStatus": true, "allowSessionInvites": true, "analyticsOptOut": true });
    assert_eq!(changed["preferences"], expected);
    assert_eq!(anna.get(PRIVACY).await.ok()["preferences"], expected);
    anna.patch(PRIVACY, json!({ "analyticsOptOut": "maybe" })).await.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_user_who_refuses_invitations_cannot_accept_one() {
    let both = Conversation::invited(&*shared().await).await;
    both.ben.patch(PRIVACY, json!({ "allowSessionInvites": false })).await.ok();
    let error = both.ben.accept(&both.invitation).await.refused(403, "FORBIDDEN");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("allowSessionInvites")), "{error}");
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "INVITED");
    both.ben.accept("cnosuchinvitation0").await.refused(404, "NOT_FOUND");
    both.ben.patch(PRIVACY, json!({ "allowSessionInvites": true })).await.ok();
    both.ben.accept(&both.invitation).await.ok();
    // Those who are in already stay in.
    both.ben.patch(PRIVACY, json!({ "allowSessionInvites": false })).await.ok();
    both.ben.sign().await.done();
}

#[tokio::test]
async fn last_activity_is_shown_unless_the_user_hides_it() {
    let both = Conversation::joined(&*shared().await).await;
    let seen = async || both.anna.read("/state").await.ok()["session"].clone();
    assert!(seen().await["partnerLastViewedAt"].is_null());
    both.anna.sign().await.done();
    both.ben.say("/viewed", json!({})).await.ok();
    let shown = seen().await;
    assert!(shown["partnerLastViewedAt"].is_string() && shown["partnerLastActiveAt"].is_string(), "{shown}");

    let before = both.anna.read("/state").await.ok();
    both.ben.patch(PRIVACY, json!({ "showActivityStatus": false })).await.ok();
    let hidden = both.anna.read("/state").await.ok();
    for field in ["partnerLastViewedAt", "partnerLastActiveAt"] {
        assert!(hidden["session"].get(field).is_some_and(serde_json::Value::is_null), "{field}: {hidden}");
    }
    assert_eq!(hidden["session"]["updatedAt"], before["session"]["updatedAt"], "hiding is nobody else's news");
    assert_eq!(hidden["session"]["hasUnread"], before["session"]["hasUnread"]);
    both.ben.patch(PRIVACY, json!({ "showActivityStatus": true })).await.ok();
    assert_eq!(seen().await["partnerLastViewedAt"], shown["partnerLastViewedAt"]);
}

#[tokio::test]
async fn hidden_activity_stays_hidden_in_later_sessions() {
    let both = Conversation::invited(&*shared().await).await;
    both.ben.patch(PRIVACY, json!({ "showActivityStatus": false })).await.ok();
    both.ben.accept(&both.invitation).await.ok();
    both.ben.say("/viewed", json!({})).await.ok();
    let seen = both.anna.read("/state").await.ok();
    assert!(seen["session"]["partnerLastActiveAt"].is_null(), "{seen}");
}

#[tokio::test]
async fn erasing_an_account_returns_the_numbers_of_what_was_erased() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    both.anna.invite("Carl").await.created();
    let erased = both.anna.delete("/auth/me").await.ok();
    assert!(erased["success"] == true && erased["deleted"] == true, "{erased}");
    let summary = &erased["summary"];
    assert_eq!((&summary["sessionsAbandoned"], &summary["partnersNotified"]), (&json!(2), &json!(1)), "{erased}");
    assert!(summary["dataRecordsDeleted"].as_u64().is_some_and(|records| records >= 3), "{erased}");
    let again = both.anna.delete("/auth/me").await.ok();
    assert_eq!(again["summary"]["sessionsAbandoned"], 0);
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ABANDONED");
}

#[tokio::test]
async fn mail_is_a_preference_beside_the_pushes() {
    let anna = shared().await.partner("Anna");
    let path = "/auth/me/notification-preferences";
    assert_eq!(anna.get(path).await.ok()["preferences"]["emailEnabled"], true);
    let changed = anna.patch(path, json!({ "emailEnabled": false })).await.ok();
    assert_eq!(
        (&changed["preferences"]["emailEnabled"], &changed["preferences"]["pushEnabled"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn a_test_push_is_refused_to_users() {
    let anna = shared().await.partner("Anna");
    anna.post_nothing("/auth/test-push-notification").await.refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn an_export_holds_the_callers_data_and_nothing_private_of_the_partner() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 2).await;
    both.anna.draft("a draft of Anna's").await.done();
    both.ben.draft("a draft of Ben's").await.done();
    let place = both.anna.post_nothing("/me/export").await.ok();
    assert!(place["expiresAt"].is_string());
    let url = place["exportUrl"].as_str().expect("an address");
    let path = url.strip_prefix(&server.origin).expect("at this node");
    server.get(path).send().await.refused(401, "UNAUTHORIZED");
    let export = both.anna.get(path.trim_start_matches("/api/v1")).await.ok();
    has(&export, &["exportedAt", "account", "notificationPreferences", "privacyPreferences", "hasMore"]);
    assert_eq!(export["account"]["user"]["id"], both.anna.id);
    let session = &export["sessions"][0];
    assert_eq!(session["id"], both.session);
    assert_eq!(session["empathyDraft"]["draft"]["content"], "a draft of Anna's");
    has(session, &["state", "needs", "strategies", "agreements", "events"]);
    assert!(!export.to_string().contains("of Ben's"), "{export}");
}

#[tokio::test]
async fn an_export_is_divided_into_pages() {
    let anna = shared().await.partner("Anna");
    for number in 0..12 {
        anna.invite(&format!("Person {number}")).await.created();
    }
    let first = anna.get("/me/export").await.ok();
    assert_eq!((first["sessions"].as_array().map(Vec::len), &first["hasMore"]), (Some(10), &json!(true)));
    let cursor = first["cursor"].as_str().expect("a cursor");
    let rest = anna.get(&format!("/me/export?cursor={cursor}")).await.ok();
    assert_eq!((rest["sessions"].as_array().map(Vec::len), &rest["hasMore"]), (Some(2), &json!(false)));
}
