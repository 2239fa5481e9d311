use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::{Table, compare, paths, problems, source::File};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn handbook() -> Table {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    Table::parse(&page).unwrap()
}

#[test]
fn every_room_uses_only_the_rooms_that_the_handbook_allows() {
    let problems = problems(&root(), &handbook());
    assert!(problems.is_empty(), "docs/architecture.md and the code differ:\n{}", problems.join("\n"));
}

#[test]
fn every_member_of_the_workspace_has_a_row() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("members = [")).unwrap();
    let members: BTreeSet<String> = line.split('"').skip(1).step_by(2).map(|member| format!("{member}/src")).collect();
    let rows: BTreeSet<String> =
        handbook().crates.into_iter().map(|row| row.folder).filter(|folder| folder != "src").collect();
    assert_eq!(rows, members);
}

/// The arrows of a crate with three rooms, whose room `low` has this text.
fn arrows_of(low: &str) -> BTreeSet<(String, String)> {
    let files = [
        File::new("lib.rs", "pub mod low; pub mod high; mod other; pub use high::Item;"),
        File::new("low/mod.rs", low),
        File::new("high.rs", "use super::low::Thing;"),
        File::new("other/part.rs", ""),
    ];
    let (arrows, homeless) = paths::arrows(&files, &BTreeSet::from(["low", "high", "other"]));
    assert!(homeless.is_empty(), "{homeless:?}");
    let of_low = arrows.into_iter().filter(|arrow| arrow.from == "low");
    of_low.map(|arrow| (arrow.from, arrow.to)).collect()
}

#[test]
fn finds_a_path_however_it_is_written() {
    let to_high = BTreeSet::from([("low".to_owned(), "high".to_owned())]);
    for text in [
        "use crate::high::Item;",
        "use super::high;",
        "pub(crate) use crate::{low::Thing, high::{self, deep::{Item as Other}}};",
        "use crate::Item;",
        "fn f() -> crate::high::Item { todo!() }",
        "fn f() { let x = vec![crate::high::item()]; }",
        "mod inner { use super::super::high::Item; }",
        "impl From<super::high::Item> for Thing {}",
        "#[cfg(test)] mod tests { use super::*; } use crate::high::Item;",
        "#[cfg(test)] use crate::{other::Part}; fn f() { crate::high::item() }",
    ] {
        assert_eq!(arrows_of(text), to_high, "{text}");
    }
}

#[test]
fn leaves_out_tests_own_items_and_texts() {
    for text in [
        "#[cfg(test)] mod tests { use crate::high::Item; }",
        "#[cfg(test)] use crate::high::{Item};",
        "mod part; use self::part::Item; fn f() { part::g() }",
        "mod high; use self::high::Item;",
        "// use crate::high::Item;\n/// [`crate::high::Item`]\nfn f() {}",
        "const TEXT: &str = \"crate::high::Item\";",
        "use std::high::Item; fn f() { other_crate::high::g() }",
    ] {
        assert_eq!(arrows_of(text), BTreeSet::new(), "{text}");
    }
}

const PAGE: &str = "<!-- arrows -->
### Crates
| crate | folder | may use |
|---|---|---|
| `one` | `src` | – |
### Rooms of `one`
| room | may use | holds |
|---|---|---|
| `low` `other` | – | |
| `high` | `low` | |
<!-- /arrows -->";

#[test]
fn refuses_an_arrow_that_is_not_in_the_table_and_a_row_that_nobody_uses() {
    let table = Table::parse(PAGE).unwrap();
    let check = |high: &str, low: &str| {
        let files = [File::new("high.rs", high), File::new("low.rs", low)];
        let (arrows, _) = paths::arrows(&files, &BTreeSet::from(["low", "high", "other"]));
        compare("one", &table.rooms["one"], &arrows)
    };
    assert_eq!(check("use crate::low::Thing;", ""), [""; 0]);
    let forbidden = check("use crate::low::Thing;", "use crate::high::Item;");
    assert_eq!(forbidden, ["one: new arrow low -> high (low.rs: high::Item)"]);
    assert_eq!(check("", ""), ["one: no high uses low"]);
}

#[test]
fn refuses_a_circle_in_the_table() {
    assert_eq!(Table::parse(PAGE).unwrap().circles(), [""; 0]);
    let circle = PAGE.replace("| `low` `other` | – | |", "| `low` `other` | `high` | |");
    assert_eq!(Table::parse(&circle).unwrap().circles(), ["one: a circle in the table, among high, low, other"]);
}

#[test]
fn finds_files_outside_of_all_rooms() {
    let files = [File::new("lib.rs", ""), File::new("attic.rs", "")];
    let (_, homeless) = paths::arrows(&files, &BTreeSet::from(["low"]));
    assert_eq!(homeless, ["attic.rs"]);
}
