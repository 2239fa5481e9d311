//! Compares the paths in the code with the table "room, may use" of `docs/architecture.md`. A room is a module of a
//! crate. An arrow leads from a room to a room whose items it names.

mod paths;
mod source;
mod table;

use std::{collections::BTreeSet, fmt, path::Path};

pub use table::{CrateRow, RoomRow, Table};

/// One use of a room by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The room that names the item.
    pub from: String,
    /// The room that the item belongs to.
    pub to: String,
    /// Where it was found: a file, and the path that is named there.
    pub place: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} ({})", self.from, self.to, self.place)
    }
}

/// What is wrong with the code or the table, one line each.
#[must_use]
pub fn problems(root: &Path, table: &Table) -> Vec<String> {
    let mut problems = table.circles();
    for row in &table.crates {
        problems.extend(crate_problems(root, table, row));
    }
    problems
}

fn crate_problems(root: &Path, table: &Table, row: &CrateRow) -> Vec<String> {
    let mut problems = Vec::new();
    let used = source::dependencies(&root.join(row.manifest()));
    for name in used.iter().filter(|name| !row.may_use.contains(name)) {
        problems.push(format!("{} -> {name} is in no row of the crates", row.name));
    }
    for name in row.may_use.iter().filter(|name| !used.contains(name)) {
        problems.push(format!("{} -> {name} is in the table of the crates, and not in the manifest", row.name));
    }
    let Some(rooms) = table.rooms.get(&row.name) else { return problems };
    let files = source::files(&root.join(&row.folder));
    let names: BTreeSet<&str> = rooms.iter().flat_map(|row| &row.rooms).map(String::as_str).collect();
    let (arrows, homeless) = paths::arrows(&files, &names);
    problems.extend(homeless.iter().map(|file| format!("{}: {file} is in no room", row.name)));
    problems.extend(compare(&row.name, rooms, &arrows));
    let empty = names.iter().filter(|name| !files.iter().any(|file| file.is_in(name)));
    problems.extend(empty.map(|name| format!("{}: the room {name} does not exist", row.name)));
    problems
}

/// Arrows that no row allows, and rows that allow what nobody uses.
fn compare(name: &str, rooms: &[RoomRow], arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let allowed =
        |arrow: &&Arrow| rooms.iter().any(|row| row.rooms.contains(&arrow.from) && row.may_use.contains(&arrow.to));
    let mut problems: Vec<_> =
        arrows.iter().filter(|arrow| !allowed(arrow)).map(|arrow| format!("{name}: new arrow {arrow}")).collect();
    for row in rooms {
        let is_used = |to: &&String| arrows.iter().any(|arrow| row.rooms.contains(&arrow.from) && arrow.to == **to);
        let unused = row.may_use.iter().filter(|to| !is_used(to));
        problems.extend(unused.map(|to| format!("{name}: no {} uses {to}", row.rooms.join(" or "))));
    }
    problems
}

#[cfg(test)]
mod tests;
