//! `tandem demo --open`: a page with two phones, and a node that both speak to. This process serves the page, stands in
//! for Expo, and kills the node and starts it again when the page asks for it. The phones speak to the node itself, by
//! the same HTTP API and the same realtime endpoint as any app.

mod feed;
mod page;

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::{
    Error,
    narrate::Narrator,
    node::{DemoNode, push_to},
};
use crate::push::fake_expo::FakeExpo;

/// How long a killed node stays down, so that visitors see what the phones do.
const OUTAGE: Duration = Duration::from_millis(1_500);

/// Whether the node runs.
#[derive(Clone, Debug, Serialize)]
struct Condition {
    up: bool,
    /// How long its start took.
    ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

struct Stage {
    node: Arc<Mutex<DemoNode>>,
    node_url: String,
    /// The node's data directory.
    data: PathBuf,
    expo: FakeExpo,
    condition: watch::Sender<Condition>,
    /// The number of page loads. Each load gets two users of its own.
    stories: AtomicU32,
}

/// One person, and their phone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    name: &'static str,
    user: String,
    token: String,
    push_token: String,
}

#[derive(Serialize)]
struct Story {
    /// The id of the demo's process. A reloaded page continues its story if the process is the same.
    process: u32,
    node: String,
    alex: Login,
    sam: Login,
}

/// Shows the phones until Ctrl-C or SIGTERM.
///
/// # Errors
/// If the node or the page cannot be served.
pub async fn open() -> Result<(), Error> {
    let directory = tempfile::Builder::new().prefix("tandem-phones-").tempdir().map_err(Error::Directory)?;
    let expo = FakeExpo::start("127.0.0.1:0").await.map_err(Error::Expo)?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::Page)?;
    let origin = format!("http://{}", listener.local_addr().map_err(Error::Page)?);
    let mut settings = push_to(&expo.url);
    settings.push(("TANDEM__SERVER__CORS__ALLOWED_ORIGINS", format!("[\"{origin}\"]")));
    // The node's start page leads to the phones.
    settings.push(("TANDEM_PHONES", format!("{origin}/")));
    let node = DemoNode::start(directory.path().to_owned(), settings)?;
    let (node_url, data) = (node.url().to_owned(), node.data());
    let (condition, _) = watch::channel(Condition { up: true, ms: 0, problem: None });
    let node = Arc::new(Mutex::new(node));
    let stage = Arc::new(Stage { node, node_url, data, expo, condition, stories: AtomicU32::new(0) });
    let server = page::serve(listener, &origin, stage.clone()).map_err(Error::Page)?;
    Narrator::to_stdout().phones(&format!("{origin}/"), &stage.node_url, &stage.data);
    show(&format!("{origin}/"));
    until_ended().await.map_err(Error::Signal)?;
    server.stop(false).await;
    stage.node.lock().await.stop()
}

impl Stage {
    async fn new_story(&self) -> Result<Story, Error> {
        let number = self.stories.fetch_add(1, Ordering::Relaxed) + 1;
        let node = self.node.lock().await;
        let login = |name: &'static str| {
            let user = format!("user_demo_{}_{number}", name.to_lowercase());
            let token = node.token(&user, name)?;
            Ok::<_, Error>(Login { name, push_token: format!("ExponentPushToken[{user}]"), user, token })
        };
        Ok(Story { process: std::process::id(), node: self.node_url.clone(), alex: login("Alex")?, sam: login("Sam")? })
    }

    /// Kills the node, and starts it again after a while. Does nothing if that is under way already.
    async fn kill_node(self: Arc<Self>) {
        let Ok(mut node) = self.node.clone().try_lock_owned() else { return };
        self.condition.send_replace(Condition { up: false, ms: 0, problem: None });
        let restarted = tokio::task::spawn_blocking(move || {
            node.kill()?;
            std::thread::sleep(OUTAGE);
            node.start_again()
        });
        let condition = match restarted.await {
            Ok(Ok(took)) => Condition { up: true, ms: took.as_millis(), problem: None },
            Ok(Err(error)) => Condition { up: false, ms: 0, problem: Some(error.to_string()) },
            Err(error) => Condition { up: false, ms: 0, problem: Some(error.to_string()) },
        };
        self.condition.send_replace(condition);
    }
}

/// Opens a browser, where there is a desktop.
fn show(url: &str) {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let opener = match () {
        () if cfg!(target_os = "macos") => "open",
        () if has("DISPLAY") || has("WAYLAND_DISPLAY") => "xdg-open",
        () => return,
    };
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
    };
    // Without it, the printed address is enough.
    let _ = quiet(Command::new(opener).arg(url));
}

#[cfg(unix)]
async fn until_ended() -> std::io::Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminated.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn until_ended() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
