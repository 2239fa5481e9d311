//! Backups that the node takes by itself, and those that the console's button asks for.

use std::fs;

use crate::harness::{Console, Conversation, eventually, run, server};

#[tokio::test]
async fn backups_are_taken_when_they_are_due_and_the_last_ones_are_kept() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().to_str().expect("a path").to_owned();
    let setup = server().set("backup.to", &to).set("backup.schedule", "1s").set("backup.keep", 2);
    let server = setup.start().await;
    let list = async || {
        let listed = run(&["restore", "--from", &to, "--list"], &[]).await.stdout;
        listed.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let first = eventually("a first backup", || async { list().await.first().cloned() }).await;
    Conversation::joined(&server).await;
    let kept = eventually("the first one to go", || async {
        let kept = list().await;
        (!kept.is_empty() && !kept.contains(&first)).then_some(kept)
    });
    assert!(kept.await.len() <= 2);
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.contains("tandem_backups_total{outcome=\"taken\"}"), "{metrics}");
    assert!(metrics.contains("tandem_backup_last_success_timestamp_seconds 1"), "{metrics}");
    // The same directory, by command: no more are kept than the setting says.
    let asked = [("TANDEM__BACKUP__TO", to.as_str()), ("TANDEM__BACKUP__KEEP", "1")];
    let setup = server.stop().await;
    let finished = run(&["backup", "--data", setup.data().to_str().expect("a path")], &asked).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(list().await.len(), 1);
}

#[tokio::test]
async fn the_consoles_button_takes_a_backup_and_the_page_says_how_it_ended() {
    let place = tempfile::tempdir().expect("a directory");
    let to = place.path().join("backups");
    fs::write(&to, "a file in the way").expect("written");
    let server = server().set("backup.to", to.display()).start().await;
    let console = Console::sign_in(&server).await;
    console.send("/console/back-up", &[]).await;
    let page = async |words: &str| {
        let shown = || async { Some(console.get("/console/backups").await.body).filter(|page| page.contains(words)) };
        eventually(words, shown).await
    };
    page("The last one failed").await;
    assert!(console.get("/console").await.body.contains("The last backup failed"));
    // A backup to another directory does not mend it.
    let (data, other) = (server.data().display().to_string(), place.path().join("other").display().to_string());
    let elsewhere = run(&["backup", "--data", &data, "--to", &other], &[]).await;
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
    page("The last one failed").await;
    assert!(console.get("/console").await.body.contains("The last backup failed"));
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.contains("tandem_backups_total{outcome=\"taken\"} 1"), "{metrics}");
    assert!(!metrics.contains("tandem_backup_last_success_timestamp_seconds 1"), "{metrics}");
    fs::remove_file(&to).expect("removed");
    console.send("/console/back-up", &[]).await;
    page("The last one was complete").await;
    let id = to.join("backups").read_dir().expect("manifests").next().expect("one").expect("an entry").file_name();
    page(id.to_str().expect("a name").trim_end_matches(".json")).await;
    assert!(!console.get("/console").await.body.contains("The last backup failed"));
    for end in ["<td>failed: ", "<td>complete: "] {
        eventually(end, || async { console.get("/console/changes").await.body.contains(end).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_schedule_needs_a_directory_and_a_meaning() {
    let refused = server().set("backup.schedule", "24h").refused().await;
    assert!(refused.refused_with_one_line().contains("needs backup.to"), "{refused:?}");
    let refused = server().set("backup.to", "/tmp/x").set("backup.schedule", "sometimes").refused().await;
    assert!(refused.refused_with_one_line().contains("\"03:30\""), "{refused:?}");
    let refused = server().set("backup.to", "backups").refused().await;
    let problem = refused.refused_with_one_line();
    assert!(problem.contains("backup.to") && problem.contains("/var/backups/tandem"), "{problem}");
    let nowhere = run(&["backup"], &[]).await;
    assert!(nowhere.refused_with_one_line().contains("--to DIR"), "{nowhere:?}");
}
