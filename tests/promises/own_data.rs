//! What a person takes along of what the node holds: everything of their own, and nothing that the API would not show.

use serde_json::{Value, json};

use crate::harness::{Conversation, Member, shared, text};

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

    let own: Vec<String> =
        taken["sessions"].as_array().expect("sessions").iter().map(|session| text(&session["id"])).collect();
    assert!(own.contains(&both.session) && own.len() == 2, "{own:?}");
    server.get("/api/v1/auth/me/export").send().await.refused(401, "UNAUTHORIZED");
    assert_eq!(export(&both.ben).await["devices"], json!([]), "devices are one's own");
}
