//! Who takes the backups of a fleet.

use std::path::{Path, PathBuf};

use super::*;
use crate::{harness::run, postgres::PASSWORD};

fn count(to: &Path) -> usize {
    to.join("backups").read_dir().map_or(0, Iterator::count)
}

/// Each node has a directory of its own here, so that it can be seen who has written.
#[tokio::test]
async fn only_the_owner_takes_backups_by_schedule_and_the_next_owner_goes_on() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let address = shared.database();
    let mut fleet = Fleet { nodes: vec![None, None, None], origins: Origins::default(), probe: http_once() };
    let directories: Vec<PathBuf> = NAMES.iter().map(|name| place.path().join(name)).collect();
    for (node, name) in NAMES.into_iter().enumerate() {
        let to = directories[node].display();
        fleet.begin(node, member(&address, name).set("backup.to", to).set("backup.schedule", "1s")).await;
    }
    let owner = fleet.owner().await;
    eventually("the owner takes backups", || async { (count(&directories[owner]) >= 2).then_some(()) }).await;
    let others = (0..3).filter(|node| *node != owner).collect::<Vec<_>>();
    assert!(others.iter().all(|node| !directories[*node].exists()), "nobody else does");

    // A command beside a node that stands by reads the database itself.
    let (data, to) = (fleet.node(others[0]).data().display().to_string(), place.path().join("by-command"));
    let arguments = ["backup", "--data", &data, "--to", to.to_str().expect("a path")];
    let settings = [
        ("TANDEM__STORE__ENGINE", "postgres"),
        ("TANDEM__STORE__URL", &*address),
        ("TANDEM__STORE__PASSWORD", PASSWORD),
    ];
    let taken = run(&arguments, &settings).await;
    assert!(taken.code == Some(0) && count(&to) == 1, "{taken:?}");

    fleet.take(owner).stop().await;
    let (before, next) = (count(&directories[owner]), fleet.owner().await);
    eventually("the next owner takes backups", || async { (count(&directories[next]) >= 2).then_some(()) }).await;
    let standing_by = others.into_iter().find(|node| *node != next).expect("one of three");
    assert!(!directories[standing_by].exists() && count(&directories[owner]) == before, "nobody else does");
}
