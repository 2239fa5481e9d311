//! A session takes as much room as it shows: of what is saved again and again, the last stays. Nobody sees a
//! difference.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tandem::store::{self, Engine, Location, Options, StoreOpenError};
use tandem_actors::{
    keys,
    ports::{Change, Commit, Direction, Store},
};

use crate::harness::{Conversation, Member, run, server};

const SAVES: usize = 2_000;

/// Opened when the process that had it is gone.
fn opened(data: &Path, engine: Engine) -> std::sync::Arc<dyn Store> {
    let location = Location { engine, path: data.join("store") };
    loop {
        match store::open(&location, &Options::default()) {
            Err(StoreOpenError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
            opened => return opened.expect("the store opens"),
        }
    }
}

/// Everything that a member can ask for.
async fn views(both: &Conversation) -> Vec<String> {
    let mut views = Vec::new();
    for member in both.members() {
        let after = member.seq().await / 2;
        for path in [
            "",
            "/state",
            "/progress",
            "/empathy/draft",
            "/empathy/status",
            "/events",
            &format!("/events?after={after}"),
        ] {
            views.push(format!("{path}: {}", member.read(path).await.ok()));
        }
    }
    views
}

fn same(views: &[String], before: &[String], when: &str) {
    for (view, before) in views.iter().zip(before) {
        assert_eq!(view, before, "{when}");
    }
}

async fn save(member: &Member, number: usize) -> Value {
    let body = json!({ "content": format!("attempt number {number}"), "readyToShare": true });
    let request = member.request(Method::POST, &member.path("/empathy/draft"));
    request.header("idempotency-key", &format!("save-{number}")).json(&body).send().await.ok()
}

#[tokio::test]
async fn thousands_of_saves_leave_a_short_log_and_the_same_views() {
    for engine in Engine::ALL {
        let server = server().set("store.engine", engine).start().await;
        let both = Conversation::at_stage(&server, 2).await;
        let begin = both.anna.seq().await;
        for number in 0..SAVES {
            save(&both.anna, number).await;
            if number % 10 == 0 {
                both.ben.say("/viewed", json!({ "lastSeenChatItemId": format!("c{number:0>24}") })).await.ok();
            }
        }
        let seq = both.anna.seq().await;
        assert!(seq >= begin + SAVES as u64, "{seq}");
        let version = both.anna.read("/empathy/draft").await.ok()["draft"]["version"].clone();
        assert_eq!(version, json!(SAVES), "{engine}");
        // An early save, once more: it is not saved again.
        save(&both.anna, 1).await;
        assert_eq!(both.anna.seq().await, seq, "{engine}: a repetition does nothing");
        // Looking for the first time is noted.
        views(&both).await;
        let before = views(&both).await;

        let server = server.kill_and_start().await;
        let both = both.back_at(&server);
        same(&views(&both).await, &before, "after a kill");
        let stopped = server.stop().await;
        let data = stopped.data().to_str().expect("a path").to_owned();
        let verified = run(&["store", "verify", "--data", &data], &[("TANDEM__STORE__ENGINE", engine.name())]).await;
        assert_eq!(verified.code, Some(0), "{engine}: {verified:?}");
        {
            let store = opened(stopped.data(), engine);
            let session = both.session.parse().expect("a session id");
            let events = store.scan(&keys::events(&session), None, Direction::Forward, usize::MAX).expect("a log");
            // What came after the last snapshot, and what the stages took.
            assert!(events.len() < 200, "{engine}: {} events of {seq} are stored", events.len());
            // Without its snapshot, the session is built from the log.
            let changes = vec![Change::Delete(keys::snapshot(&session))];
            store.commit(&[Commit { fence: None, changes }]).expect("written");
            store.close();
        }
        let server = stopped.start().await;
        let both = both.back_at(&server);
        same(&views(&both).await, &before, "from the log alone");
        both.anna.share_empathy().await.done();
        both.anna.delete("/auth/me").await.ok();
        let stopped = server.stop().await;
        let dumped =
            run(&["store", "dump", "--words", "--data", &data], &[("TANDEM__STORE__ENGINE", engine.name())]).await;
        assert!(dumped.stdout.contains(&both.session), "{engine}: {}", dumped.stderr);
        assert!(!dumped.stdout.contains("attempt number"), "{engine}: an erasure finds every draft");
        drop(stopped);
    }
}
