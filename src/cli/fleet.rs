//! `tandem fleet`: the nodes of a database, and which of them owns it.

use super::{CommandResult, Failure, output::print};
use crate::{
    config::Settings,
    store::{self, NodeSeen, Place},
};

const HEADS: [&str; 7] = ["NODE", "ROLE", "SINCE", "LEASE", "SEEN", "VERSION", "ADDRESS"];

pub fn run(settings: &Settings) -> CommandResult {
    let Place::Postgres { address, .. } = settings.store_place() else {
        let right = "store.engine must be \"postgres\": the nodes of a fleet share one database";
        return Err(Failure { code: 2, ..Failure::new(right) });
    };
    let nodes = store::fleet_nodes(&address, &settings.store_options())?;
    if nodes.is_empty() {
        return Ok(print("no node runs")?);
    }
    let rows: Vec<_> = std::iter::once(HEADS.map(str::to_owned)).chain(nodes.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..HEADS.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        print(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(node: &NodeSeen) -> [String; 7] {
    let NodeSeen { name, address, version, since, lease, seen, .. } = node;
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let (role, lease) = match lease {
        Some(left) if *left >= 0.0 => ("owner", format!("{left:.1} s")),
        Some(left) => ("owner, silent", format!("over for {:.0} s", -left)),
        None => ("stands by", "-".to_owned()),
    };
    let seen = seen.map_or_else(|| "-".to_owned(), |ago| format!("{ago:.1} s ago"));
    [shown(name), role.to_owned(), since.clone(), lease, seen, version.clone(), shown(address)]
}
