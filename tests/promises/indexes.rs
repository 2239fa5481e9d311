//! Lists, counts and timers are read from index rows. They always agree with the sessions, after every kind of change
//! and after every end of the process, and however many there are.

use serde_json::{Value, json};

use crate::harness::{Conversation, Partner, Server, eventually, items, server, text};

const STATUSES: [&str; 7] = ["CREATED", "INVITED", "ACTIVE", "PAUSED", "RESOLVED", "ABANDONED", "ARCHIVED"];

/// All pages of a list, the newest change first.
async fn listed(user: &Partner, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = user.get(&format!("/sessions?limit=2{query}{cursor}")).await.ok();
        all.extend(items(&page["items"]));
        if page["hasMore"] == false {
            return all;
        }
        cursor = format!("&cursor={}", text(&page["cursor"]));
    }
}

fn ids(sessions: &[Value]) -> Vec<String> {
    sessions.iter().map(|session| text(&session["id"])).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// What a user's lists and counts say. They must agree with what the sessions themselves say.
async fn picture(user: &Partner, after: &str) -> Value {
    let all = listed(user, "").await;
    for session in &all {
        let own = user.get(&format!("/sessions/{}", text(&session["id"]))).await.ok()["session"].clone();
        for field in ["storedStatus", "hasUnread", "updatedAt"] {
            assert_eq!(session[field], own[field], "{field} of {session} after {after}");
        }
    }
    let changed: Vec<_> = all.iter().map(|session| text(&session["updatedAt"])).collect();
    assert!(changed.is_sorted_by(|newer, older| newer >= older), "{changed:?} after {after}");
    let mut of_one_status = Vec::new();
    for status in STATUSES {
        let some = listed(user, &format!("&status={status}")).await;
        assert!(some.iter().all(|session| session["storedStatus"] == status), "{status} after {after}: {some:?}");
        of_one_status.extend(ids(&some));
    }
    assert_eq!(sorted(of_one_status), sorted(ids(&all)), "each in the list of its status, after {after}");
    let unread = |session: &&Value| session["hasUnread"] == true && session["storedStatus"] != "ARCHIVED";
    let count = user.get("/sessions/unread-count").await.ok()["count"].clone();
    assert_eq!(count, all.iter().filter(unread).count(), "unread after {after}: {all:?}");
    let goes_on = |session: &&Value| session["storedStatus"] == "ACTIVE" || session["storedStatus"] == "INVITED";
    let counted = all.iter().filter(goes_on);
    let by_session = counted.map(|one| (text(&one["id"]), json!(u32::from(one["hasUnread"] == true)))).collect();
    let badge = user.get("/notifications/badge-count").await.ok();
    assert_eq!(badge["bySession"], Value::Object(by_session), "the badge after {after}");
    json!({ "all": all.iter().map(|one| (&one["id"], &one["storedStatus"])).collect::<Vec<_>>(), "unread": count, "badge": badge })
}

async fn pictures(all: &[Partner], after: &str) -> Vec<Value> {
    let mut pictures = Vec::new();
    for user in all {
        pictures.push(picture(user, after).await);
    }
    pictures
}

#[tokio::test]
async fn lists_and_counts_agree_with_the_sessions_after_every_kind_of_change() {
    let server = server().start().await;
    let (anna, ben, carl) = (server.partner("Anna"), server.partner("Ben"), server.partner("Carl"));
    let people = [anna.clone(), ben.clone(), carl.clone()];
    let both = Conversation::between(anna.clone(), ben.clone()).await;
    pictures(&people, "an invitation").await;
    both.ben.accept(&both.invitation).await.ok();
    assert_eq!(pictures(&people, "joining").await[0]["unread"], 1);
    both.anna.press("/viewed").await.ok();
    assert_eq!(pictures(&people, "a look").await[0]["unread"], 0);
    both.satisfy(0).await;
    both.anna.advance().await.done();
    pictures(&people, "signing and a step").await;
    both.ben.press("/pause").await.done();
    pictures(&people, "a pause").await;
    both.anna.press("/resume").await.done();
    pictures(&people, "a resumption").await;
    let declined = Conversation::between(carl.clone(), anna.clone()).await;
    declined.ben.post(&format!("/invitations/{}/decline", declined.invitation), json!({})).await.ok();
    pictures(&people, "a refusal").await;
    let left = Conversation::between(ben.clone(), carl.clone()).await;
    left.ben.accept(&left.invitation).await.ok();
    left.anna.delete(&left.anna.path("")).await.ok();
    pictures(&people, "leaving").await;
    let (over, _) = Conversation::agreed(&server).await;
    let pair = over.members().map(|member| Partner::clone(member));
    pictures(&pair, "an agreement").await;
    over.anna.press("/resolve").await.done();
    pictures(&pair, "the end").await;
    over.ben.press("/archive").await.done();
    pictures(&pair, "archiving").await;
    ben.delete("/auth/me").await.ok();
    let before = pictures(&people, "an erasure").await;
    let server = server.kill_and_start().await;
    let back: Vec<_> = people.iter().map(|user| user.at(&server.origin)).collect();
    assert_eq!(pictures(&back, "a kill").await, before);
    let server = server.stop().await.start().await;
    let back: Vec<_> = people.iter().map(|user| user.at(&server.origin)).collect();
    assert_eq!(pictures(&back, "a restart").await, before);
}

/// Sessions of this user alone, the newest last.
async fn invite(user: &Partner, number: usize) -> Vec<String> {
    let mut sessions = Vec::new();
    for one in 0..number {
        sessions.push(text(&user.invite(&format!("Person {one}")).await.created()["session"]["id"]));
    }
    sessions
}

#[tokio::test]
async fn a_walk_through_the_pages_finds_each_session_once_whatever_happens_meanwhile() {
    let mut server = server().start().await;
    let mut anna = server.partner("Anna");
    let both = Conversation::between(anna.clone(), server.partner("Ben")).await;
    let mut expected = invite(&anna, 8).await;
    expected.reverse();
    both.ben.accept(&both.invitation).await.ok();
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for round in 0.. {
        let page = anna.get(&format!("/sessions?limit=2{cursor}")).await.ok();
        found.extend(ids(&items(&page["items"])));
        if page["hasMore"] == false {
            break;
        }
        cursor = format!("&cursor={}", text(&page["cursor"]));
        match round {
            // What was on a page moves to the front, and something new comes in front of it.
            0 => drop(both.ben.sign().await.done()),
            1 => drop(invite(&anna, 1).await),
            2 => server = server.kill_and_start().await,
            _ => server = server.stop().await.start().await,
        }
        anna = anna.at(&server.origin);
    }
    expected.insert(0, both.session);
    assert_eq!(found, expected);
}

/// More than the node wakes in one turn.
const MANY: usize = 600;

async fn invited_by_many(server: &Server) -> Vec<(Partner, usize)> {
    let make = |number| async move {
        let user = server.partner(&format!("User {number}"));
        let made = invite(&user, MANY / 12).await.len();
        (user, made)
    };
    futures_util::future::join_all((0..12).map(make)).await
}

#[tokio::test]
async fn timers_that_came_due_while_the_node_was_down_take_effect_after_the_start() {
    let many = || server().set("server.limits.create_session", 1_000).set("sessions.clock_believed_after", "0s");
    let server = many().set("sessions.abandon_after", "2s").start().await;
    let users = invited_by_many(&server).await;
    assert_eq!(users.iter().map(|(_, made)| made).sum::<usize>(), MANY);
    let server = server.kill_and_start().await;
    for (user, made) in users {
        let user = user.at(&server.origin);
        eventually("all are over", || async {
            let live = user.get("/auth/me").await.ok()["activeSessions"].clone();
            (live == 0).then_some(())
        })
        .await;
        assert_eq!(listed(&user, "&status=ABANDONED").await.len(), made);
    }
}

#[tokio::test]
async fn a_new_name_reaches_every_session_of_a_user() {
    let server = server().set("server.limits.invitation", 1_000).start().await;
    let anna = server.partner("Anna");
    let mut invitations = Vec::new();
    for number in 0..40 {
        let created = anna.invite(&format!("Person {number}")).await.created();
        invitations.push(text(&created["invitationId"]));
    }
    anna.patch("/auth/me", json!({ "name": "Annie" })).await.ok();
    let ben = server.partner("Ben");
    for invitation in invitations {
        let shown = ben.get(&format!("/invitations/{invitation}")).await.ok()["invitation"].clone();
        assert_eq!(shown["invitedBy"]["name"], "Annie");
    }
}
