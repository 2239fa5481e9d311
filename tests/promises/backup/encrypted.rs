//! Backups of an encrypted store are as encrypted as the store. The present key restores every backup.

use super::*;
use crate::encryption::{EVERYTHING, found, key, look};

const KEY: &str = "TANDEM__STORE__ENCRYPTION_KEY_FILE";
const WORDS: [&str; 2] = ["what-anna-needs", "what-came-later"];

async fn with_key(arguments: &[&str], key: &str) -> Finished {
    run(arguments, &[(KEY, key)]).await
}

#[tokio::test]
async fn a_backup_of_an_encrypted_store_shows_nothing_and_each_is_restored_with_the_present_key() {
    let (place, keys) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (first, other) = (key(keys.path(), "a"), key(keys.path(), "b"));
    let setup = server().set("journal.checkpoint_after", "100ms").set("store.encryption_key_file", &first);
    let server = setup.start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need(WORDS[0], "SAFETY").await.created();
    views::looked_at(&both).await;
    let before = (views::of(&both.anna).await, views::of(&both.ben).await);
    back_up(server.data(), place.path()).await;

    // Another key. The rows are encrypted again, and a backup is taken while they are, and another one when all are.
    let stopped = server.stop().await;
    let rekey = ["store", "rekey", "--new-key-file", &other, "--data", text(stopped.data())];
    done(with_key(&rekey, &first).await);
    let server = stopped.set("store.encryption_key_file", &other).start().await;
    let both = both.back_at(&server);
    both.anna.need(WORDS[1], "MEANING").await.created();
    back_up(server.data(), place.path()).await;
    eventually("all rows encrypted again", || async {
        look(&both).await;
        // What the last backup does not have is kept for the next one.
        back_up(server.data(), place.path()).await;
        server.logs().contains(EVERYTHING).then_some(())
    })
    .await;
    views::looked_at(&both).await;
    let after = (views::of(&both.anna).await, views::of(&both.ben).await);
    back_up(server.data(), place.path()).await;
    assert_eq!(found(place.path(), &WORDS), [""; 0]);

    let listed = done(run(&["restore", "--from", text(place.path()), "--list"], &[]).await);
    let oldest = listed.lines().next().and_then(|line| line.split_whitespace().next()).expect("an id").to_owned();
    let setup = server.stop().await;
    let nowhere = place.path().join("nowhere");
    let newest = ["restore", "--from", text(place.path()), "--to", text(&nowhere)];
    assert!(
        with_key(&newest, keys.path().join("c").to_str().expect("a path"))
            .await
            .refused_with_one_line()
            .contains("No such file")
    );
    let unknown = key(keys.path(), "c");
    assert!(with_key(&newest, &unknown).await.refused_with_one_line().contains("another key"));
    for (more, expected) in [(vec!["--backup", oldest.as_str()], &before), (vec![], &after)] {
        let to = |data: &Path| {
            let to = [vec!["restore", "--from", text(place.path()), "--to", text(data)], more.clone()].concat();
            to.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let data = tempfile::tempdir().expect("a directory");
        let arguments = to(data.path());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let refused = run(&arguments, &[]).await;
        assert!(refused.refused_with_one_line().contains("it is encrypted: set store.encryption_key_file"));
        assert!(!data.path().join("store").exists(), "nothing is begun");
        done(with_key(&arguments, &other).await);
        let again = setup.clone().on(data).start().await;
        let both = both.back_at(&again);
        views::same(&expected.0, &views::of(&both.anna).await);
        views::same(&expected.1, &views::of(&both.ben).await);
        assert_eq!(found(&again.data().join("store"), &WORDS), [""; 0], "what is restored is encrypted");
    }
}
