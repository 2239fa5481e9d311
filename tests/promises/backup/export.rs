//! All rows as lines of JSON, and a store made of them.

use std::fs;

use super::{done, text, told};
use crate::harness::{Conversation, Realtime, run, server, views};

#[tokio::test]
async fn an_export_becomes_the_same_node_on_the_other_engine() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().start().await;
    let (both, _) = Conversation::agreed(&server).await;
    let mut listener = Realtime::connect(&both.ben).await;
    listener.attach(&both.session).await;
    both.anna.press("/resolve").await.done();
    told(&listener, &both.session, "session.resolved").await;
    views::looked_at(&both).await;
    let before = views::all(&server, &both).await;
    let file = place.path().join("all.jsonl");
    let output = done(run(&["export", "--data", text(server.data()), "--to", text(&file)], &[]).await);
    assert!(output.starts_with("exported "), "{output}");
    assert_eq!(place.path().read_dir().expect("a directory").count(), 1, "nothing else stays");
    let again = run(&["export", "--data", text(server.data()), "--to", text(&file)], &[]).await;
    assert!(again.refused_with_one_line().contains("is not overwritten"), "{again:?}");

    let data = tempfile::tempdir().expect("a directory");
    let redb = [("TANDEM__STORE__ENGINE", "redb")];
    let import = ["import", "--data", text(data.path()), "--from", text(&file)];
    assert!(done(run(&import, &redb).await).starts_with("imported "));
    let twice = run(&import, &redb).await;
    assert!(!twice.refused_with_one_line().is_empty(), "{twice:?}");
    fs::copy(server.data().join("realtime.key"), data.path().join("realtime.key")).expect("the key");
    let again = server.setup().on(data).set("store.engine", "redb").start().await;
    views::same(&before, &views::all(&again, &both.back_at(&again)).await);
    both.back_at(&again).anna.press("/archive").await.done();
}

#[tokio::test]
async fn a_changed_export_is_refused_with_its_line_and_nothing_is_made() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().start().await;
    Conversation::joined(&server).await;
    let setup = server.stop().await;
    let file = place.path().join("all.jsonl");
    done(run(&["export", "--data", text(setup.data()), "--to", text(&file)], &[]).await);
    let whole = fs::read_to_string(&file).expect("text");
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines.len();
    let with = |line: usize, changed: &str| {
        let mut lines = lines.clone();
        lines[line - 1] = changed;
        lines.join("\n") + "\n"
    };
    let without = |line: usize| [&lines[..line - 1], &lines[line..]].concat().join("\n") + "\n";
    for (content, line, words) in [
        (with(3, "{\"key\":5}"), 3, "it must be a row"),
        (with(4, "{\"key\":\"x%zz\",\"raw\":\"\"}"), 4, "hexadecimal"),
        (with(5, lines[1]), 5, "keys must ascend"),
        (with(1, lines[1]), 1, "it must be the header"),
        (without(4), last - 1, "missing or changed"),
        (without(last), last, "the file was cut off"),
        (String::new(), 1, "it must be the header"),
    ] {
        let changed = place.path().join("changed.jsonl");
        fs::write(&changed, content).expect("written");
        let data = place.path().join("new");
        let refused = run(&["import", "--data", text(&data), "--from", text(&changed)], &[]).await;
        let told = refused.refused_with_one_line();
        assert!(told.contains(&format!("line {line}: ")) && told.contains(words), "{line}, {words}: {told}");
        assert!(!data.join("store").exists(), "nothing is made");
    }
}
