//! A session that has been over for `retention.ended` is gone as a whole, for everybody and from every place.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tandem::store::{self, Engine, Location, Options};
use tandem_actors::{keys::Key, ports::Direction};

use crate::{
    encryption::found,
    harness::{Conversation, Expo, GET_ROUTES, Request, Server, Setup, eventually, fill, items, run, server, text},
    quarantine::damage_last_event,
};

const MISSING: &str = "cmissingmissingmissingmis";
const WORDS: &str = "zqwords-of-bensqz";
const REMOVED: &str = "removed sessions that were over for longer than retention.ended";

/// A node that removes nothing yet, and notes everything that can be noted about a session.
fn keeping(engine: &str, expo: &Expo) -> Setup {
    server()
        .set("store.engine", engine)
        .set("retention.ended", "never")
        .set("push.base_url", &expo.url)
        .set("push.spacing", "0s")
        .set("push.spacing_later", "0s")
        .set("routing.when_absent", "push_and_publish")
}

/// The same node, once everything that is over has been so for long enough.
fn removing(setup: Setup) -> Setup {
    setup.set("retention.ended", "1s").set("retention.answers", "1s")
}

/// Sessions that are over in each way, and one that is not.
struct Sessions {
    over: Vec<Conversation>,
    live: Conversation,
}

impl Sessions {
    async fn begin(server: &Server, expo: &Expo) -> Self {
        let (resolved, _) = Conversation::agreed(server).await;
        let phone = format!("ExponentPushToken[{}]", resolved.ben.id);
        resolved.ben.register_push_token(&phone).await.ok();
        resolved.anna.press("/resolve").await.done();
        expo.push(&phone, "session.resolved").await;
        // Until it is archived, a check-in is to come.
        resolved.anna.press("/archive").await.done();

        let live = Conversation::between((*resolved.anna).clone(), server.partner("Carl")).await;
        live.ben.accept(&live.invitation).await.ok();
        let declined = Conversation::between((*resolved.anna).clone(), server.partner("Dora")).await;
        declined.ben.post_nothing(&format!("/invitations/{}/decline", declined.invitation)).await.ok();
        let deserted = Conversation::between((*resolved.ben).clone(), server.partner("Emil").with_keys()).await;
        deserted.ben.accept(&deserted.invitation).await.ok();
        deserted.ben.sign().await.done();
        for member in deserted.members() {
            member.delete(&member.path("")).await.ok();
        }
        Self { over: vec![resolved, declined, deserted], live }
    }

    fn back_at(&self, server: &Server) -> Self {
        let over = self.over.iter().map(|both| both.back_at(server)).collect();
        Self { over, live: self.live.back_at(server) }
    }
}

/// Waits until so many sessions are removed completely.
async fn removed(server: &Server, sessions: usize) {
    let line = format!("tandem_sessions_removed_total {sessions}");
    eventually(&line, || async {
        server.get("/metrics").send().await.body.lines().any(|known| known == line).then_some(())
    })
    .await;
    server.logged(&[REMOVED]).await;
}

/// The rows of a stopped node that name one of these, in key or value.
fn rows_with(data: &Path, engine: &str, names: &[&str]) -> Vec<String> {
    let engine = if engine == "sled" { Engine::Sled } else { Engine::Redb };
    let location = Location { engine, path: data.join("store") };
    let store = store::open(&location, &Options::default()).expect("it opens");
    let rows = store.scan(&Key::from_bytes(Vec::new()), None, Direction::Forward, usize::MAX).expect("rows");
    store.close();
    let holds = |(key, value): &(Key, Bytes)| {
        let is_in = |bytes: &[u8], name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
        names.iter().any(|name| is_in(key.as_bytes(), name) || is_in(value, name))
    };
    rows.iter().filter(|row| holds(row)).map(|(key, _)| String::from_utf8_lossy(key.as_bytes()).into_owned()).collect()
}

/// What holds no more than the id until its time has come: reminders to look for something, which is not there any
/// more, messages to the partners themselves, and the note that a file may still hold what was removed.
fn is_a_reminder(row: &str) -> bool {
    let of_a_user = row.starts_with("rl") && row.contains(":user:");
    of_a_user || ["d", "pz", "pr", "rx", "E"].iter().any(|kind| row.starts_with(kind))
}

async fn history(server: &Server, session: &str) -> Vec<Value> {
    let key = std::fs::read_to_string(server.data().join("realtime.key")).expect("the node's key");
    let path = format!("/channels/meetwithoutfear:session:{session}/messages?limit=100");
    let authorization = format!("Basic {}", STANDARD.encode(key.trim()));
    let request = Request::new(Method::GET, &server.origin, &path).header("authorization", &authorization);
    items(&request.send().await.json())
}

async fn the_session_is_removed_without_a_trace(engine: &str) {
    let expo = Expo::start();
    let first = keeping(engine, &expo).start().await;
    let sessions = Sessions::begin(&first, &expo).await;
    for both in &sessions.over[..1] {
        assert!(!history(&first, &both.session).await.is_empty(), "{engine}: there is something to remove");
    }
    let setup = first.stop().await;
    for both in &sessions.over {
        assert!(rows_with(setup.data(), engine, &[&both.session]).len() > 5, "{engine}: there is something to remove");
    }

    let server = removing(setup).start().await;
    let sessions = sessions.back_at(&server);
    removed(&server, 3).await;
    for both in &sessions.over {
        for member in both.members() {
            for route in &GET_ROUTES {
                let known = member.get(&fill(route.path, &both.session, &both.invitation)).await;
                let missing = member.get(&fill(route.path, MISSING, MISSING)).await;
                assert_eq!((known.status, known.json()), (missing.status, missing.json()), "{engine}: {}", known.to);
            }
            let shown = member.get("/auth/me/export").await;
            assert!(!shown.body.contains(&both.session), "{engine}: {}", shown.body);
        }
        assert_eq!(history(&server, &both.session).await, [Value::Null; 0], "{engine}");
    }
    let anna = &sessions.live.anna;
    let listed = items(&anna.get("/sessions").await.ok()["items"]);
    let listed: Vec<_> = listed.iter().map(|session| text(&session["id"])).collect();
    assert_eq!(listed, [sessions.live.session.as_str()], "{engine}: the live session stays");
    let unread = u64::from(anna.read("").await.ok()["session"]["hasUnread"] == true);
    assert_eq!(anna.get("/sessions/unread-count").await.ok()["count"], unread, "{engine}");
    let badge = anna.get("/notifications/badge-count").await.ok();
    assert_eq!(badge["bySession"].as_object().expect("an object").len(), 1, "{engine}: {badge}");
    let data = server.data().to_str().expect("a path").to_owned();
    for both in &sessions.over {
        let why = run(&["session", "why", &both.session, "--data", &data], &[]).await;
        let missing = run(&["session", "why", MISSING, "--data", &data], &[]).await;
        assert_eq!((why.code, why.stderr.replace(&both.session, MISSING)), (missing.code, missing.stderr), "{engine}");
    }
    // A request that comes again under its key finds nothing.
    for answer in sessions.over[2].ben.post_all_again().await {
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (404, None), "{engine}: {}", answer.body);
    }
    sessions.live.anna.sign().await.done();
    nothing_is_left(server, engine, &sessions).await;
}

async fn nothing_is_left(server: Server, engine: &str, sessions: &Sessions) {
    let names: Vec<&str> = sessions.over.iter().flat_map(|both| [&*both.session, &*both.invitation]).collect();
    let setup = server.stop().await;
    let left: Vec<_> = rows_with(setup.data(), engine, &names).into_iter().filter(|row| !is_a_reminder(row)).collect();
    assert_eq!(left, [""; 0], "{engine}");
    let data = setup.data().to_str().expect("a path").to_owned();
    let verified = run(&["store", "verify", "--data", &data], &[("TANDEM__STORE__ENGINE", engine)]).await;
    assert!(verified.code == Some(0) && verified.stdout.contains("nothing is damaged"), "{engine}: {verified:?}");
    let server = setup.start().await;
    let live = sessions.live.back_at(&server);
    live.ben.sign().await.done();
}

#[tokio::test]
async fn a_session_that_is_over_is_removed_without_a_trace_after_the_retention() {
    tokio::join!(the_session_is_removed_without_a_trace("sled"), the_session_is_removed_without_a_trace("redb"));
}

/// Sessions that nothing has happened in for long. Both partners see them, and each has words of Ben.
async fn idle_sessions(setup: Setup, count: usize) -> (Setup, Vec<Conversation>) {
    let server = setup.clone().set("sessions.abandon_after", "1s").start().await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        let both = Conversation::at_stage(&server, 2).await;
        both.ben.draft(WORDS).await.done();
        sessions.push(both);
    }
    for both in &sessions {
        eventually("it is abandoned", || async {
            (both.anna.read("").await.ok()["session"]["status"] == "ABANDONED").then_some(())
        })
        .await;
    }
    server.stop().await;
    (setup, sessions)
}

/// Whether both see the session, in each view and list. A part of it is nothing that anybody may see.
async fn is_there(server: &Server, both: &Conversation) -> bool {
    let both = both.back_at(server);
    // The first view decides: what is there may be removed in between.
    if both.anna.read("").await.status == 200 {
        return true;
    }
    for member in both.members() {
        let listed = items(&member.get("/sessions").await.ok()["items"]);
        assert!(!listed.iter().any(|one| one["id"] == *both.session), "{listed:?}");
        for path in ["", "/state", "/events", "/progress", "/invitation"] {
            member.read(path).await.refused(404, "NOT_FOUND");
        }
    }
    false
}

async fn what_a_kill_interrupts_is_finished(engine: &str) {
    let expo = Expo::start();
    let (setup, sessions) = idle_sessions(keeping(engine, &expo), 5).await;
    let mut setup = removing(setup);
    let mut left = sessions.len();
    while left > 0 {
        let server = setup.start().await;
        // Killed as soon as one more is gone: the others, and what belongs to this one, are in the middle of it.
        let before = left;
        while left == before {
            let there = futures_util::future::join_all(sessions.iter().map(|both| is_there(&server, both))).await;
            left = there.into_iter().filter(|there| *there).count();
            assert!(left <= before, "{engine}: nothing comes back");
        }
        setup = server.kill();
    }
    let server = setup.start().await;
    for both in &sessions {
        assert!(!is_there(&server, both).await, "{engine}: nothing comes back");
    }
    let stopped = server.stop().await;
    let names: Vec<&str> = sessions.iter().map(|both| &*both.session).collect();
    let noted = rows_with(stopped.data(), engine, &names).iter().filter(|row| row.starts_with('Z')).count();
    let server = stopped.start().await;
    if noted > 0 {
        removed(&server, noted).await;
    }
    let stopped = server.stop().await;
    let rows = rows_with(stopped.data(), engine, &names);
    let rows: Vec<_> = rows.iter().filter(|row| !is_a_reminder(row)).collect();
    assert_eq!(rows, [""; 0], "{engine}");
}

#[tokio::test]
async fn what_a_kill_interrupts_is_finished_after_the_start() {
    tokio::join!(what_a_kill_interrupts_is_finished("sled"), what_a_kill_interrupts_is_finished("redb"));
}

#[tokio::test]
async fn a_session_that_cannot_be_read_stays_for_the_operator_and_holds_up_no_other() {
    let expo = Expo::start();
    let (setup, sessions) = idle_sessions(keeping("sled", &expo), 2).await;
    let [ill, well] = &sessions[..] else { unreachable!("two") };
    damage_last_event(setup.data(), &ill.session);
    let server = removing(setup).start().await;
    removed(&server, 1).await;
    assert!(!is_there(&server, well).await);
    let ill = ill.back_at(&server);
    let listed = items(&ill.anna.get("/sessions").await.ok()["items"]);
    assert_eq!(listed.iter().map(|one| text(&one["id"])).collect::<Vec<_>>(), [ill.session.as_str()]);
    eventually("it is in quarantine", || async {
        let quarantined = server.get("/metrics").send().await.body;
        quarantined.lines().any(|line| line == "tandem_sessions_quarantined 1").then_some(())
    })
    .await;
}

async fn the_words_leave_the_files(engine: &str) {
    let expo = Expo::start();
    let setup = keeping(engine, &expo).set("retention.erased", "1s").set("journal.checkpoint_after", "100ms");
    let setup = setup.set("journal.segment_bytes", 262_144).set("journal.max_bytes", 4 << 20);
    let server = setup.start().await;
    let both = Conversation::at_stage(&server, 2).await;
    both.ben.draft(WORDS).await.done();
    both.anna.delete("/auth/me").await.ok();
    server.logged(&["what erased accounts held is in no file"]).await;
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ABANDONED");
    let server = removing(server.stop().await).start().await;
    assert!(!found(server.data(), &[WORDS]).is_empty(), "{engine}: what the partner wrote stays until then");
    removed(&server, 1).await;
    both.ben.back_at(&server).read("").await.refused(404, "NOT_FOUND");
    server.logged(&["what removed sessions held is in no file"]).await;
    assert_eq!(found(server.data(), &[WORDS]), [""; 0], "{engine}");
}

#[tokio::test]
async fn the_words_of_a_removed_session_leave_the_files_also_with_an_erased_partner() {
    tokio::join!(the_words_leave_the_files("sled"), the_words_leave_the_files("redb"));
}

#[tokio::test]
async fn a_stored_answer_is_given_again_for_as_long_as_is_set() {
    let request = async |both: &Conversation| {
        let request = both.anna.request(Method::POST, &both.anna.path("/compact/sign"));
        request.header("idempotency-key", "key").json(&json!({ "agreed": true })).send().await
    };
    let server = server().set("retention.answers", "1h").start().await;
    let both = Conversation::joined(&server).await;
    request(&both).await.ok();
    let again = request(&both).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")), "{}", again.body);
    let server = server.stop().await.set("retention.answers", "1s").start().await;
    let both = both.back_at(&server);
    eventually("the answer is not given again", || async {
        request(&both).await.header("idempotent-replayed").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wrong_retention_is_refused_with_what_would_be_right() {
    let refused = server().set("retention.ended", "soon").refused().await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("retention.ended") && line.contains("never"), "{line}");
    let refused = server().set("retention.ended", "0s").refused().await;
    assert!(refused.refused_with_one_line().contains("1s to 3650days"), "{refused:?}");
    let refused = server().set("retention.ended", "1h").refused().await;
    assert!(refused.refused_with_one_line().contains("retention.answers"), "{refused:?}");
    let shown = run(&["config", "show"], &[("TANDEM__RETENTION__ENDED", "never")]).await;
    assert!(shown.stdout.contains("retention.ended = \"never\""), "{shown:?}");
}
