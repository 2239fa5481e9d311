//! The main job in one command: a server on embedded defaults, both partners over real HTTP and real WebSockets from the
//! invitation to the resolution, and a stand-in for Expo that receives what an absent partner is sent. Nothing is
//! simulated but the two people: the server is this binary's `serve` in a process of its own, the tokens come from `token`.
//!
//! Every event and every push is awaited with a deadline; the first that does not come ends the demo with an error.

mod client;
mod error;
mod narrate;
mod node;
mod realtime;
mod script;
mod stage;

use std::time::Instant;

pub use error::Error;
use narrate::Narrator;
use node::Node;
use stage::Stage;

use crate::push::fake_expo::FakeExpo;

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave the server running afterwards, until Ctrl-C.
    pub keep: bool,
}

pub async fn run(options: Options) -> Result<(), Error> {
    let narrator = Narrator::to_stdout();
    let started = Instant::now();
    let directory = tempfile::Builder::new().prefix("tandem-demo-").tempdir().map_err(Error::Directory)?;
    let expo = FakeExpo::start("127.0.0.1:0").await.map_err(Error::Expo)?;
    let node = Node::start(directory.path().to_owned(), expo.url.clone())?;
    narrator.opening(node.url(), directory.path(), &expo.url);

    let mut stage = Stage::new(node, expo, narrator)?;
    if let Err(error) = script::play(&mut stage).await {
        stage.narrator.failed(&stage.node.last_words());
        return Err(error);
    }
    stage.narrator.closing(stage.counted(), started.elapsed());
    if options.keep {
        stage.narrator.keep(stage.node.url(), &stage.alex, &stage.sam, &stage.session);
        tokio::signal::ctrl_c().await.map_err(Error::Signal)?;
    }
    stage.node.stop()
}
