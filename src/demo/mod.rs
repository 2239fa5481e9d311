//! `tandem demo` plays both partners from the invitation to the resolution, over real HTTP and real WebSockets. The
//! server is this binary's `serve` in its own process, with default settings. The tokens come from `token`. A stand-in
//! for Expo receives the pushes.
//!
//! `tandem demo --open` lets the visitors of its page play both partners: see [`open`].
//!
//! Every event and every push is awaited with a deadline. The first missing one ends the demo with an error.

mod client;
mod error;
mod narrate;
mod node;
mod phones;
mod realtime;
mod script;
mod steps;

use std::time::Instant;

pub use error::Error;
use narrate::Narrator;
use node::{DemoNode, push_to};
pub use phones::open;
use steps::Steps;

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
    let node = DemoNode::start(directory.path().to_owned(), push_to(&expo.url))?;
    narrator.opening(node.url(), &node.data(), &expo.url);

    let mut steps = Steps::new(node, expo, narrator)?;
    if let Err(error) = script::play(&mut steps).await {
        steps.narrator.failed(&steps.node.last_log_lines());
        return Err(error);
    }
    steps.narrator.closing(steps.counted(), started.elapsed());
    if options.keep {
        steps.narrator.keep(steps.node.url(), &steps.alex, &steps.sam, &steps.session);
        tokio::signal::ctrl_c().await.map_err(Error::Signal)?;
    }
    steps.node.stop()
}
