//! Several nodes on one database: any of them can be asked, one of them owns it, and another one takes over when the
//! owner ends, stands still or is cut off. Nothing that was answered is lost.

mod any_node;
mod backup;
mod disturbed;
mod settings;

use std::time::{Duration, Instant};

use super::{
    conversations,
    history::{History, Origins},
    last_words, on, own_server,
};
use crate::harness::{Answer, Conversation, Request, Server, Setup, eventually, http_once, in_time};
use tandem_testing::postgres::Postgres;

const NAMES: [&str; 3] = ["one", "two", "three"];
const KEYS: &str = r#"[{ name = "fleet.key", secret = "the same for all nodes of the fleet" }]"#;

/// A node of the fleet on this database.
fn member(address: &str, name: &str) -> Setup {
    on(address)
        .set("fleet.enabled", true)
        .set("fleet.name", name)
        .set("fleet.listen", "127.0.0.1:0")
        .set("realtime.embedded.keys", KEYS)
        .set("journal.stall_after", "2s")
}

/// Three nodes, of which some may be down.
struct Fleet {
    nodes: Vec<Option<Server>>,
    /// Of those that run.
    origins: Origins,
    /// Asks a node about itself: that is what it answers at the beginning of a connection.
    probe: reqwest::Client,
}

impl Fleet {
    /// All of them run, and one owns the database.
    async fn start(address: &str, debug: &str) -> Self {
        let mut fleet = Self { nodes: vec![None, None, None], origins: Origins::default(), probe: http_once() };
        for (node, name) in NAMES.into_iter().enumerate() {
            fleet.begin(node, member(address, name).environment("TANDEM_DEBUG_POSTGRES", debug)).await;
        }
        fleet.owner().await;
        fleet
    }

    async fn begin(&mut self, node: usize, setup: Setup) {
        let server = setup.start().await;
        self.origins.add(&server.origin);
        self.nodes[node] = Some(server);
    }

    fn node(&self, node: usize) -> &Server {
        self.nodes[node].as_ref().expect("it runs")
    }

    /// The node that owns the database, and serves.
    async fn owner(&self) -> usize {
        eventually("a node owns the database", || async {
            for (node, server) in self.nodes.iter().enumerate() {
                let Some(server) = server else { continue };
                if let Some("ready") = self.status(server, "/ready").await.as_deref() {
                    return Some(node);
                }
            }
            None
        })
        .await
    }

    /// One that stands by and knows its owner.
    async fn other(&self) -> usize {
        eventually("a node stands by", || async {
            for (node, server) in self.nodes.iter().enumerate() {
                let Some(server) = server else { continue };
                if let Some("standby") = self.status(server, "/ready").await.as_deref() {
                    return Some(node);
                }
            }
            None
        })
        .await
    }

    /// A node that is about to be disturbed. Clients go on to be sent to it.
    fn take(&mut self, node: usize) -> Server {
        self.nodes[node].take().expect("it runs")
    }

    /// What a node answers about itself, if it does so soon.
    async fn ask(&self, server: &Server, path: &str) -> Option<Answer> {
        let request = Request::with(&self.probe, reqwest::Method::GET, &server.origin, path);
        let asked = tokio::time::timeout(Duration::from_secs(2), request.attempt()).await;
        asked.ok()?.ok()
    }

    async fn status(&self, server: &Server, path: &str) -> Option<String> {
        let answer = self.ask(server, path).await.filter(|answer| answer.status == 200)?;
        Some(answer.json()["data"]["status"].as_str()?.to_owned())
    }
}

/// How often a test disturbs the fleet: a few times, or as often as the environment says for a long run.
fn times(few: usize, name: &str) -> usize {
    std::env::var(name).map_or(few, |text| text.parse().expect("a number"))
}
