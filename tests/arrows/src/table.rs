//! The table in the handbook, between `<!-- arrows -->` and `<!-- /arrows -->`.

use std::collections::{BTreeMap, BTreeSet};

/// A crate of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrateRow {
    /// As in its manifest.
    pub name: String,
    /// Where its sources are, from the root of the repository.
    pub folder: String,
    /// The crates of the workspace that its manifest may name.
    pub may_use: Vec<String>,
}

impl CrateRow {
    pub(crate) fn manifest(&self) -> String {
        let folder = self.folder.trim_end_matches("src").trim_end_matches('/');
        if folder.is_empty() { "Cargo.toml".into() } else { format!("{folder}/Cargo.toml") }
    }
}

/// Rooms of one crate with the same neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// Names of modules.
    pub rooms: Vec<String>,
    /// Rooms whose items these may name.
    pub may_use: Vec<String>,
}

/// The tables of `docs/architecture.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// In the order of the page.
    pub crates: Vec<CrateRow>,
    /// By crate. A crate without rooms is checked as a whole.
    pub rooms: BTreeMap<String, Vec<RoomRow>>,
}

impl Table {
    /// Reads the tables of a handbook page.
    ///
    /// # Errors
    /// Says which marker or which row is missing.
    pub fn parse(page: &str) -> Result<Table, String> {
        let (_, rest) = page.split_once("<!-- arrows -->").ok_or("the page has no <!-- arrows -->")?;
        let (text, _) = rest.split_once("<!-- /arrows -->").ok_or("the page has no <!-- /arrows -->")?;
        let mut table = Table::default();
        let mut heading = "";
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("### ") {
                heading = title;
                continue;
            }
            let Some(cells) = line.strip_prefix('|').map(|line| line.split('|').collect::<Vec<_>>()) else { continue };
            let (first, second, third) = match cells[..] {
                [first, second, third, ..] => (names(first), names(second), names(third)),
                _ => return Err(format!("a row has fewer than three cells: {line}")),
            };
            // The head of a table, and the line below it, have no names in backticks.
            if first.is_empty() {
                continue;
            }
            if heading == "Crates" {
                let (Some(name), Some(folder)) = (first.first().cloned(), second.first().cloned()) else {
                    return Err(format!("a crate needs a folder: {line}"));
                };
                table.crates.push(CrateRow { name, folder, may_use: third });
            } else if let Some(name) =
                heading.strip_prefix("Rooms of ").map(names).and_then(|names| names.first().cloned())
            {
                table.rooms.entry(name).or_default().push(RoomRow { rooms: first, may_use: second });
            } else {
                return Err(format!("a row stands under the heading {heading:?}"));
            }
        }
        Ok(table)
    }

    /// Circles in the table itself.
    pub(crate) fn circles(&self) -> Vec<String> {
        let crates = self.crates.iter().map(|row| (row.name.as_str(), row.may_use.iter().collect()));
        let mut problems = circle("the crates", crates.collect());
        for (name, rows) in &self.rooms {
            let mut arrows: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
            for row in rows {
                for room in &row.rooms {
                    arrows.entry(room).or_default().extend(row.may_use.iter().filter(|to| *to != room));
                }
            }
            problems.extend(circle(name, arrows));
        }
        problems
    }
}

/// Takes away rooms that use no other, until nothing changes. What is left lies on a circle, or above one.
fn circle(name: &str, mut arrows: BTreeMap<&str, BTreeSet<&String>>) -> Vec<String> {
    loop {
        let done: Vec<_> = arrows
            .iter()
            .filter(|(_, to)| !to.iter().any(|to| arrows.contains_key(to.as_str())))
            .map(|(from, _)| *from)
            .collect();
        if done.is_empty() {
            break;
        }
        done.iter().for_each(|room| drop(arrows.remove(room)));
    }
    if arrows.is_empty() {
        return Vec::new();
    }
    let rooms: Vec<_> = arrows.keys().copied().collect();
    vec![format!("{name}: a circle in the table, among {}", rooms.join(", "))]
}

/// The names in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
