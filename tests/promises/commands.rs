//! The other subcommands.

use std::path::Path;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Conversation, Partner, Request, Running, SECRET, run, server, tandem, text};

#[tokio::test]
async fn token_prints_a_token_and_nothing_else() {
    let running = server().start().await;
    let data = running.data().to_str().expect("a path").to_owned();
    let secret = [("TANDEM__AUTH__HS256_SECRET", SECRET)];
    let made = run(&["token", "--user", "user_ben", "--data", &data], &secret).await;
    assert_eq!((made.code, made.stdout.lines().count()), (Some(0), 1), "{made:?}");
    let me = running.get("/api/v1/auth/me").bearer(made.stdout.trim()).send().await.ok();
    assert_eq!(me["user"]["id"], "user_ben");
    let short = run(&["token", "--user", "user_ben", "--ttl", "soon", "--data", &data], &secret).await;
    assert!(short.code.is_some_and(|code| code != 0) && short.stdout.is_empty(), "{short:?}");
}

#[tokio::test]
async fn check_gives_the_same_warnings_as_serve() {
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().to_str().expect("a path");
    let checked = run(&["check", "--data", data], &[("TANDEM__AUTH__HS256_SECRET", "short")]).await;
    assert!(checked.stdout.contains("WARN   tokens: a shared secret: auth.hs256_secret is shorter"), "{checked:?}");
}

#[tokio::test]
async fn check_beside_a_running_node_finds_nothing_wrong() {
    let running = server().start().await;
    let data = running.data().to_str().expect("a path").to_owned();
    let checked = run(&["check", "--data", &data], &[("TANDEM__PUSH__BASE_URL", &running.origin)]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains(&format!("ok     running node: answers at {}", running.origin)), "{checked:?}");
}

#[tokio::test]
async fn check_reports_what_works_and_what_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, file) = (directory.path().join("data"), directory.path().join("config.toml"));
    let (data, config) = (data.to_str().expect("a path"), file.to_str().expect("a path"));
    std::fs::write(&file, "[nudge]\nmin_interval = \"2h\"\n[push]\nbase_url = \"http://127.0.0.1:9\"\n")
        .expect("a file");
    let unreachable = run(&["check", "--config", config, "--data", data], &[]).await;
    assert!(unreachable.stdout.contains("127.0.0.1:9"), "what is not reachable is named: {unreachable:?}");
    assert!(unreachable.stdout.to_lowercase().contains("connection refused"), "and why: {unreachable:?}");
    std::fs::write(&file, "[nudge]\nmin_interval = \"hourly\"\n").expect("a file");
    let wrong = run(&["check", "--config", config, "--data", data], &[]).await;
    assert!(wrong.code.is_some_and(|code| code != 0), "{wrong:?}");
    assert!(format!("{}{}", wrong.stdout, wrong.stderr).contains("min_interval"), "{wrong:?}");
}

#[tokio::test]
async fn the_demo_plays_a_whole_conversation() {
    let played = run(&["demo"], &[]).await;
    assert_eq!(played.code, Some(0), "{}\n{}", played.stdout, played.stderr);
    let story = played.stdout.to_lowercase();
    for word in ["invit", "compact", "empathy", "agreement", "push", "resolved"] {
        assert!(story.contains(word), "{word} in {}", played.stdout);
    }
}

#[tokio::test]
async fn the_demo_shows_two_phones_until_it_is_ended() {
    let mut command = tandem();
    command.args(["demo", "--open"]).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let mut demo = Running::spawn(command);
    let line = demo.first_line().await.expect("it says where the page is");
    let origin = line.strip_prefix("Two phones: ").expect("an address").trim_end_matches('/');
    let page = Request::new(Method::GET, origin, "/").send().await;
    assert!(page.status == 200 && page.body.contains("What travels"), "{}", page.body);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let press = |path: &str| Request::new(Method::POST, origin, path);
    for path in ["/kill", "/story"] {
        assert_eq!(press(path).send().await.status, 404, "only the page may ask for {path}");
        let elsewhere = press(path).header("x-demo", "yes").header("host", "evil.example");
        assert_eq!(elsewhere.send().await.status, 404, "{path}");
    }
    let story = press("/story").header("x-demo", "yes").send().await.json();
    let alex = Partner::with_token(&text(&story["node"]), "alex", text(&story["alex"]["token"]));
    assert_eq!(alex.get("/auth/me").await.ok()["user"]["name"], "Alex");
    demo.terminate();
    assert!(demo.ended().await.success());
    let gone = alex.request(Method::GET, "/auth/me").attempt().await;
    assert!(gone.is_err(), "the node ends with the demo");
}

#[tokio::test]
async fn a_node_moves_from_one_engine_to_the_other() {
    let running = server().set("store.engine", "sled").start().await;
    let both = Conversation::at_stage(&running, 1).await;
    both.anna.say("/pause", json!({ "reason": "moving house" })).await.done();
    let events = both.ben.events().await;
    let stopped = running.stop().await;
    let target = tempfile::tempdir().expect("a directory");
    let store = |engine: &str, data: &Path| format!("{engine}:{}", data.join("store").display());
    let (from, to) = (store("sled", stopped.data()), store("redb", target.path()));
    let copied = run(&["store", "copy", "--from", &from, "--to", &to], &[]).await;
    assert_eq!(copied.code, Some(0), "{copied:?}");
    let moved = server().on(target).set("store.engine", "redb").start().await;
    assert_eq!(both.ben.back_at(&moved).events().await, events);
    both.ben.back_at(&moved).press("/resume").await.done();
}

#[tokio::test]
async fn help_and_version_are_there_and_an_unknown_command_is_refused() {
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"], &["token", "--help"], &["check", "--help"]]
    {
        let said = run(arguments, &[]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(!said.stdout.is_empty());
    }
    let unknown = run(&["fly"], &[]).await;
    assert!(unknown.code.is_some_and(|code| code != 0) && unknown.stdout.is_empty(), "{unknown:?}");
}
