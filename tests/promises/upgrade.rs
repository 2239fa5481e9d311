//! The data directory of each release, as it was when the node was killed, is served by the present version: nothing
//! that the partners saw is lost or different.
//!
//! A release adds its own before its number is given:
//! `cargo test -p tandem --test promises -- --ignored upgrade::make`

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tandem_testing::fixture::{pack, unpack};
use tempfile::TempDir;

use crate::harness::{Claims, Conversation, Member, Partner, SECRET, Server, Setup, server, views};

const ENGINES: [&str; 2] = ["sled", "redb"];
/// Beside the data: who the partners are, and what they saw.
const SEEN: &str = "seen.json";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/fixtures")
}

/// No time ends anything in it, so that it can be served in years.
fn lasting(engine: &str) -> Setup {
    server().set("store.engine", engine).set("sessions.abandon_after", "3650days").set("retention.ended", "never")
}

fn partner(server: &Server, id: &str, name: &str) -> Partner {
    let token = Claims::of(id).with("name", name).with("email", format!("{id}@example.org")).hs256(SECRET);
    Partner::with_token(&server.origin, id, token)
}

fn conversation(server: &Server, seen: &Value) -> Conversation {
    let of = |name: &str| seen[name].as_str().expect("a name").to_owned();
    let (session, invitation) = (of("session"), of("invitation"));
    let member = |id: &str, name: &str| Member::new(partner(server, id, name), &session);
    Conversation { anna: member("user_anna", "Anna"), ben: member("user_ben", "Ben"), session, invitation }
}

async fn what_both_see(both: &Conversation) -> Value {
    json!({ "anna": views::of(&both.anna).await, "ben": views::of(&both.ben).await })
}

#[tokio::test]
#[ignore = "it writes into the repository"]
async fn make_the_fixture() {
    for engine in ENGINES {
        let first = lasting(engine).start().await;
        let (anna, ben) = (partner(&first, "user_anna", "Anna"), partner(&first, "user_ben", "Ben"));
        let both = Conversation::between(anna, ben).await;
        both.ben.accept(&both.invitation).await.ok();
        let both = both.brought_to(3).await;
        both.anna.patch("/auth/me", json!({ "firstName": "Anna", "lastName": "Berg" })).await.ok();
        // One part of it is in the engine, the rest in the journal of a node that was killed.
        let second = first.stop().await.start().await;
        let both = both.back_at(&second);
        both.anna.need("to be asked how my day was", "MEANING").await.created();
        both.ben.need("an evening alone now and then", "AUTONOMY").await.created();
        views::looked_at(&both).await;
        let seen = what_both_see(&both).await;
        let whole = json!({ "session": both.session, "invitation": both.invitation, "seen": seen });
        let setup = second.kill();
        let place = fixtures().join(env!("CARGO_PKG_VERSION")).join(engine);
        drop(fs::remove_dir_all(&place));
        pack(setup.data(), &place.join("data")).expect("packed");
        let beside = TempDir::new().expect("a directory");
        fs::write(beside.path().join(SEEN), whole.to_string()).expect("written");
        pack(beside.path(), &place.join("seen")).expect("packed");
    }
}

#[tokio::test]
async fn data_of_each_release_is_served() {
    let releases: Vec<_> =
        fixtures().read_dir().expect("fixtures").map(|entry| entry.expect("an entry").path()).collect();
    assert!(
        releases.contains(&fixtures().join(env!("CARGO_PKG_VERSION"))),
        "make_the_fixture makes that of this version"
    );
    for (release, engine) in releases.iter().flat_map(|release| ENGINES.map(|engine| (release, engine))) {
        let place = release.join(engine);
        let (beside, data) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
        unpack(&place.join("seen"), beside.path()).expect("unpacked");
        let before = fs::read(beside.path().join(SEEN)).expect("what was seen");
        let before: Value = serde_json::from_slice(&before).expect("JSON");
        unpack(&place.join("data"), data.path()).expect("unpacked");
        let server = lasting(engine).on(data).start().await;
        let both = conversation(&server, &before);
        views::kept(&before["seen"], &what_both_see(&both).await);
        both.anna.share_needs().await;
        // And it goes on from there after the next start.
        let seen = what_both_see(&both).await;
        let server = server.stop().await.start().await;
        views::same(&seen, &what_both_see(&both.back_at(&server)).await);
    }
}
