//! The shell blocks of a page, and how each is run. An HTML comment in the line before a block says so if it is not
//! simply run in order:
//!
//! - `not run: REASON`
//! - `server`: starts the node; the one that ran before is stopped gracefully. `server after kill -9`: it is killed
//! - `server stopped`: stops the node, then runs
//! - `background until "TEXT"`: runs beside the others from now on; it is ready when it has printed TEXT
//! - `node` before any of them: needs Node.js

use super::pages::Page;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    InOrder,
    NotRun,
    Server { kill: bool },
    ServerStopped,
    Background { until: String },
}

#[derive(Debug, Clone)]
pub struct Block {
    /// Page and line, for messages.
    pub place: String,
    pub way: Way,
    pub needs_node: bool,
    pub script: String,
}

/// The blocks that begin with "```sh", in order.
pub fn blocks(page: &Page) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    let mut before = "";
    for (number, line, code) in page.lines() {
        match line {
            "```sh" => {
                let place = format!("{}:{number}", page.path.display());
                let (way, needs_node) = way(&place, before);
                blocks.push(Block { place, way, needs_node, script: String::new() });
                open = true;
            }
            "```" => open = false,
            line if open && code => {
                let script = &mut blocks.last_mut().expect("one is open").script;
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
        before = line;
    }
    blocks
}

fn way(place: &str, before: &str) -> (Way, bool) {
    let Some(comment) = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else {
        return (Way::InOrder, false);
    };
    if let Some(reason) = comment.strip_prefix("not run: ") {
        assert!(reason.len() > 10, "{place}: a reason, please");
        return (Way::NotRun, false);
    }
    let (comment, needs_node) = match comment.strip_prefix("node") {
        Some(rest) => (rest.trim_start_matches([',', ' ']), true),
        None => (comment, false),
    };
    let way = match comment {
        "" => Way::InOrder,
        "server" => Way::Server { kill: false },
        "server after kill -9" => Way::Server { kill: true },
        "server stopped" => Way::ServerStopped,
        other => match other.strip_prefix("background until \"").and_then(|rest| rest.strip_suffix('"')) {
            Some(until) => Way::Background { until: until.to_owned() },
            None => panic!("{place}: <!-- {other} --> says nothing that is known here"),
        },
    };
    (way, needs_node)
}
