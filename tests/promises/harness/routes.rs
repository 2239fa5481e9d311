//! The table of routes in the design, for promises that hold for all of them.

use serde_json::{Value, json};

pub struct Route {
    pub method: &'static str,
    /// Below `/api/v1`, with `{id}` and so on.
    pub path: &'static str,
    /// A body that is right in form.
    pub body: fn() -> Value,
}

const fn get(path: &'static str) -> Route {
    Route { method: "GET", path, body: || Value::Null }
}

const fn post(path: &'static str, body: fn() -> Value) -> Route {
    Route { method: "POST", path, body }
}

const SOME_ID: &str = "csomethingthatisnotthere0";

/// What a member may read of a session.
pub const GET_ROUTES: [Route; 23] = [
    get("/sessions/{id}"),
    get("/sessions/{id}/state"),
    get("/sessions/{id}/events"),
    get("/sessions/{id}/progress"),
    get("/sessions/{id}/stages/0/gates"),
    get("/sessions/{id}/invitation"),
    get("/sessions/{id}/compact/status"),
    get("/sessions/{id}/empathy/draft"),
    get("/sessions/{id}/empathy/partner"),
    get("/sessions/{id}/empathy/status"),
    get("/sessions/{id}/reconciler/share-offer"),
    get("/sessions/{id}/pending-actions"),
    get("/sessions/{id}/consent/pending"),
    get("/sessions/{id}/consent/history"),
    get("/sessions/{id}/needs"),
    get("/sessions/{id}/needs/comparison"),
    get("/sessions/{id}/common-ground"),
    get("/sessions/{id}/strategies"),
    get("/sessions/{id}/strategies/overlap"),
    get("/sessions/{id}/agreements"),
    get("/sessions/{id}/tending"),
    get("/sessions/{id}/tending/history"),
    get("/sessions/{id}/stages/4/gates"),
];

/// What a member may do in a session.
pub const SESSION_ROUTES: [Route; 55] = [
    Route { method: "DELETE", path: "/sessions/{id}", body: || Value::Null },
    post("/sessions/{id}/stages/advance", || json!({})),
    post("/sessions/{id}/pause", || json!({ "reason": "a break" })),
    post("/sessions/{id}/resume", || Value::Null),
    post("/sessions/{id}/resolve", || Value::Null),
    post("/sessions/{id}/archive", || Value::Null),
    post("/sessions/{id}/viewed", || json!({})),
    post("/sessions/{id}/nudge", || json!({})),
    post("/sessions/{id}/invitation/confirm", || Value::Null),
    Route { method: "PUT", path: "/sessions/{id}/invitation/message", body: || json!({ "message": "please come" }) },
    post("/sessions/{id}/topic-frame/confirm", || json!({})),
    post("/sessions/{id}/share-tab-viewed", || json!({})),
    post("/sessions/{id}/compact/sign", || json!({ "agreed": true })),
    post("/sessions/{id}/feel-heard", || json!({ "confirmed": true })),
    post("/sessions/{id}/empathy/draft", || json!({ "content": "a draft" })),
    post("/sessions/{id}/empathy/consent", || json!({ "consent": true })),
    post("/sessions/{id}/empathy/validate", || json!({ "validated": true })),
    post("/sessions/{id}/empathy/resubmit", || json!({ "content": "once more" })),
    post("/sessions/{id}/empathy/skip-refinement", || json!({ "willingToAccept": true })),
    post(
        "/sessions/{id}/needs/capture",
        || json!({ "needs": [{ "need": "rest", "category": "SAFETY", "description": "", "evidence": [] }] }),
    ),
    post("/sessions/{id}/needs/apply-edits", || json!({ "operations": [{ "type": "addNeed", "text": "rest" }] })),
    post("/sessions/{id}/needs/validate", || json!({ "validated": true })),
    Route { method: "DELETE", path: "/sessions/{id}/needs/{needId}", body: || Value::Null },
    post("/sessions/{id}/consent/decide", || json!({ "consentRequestId": SOME_ID, "decision": "GRANTED" })),
    post("/sessions/{id}/needs", || json!({ "need": "rest", "category": "SAFETY" })),
    post("/sessions/{id}/needs/confirm", || json!({ "needIds": [SOME_ID] })),
    post("/sessions/{id}/needs/consent", || json!({ "needIds": [SOME_ID] })),
    post(
        "/sessions/{id}/common-ground/confirm",
        || json!({ "confirmations": [{ "commonGroundId": SOME_ID, "confirmed": true }] }),
    ),
    post("/sessions/{id}/strategies", || json!({ "description": "an idea" })),
    post("/sessions/{id}/strategies/ready", || Value::Null),
    post("/sessions/{id}/strategies/rank", || json!({ "rankedIds": [SOME_ID] })),
    post("/sessions/{id}/agreements", || json!({ "description": "a try", "type": "COMMITMENT" })),
    post("/sessions/{id}/agreements/{agreementId}/confirm", || json!({ "confirmed": true })),
    post("/sessions/{id}/stage4/proposals/{proposalId}/selection", || json!({ "decision": "WILLING" })),
    post(
        "/sessions/{id}/stage4/selections",
        || json!({ "selections": [{ "proposalId": SOME_ID, "decision": "NOT_WILLING" }] }),
    ),
    post("/sessions/{id}/stage4/share-selections", || Value::Null),
    post("/sessions/{id}/stage4/unshare-selections", || Value::Null),
    post("/sessions/{id}/stage4/needs/{needId}/decline", || Value::Null),
    Route { method: "DELETE", path: "/sessions/{id}/stage4/needs/{needId}/decline", body: || Value::Null },
    post("/sessions/{id}/stage4/walkthrough/needs/{needId}", || json!({ "action": "skip" })),
    post("/sessions/{id}/stage4/close", || json!({ "kind": "NO_SHARED_AGREEMENT", "reason": "USER_STOPPED" })),
    post("/sessions/{id}/stage4/subchat", || json!({ "anchorKind": "NO_OVERLAP" })),
    post("/sessions/{id}/stage4/subchat/{subChatId}/messages", || json!({ "content": "a question" })),
    post("/sessions/{id}/stage4/subchat/{subChatId}/resolve", || json!({})),
    post("/sessions/{id}/tending/notes", || json!({ "content": "a note" })),
    post("/sessions/{id}/tending/reentry", || json!({})),
    post(
        "/sessions/{id}/tending/checkin",
        || json!({ "orientations": { "whatComesNext": { "continueChoice": "EXTEND" } } }),
    ),
    post("/sessions/{id}/tending/{entryId}/responses", || json!({ "status": "WORKED" })),
    post("/sessions/{id}/tending/{entryId}/share", || Value::Null),
    post("/sessions/{id}/tending/{entryId}/unshare", || Value::Null),
    post("/sessions/{id}/presence", || json!({ "status": "active" })),
    post("/sessions/{id}/consent/revoke", || json!({ "kind": "needs" })),
    post("/invitations/{invitationId}/resend", || Value::Null),
    post("/invitations/{invitationId}/accept", || Value::Null),
    post("/invitations/{invitationId}/decline", || json!({})),
];

const OTHER_ROUTES: &[(&str, &str)] = &[
    ("POST", "/sessions"),
    ("GET", "/sessions"),
    ("GET", "/sessions/unread-count"),
    ("GET", "/auth/me"),
    ("PATCH", "/auth/me"),
    ("DELETE", "/auth/me"),
    ("GET", "/auth/ably-token"),
    ("POST", "/auth/push-token"),
    ("DELETE", "/auth/push-token"),
    ("GET", "/auth/me/notification-preferences"),
    ("PATCH", "/auth/me/notification-preferences"),
    ("PATCH", "/auth/biometric"),
    ("GET", "/auth/me/privacy-preferences"),
    ("PATCH", "/auth/me/privacy-preferences"),
    ("POST", "/auth/test-push-notification"),
    ("POST", "/me/export"),
    ("GET", "/me/export"),
    ("GET", "/auth/me/export"),
    ("GET", "/people"),
    ("GET", "/people/{id}"),
    ("PATCH", "/relationships/{id}/nickname"),
    ("GET", "/realtime/config"),
    ("GET", "/sessions/{id}/stages/{stage}/gates"),
    ("GET", "/sessions/{id}/stage4"),
    ("GET", "/sessions/{id}/stage4/subchat/{subChatId}"),
    ("GET", "/sessions/{id}/messages"),
    ("GET", "/notifications/badge-count"),
    ("POST", "/invitations/{invitationId}/acknowledge"),
];

/// Method and path of everything that needs a token.
pub fn all_routes() -> Vec<(&'static str, &'static str)> {
    let sessions = GET_ROUTES.iter().chain(&SESSION_ROUTES).map(|route| (route.method, route.path));
    sessions
        .filter(|(_, path)| !path.ends_with("/stages/0/gates") && !path.ends_with("/stages/4/gates"))
        .chain(OTHER_ROUTES.iter().copied())
        .collect()
}

/// A path with real ids in it.
pub fn fill(path: &str, session: &str, invitation: &str) -> String {
    path.replace("{id}", session)
        .replace("{invitationId}", invitation)
        .replace("{agreementId}", SOME_ID)
        .replace("{proposalId}", SOME_ID)
        .replace("{needId}", SOME_ID)
        .replace("{subChatId}", SOME_ID)
        .replace("{entryId}", SOME_ID)
        .replace("{stage}", "0")
}
