//! Runs the shell blocks of each page in order, as a reader does who begins with the walk-through of the README.

use std::process::Command;

use super::{
    blocks::{Block, Way, blocks},
    node::Reader,
    pages::{Page, all},
};
use crate::sdk_packages;

#[tokio::test]
async fn every_shell_block_runs_in_order() {
    if !tools_are_there() {
        return;
    }
    let walk_through = blocks(&Page::read("README.md"));
    let with_blocks: Vec<Vec<Block>> = all()
        .iter()
        .map(|page| (page, blocks(page)))
        .filter(|(page, blocks)| is_readme(page) || blocks.iter().any(|block| block.way != Way::NotRun))
        .map(|(page, own)| if is_readme(page) { own } else { [walk_through.clone(), own].concat() })
        .collect();
    assert!(with_blocks.len() > 3, "README and pages of docs");
    futures_util::future::join_all(with_blocks.iter().map(|blocks| follow(blocks))).await;
}

fn is_readme(page: &Page) -> bool {
    page.path.as_os_str() == "README.md"
}

async fn follow(blocks: &[Block]) {
    let mut reader = Reader::new();
    for block in blocks {
        if block.way == Way::NotRun || block.needs_node && !*sdk_packages::INSTALLED {
            continue;
        }
        match &block.way {
            Way::InOrder => reader.run(block).await,
            Way::Server { kill } => reader.start_server(block, *kill).await,
            Way::ServerStopped => {
                reader.stop_server().await;
                reader.run(block).await;
            }
            Way::Background { until } => reader.run_beside(block, until).await,
            Way::NotRun => {}
        }
    }
}

/// The blocks use jq, and curl's `--json`. Without them: false with one line to say so, except under `CI=true`, where
/// that fails.
fn tools_are_there() -> bool {
    let version = |tool: &str| {
        let output = Command::new(tool).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let curl = version("curl").is_some_and(|text| knows_json(&text));
    let missing = !curl || version("jq").is_none() || version("bash").is_none();
    if missing {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "bash, jq and curl 7.82 are needed under CI=true");
        eprintln!(
            "skipped: bash, jq or curl 7.82 is not installed, so the shell blocks of the documentation were not run"
        );
    }
    !missing
}

/// `curl 7.88.1 (x86_64-pc-linux-gnu) …`
fn knows_json(version: &str) -> bool {
    let mut numbers = version.split([' ', '.']).skip(1).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (7, 82)
}
