//! A node whose rows are in a PostgreSQL database: what was answered is there, once and in order, whatever happens to
//! the node, to the database, or to who owns it.

mod away;
mod backup;
mod fleet;
mod history;
mod owners;
mod start;

use tandem_testing::postgres::{PASSWORD, Postgres};

use self::history::History;
use crate::{
    durability,
    harness::{Conversation, Server, Setup, eventually, server},
};

/// A node's setup on this database.
fn on(address: &str) -> Setup {
    server().set("store.engine", "postgres").set("store.url", address).set("store.password", PASSWORD)
}

/// `None` where PostgreSQL is not installed.
fn on_a_fresh_database() -> Option<Setup> {
    Postgres::shared().map(|shared| on(&shared.database()))
}

/// A server that a test may stop. `None` where PostgreSQL is not installed.
async fn own_server() -> Option<Postgres> {
    tokio::task::spawn_blocking(Postgres::start).await.expect("it starts")
}

/// The line with which a node ended.
fn last_words(logs: &str) -> &str {
    logs.lines().find(|line| line.starts_with("tandem: ")).unwrap_or_else(|| panic!("no last words: {logs}"))
}

async fn ready(server: &Server) {
    let ready = || async { (server.get("/ready").send().await.status == 200).then_some(()) };
    eventually("the node is ready", ready).await;
}

/// Conversations in which needs can be added.
async fn conversations(server: &Server, count: usize) -> Vec<Conversation> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(Conversation::at_stage(server, 3).await);
    }
    all
}

#[tokio::test]
async fn everything_answered_is_kept_through_kills() {
    let Some(setup) = on_a_fresh_database() else { return };
    durability::survives("postgres", setup).await;
}

#[tokio::test]
async fn a_conversation_goes_on_over_kills() {
    let Some(setup) = on_a_fresh_database() else { return };
    durability::a_whole_conversation_goes_on_over_kills(setup).await;
}
