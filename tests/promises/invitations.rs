//! Invitations: who may use one, once, and for how long.

use serde_json::json;

use crate::harness::{Answer, Conversation, Member, Request, eventually, has, http_from, items, server, shared, text};

async fn look(client: &reqwest::Client, origin: &str, invitation: &str) -> Answer {
    let path = format!("/api/v1/invitations/{invitation}");
    Request::with(client, reqwest::Method::GET, origin, &path).send().await
}

#[tokio::test]
async fn an_invitation_can_be_read_without_a_token() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    let seen = look(&http_from(), &server.origin, &both.invitation).await.ok();
    for fields in [&seen["invitation"], &seen] {
        has(fields, &["id", "sessionId", "invitedBy", "status", "createdAt", "expiresAt"]);
        assert_eq!(fields["status"], "PENDING");
        assert_eq!(fields["invitedBy"], json!({ "id": both.anna.id, "name": "Anna" }));
    }
    let unknown = look(&http_from(), &server.origin, "cnosuchinvitation0").await;
    unknown.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn reading_invitations_is_limited_for_each_address() {
    let server = server().start().await;
    let both = Conversation::invited(&server).await;
    let (eve, other) = (http_from(), http_from());
    for _ in 0..10 {
        look(&eve, &server.origin, &both.invitation).await.ok();
    }
    look(&eve, &server.origin, &both.invitation).await.refused(429, "RATE_LIMITED");
    let forged =
        Request::with(&eve, reqwest::Method::GET, &server.origin, &format!("/api/v1/invitations/{}", both.invitation));
    forged.header("x-forwarded-for", "203.0.113.9").send().await.refused(429, "RATE_LIMITED");
    look(&other, &server.origin, &both.invitation).await.ok();
}

#[tokio::test]
async fn accepting_ones_own_invitation_is_refused() {
    let both = Conversation::invited(&*shared().await).await;
    both.anna.accept(&both.invitation).await.refused(403, "FORBIDDEN");
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "INVITED");
    both.ben.accept(&both.invitation).await.ok();
}

#[tokio::test]
async fn an_invitation_can_be_used_only_once() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    server.partner("Carl").accept(&both.invitation).await.refused(409, "CONFLICT");
    let events = both.anna.events().await.len();
    let again = both.ben.accept(&both.invitation).await.ok();
    assert_eq!((&again["session"]["id"], &again["session"]["status"]), (&json!(both.session), &json!("ACTIVE")));
    assert_eq!(both.anna.events().await.len(), events, "who is in is in, and nothing has happened");
    server.partner("Carl").get(&both.anna.path("")).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn only_one_of_many_simultaneous_acceptances_succeeds() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    let people: Vec<_> = (0..6).map(|_| server.partner("Ben")).collect();
    let answers = futures_util::future::join_all(people.iter().map(|one| one.accept(&both.invitation))).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(accepted.len(), 1);
    for (answer, person) in answers.iter().zip(&people) {
        let inside = person.get(&both.anna.path("")).await;
        match answer.status {
            200 => drop(inside.ok()),
            _ => {
                answer.refused(409, "CONFLICT");
                inside.refused(404, "NOT_FOUND");
            }
        }
    }
    let joined = both.anna.events().await.iter().filter(|event| event["name"] == "session.joined").count();
    assert!(joined <= 1, "one of them joined");
}

#[tokio::test]
async fn a_declined_invitation_ends_the_session() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    let declined =
        both.ben.post(&format!("/invitations/{}/decline", both.invitation), json!({ "reason": "not now" })).await.ok();
    has(&declined, &["declined", "declinedAt"]);
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "ABANDONED");
    assert_eq!(both.anna.read("/invitation").await.ok()["invitation"]["status"], "DECLINED");
    both.ben.accept(&both.invitation).await.refused(409, "CONFLICT");
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "ABANDONED", "a late step revives nothing");
    both.anna.invite("Ben").await.created();
}

#[tokio::test]
async fn an_expired_invitation_is_gone() {
    let server = server().set("invitations.ttl", "1s").start().await;
    let both = Conversation::invited(&server).await;
    let answer = eventually("the invitation expires", || async {
        let seen = both.anna.read("/invitation").await.ok();
        (seen["invitation"]["status"] == "EXPIRED").then_some(())
    });
    answer.await;
    both.ben.accept(&both.invitation).await.refused(410, "INVITATION_EXPIRED");
    both.ben.get(&both.anna.path("")).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_invitation_is_sent_again_by_its_creator_only_and_not_too_often() {
    let both = Conversation::invited(&*shared().await).await;
    let path = format!("/invitations/{}/resend", both.invitation);
    let stranger = both.ben.post_nothing(&path).await;
    assert!(matches!(stranger.status, 403 | 404), "{}", stranger.body);
    let first = both.anna.post_nothing(&path).await;
    if first.status == 200 {
        has(&first.ok(), &["sent", "sentAt", "expiresAt"]);
    }
    both.anna.post_nothing(&path).await.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn an_invitation_is_sent_again_three_times_at_most_and_lives_longer_by_it() {
    let server = server().set("invitations.resend_interval", "1ms").start().await;
    let both = Conversation::invited(&server).await;
    let path = format!("/invitations/{}/resend", both.invitation);
    let mut expires = text(&both.anna.read("/invitation").await.ok()["invitation"]["expiresAt"]);
    for _ in 0..3 {
        let sent = both.anna.post_nothing(&path).await.ok();
        has(&sent, &["sent", "sentAt", "expiresAt"]);
        let later = text(&sent["expiresAt"]);
        assert!(later > expires, "{later} after {expires}");
        expires = later;
    }
    let fourth = both.anna.post_nothing(&path).await;
    assert!(matches!(fourth.status, 409 | 429), "three at most: {}", fourth.body);
    both.ben.accept(&both.invitation).await.ok();
    let used = both.anna.post_nothing(&path).await;
    assert!(matches!(used.status, 400 | 409), "nobody is invited twice: {}", used.body);
}

#[tokio::test]
async fn a_draft_is_invited_when_its_creator_confirms() {
    let server = shared().await;
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben"));
    let created = anna.post("/sessions", json!({ "inviteName": "Ben", "draft": true })).await.created();
    assert_eq!(created["session"]["status"], "CREATED");
    let anna = Member::new(anna, &text(&created["session"]["id"]));
    let invitation = text(&created["invitationId"]);
    let early = ben.accept(&invitation).await;
    assert!(matches!(early.status, 400 | 404 | 409), "a draft invites nobody: {}", early.body);
    let confirmed = anna.press("/invitation/confirm").await.done();
    has(&confirmed, &["confirmed", "invitation"]);
    assert_eq!(anna.read("").await.ok()["session"]["status"], "INVITED");
    assert_eq!(ben.accept(&invitation).await.ok()["session"]["status"], "ACTIVE");
}

#[tokio::test]
async fn a_second_live_session_with_the_same_person_is_a_conflict_that_names_the_first() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let again = both.anna.post("/sessions", json!({ "personId": both.ben.id })).await;
    let error = again.refused(409, "CONFLICT");
    assert!(error["details"].to_string().contains(&both.session), "{error}");
    assert_eq!(items(&both.anna.get("/sessions").await.ok()["items"]).len(), 1);
    both.anna.delete(&both.anna.path("")).await.ok();
    both.anna.post("/sessions", json!({ "personId": both.ben.id })).await.created();
}
