//! How a server starts, and how it refuses to: one clear line and a non-zero exit.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::harness::{Claims, Conversation, SECRET, run, server};

#[tokio::test]
async fn a_wrong_setting_is_refused_with_its_name_and_what_would_be_right() {
    for (name, value, expected) in [
        ("nudge.min_interval", "often", &["min_interval", "often"][..]),
        ("nudge.max_interval", "1h", &["max_interval"]),
        ("store.engine", "paper", &["engine", "sled", "redb", "postgres"]),
        ("store.engine", "postgres", &["store.url"]),
        ("realtime.provider", "pigeons", &["provider", "embedded", "ably"]),
        ("routing.when_absent", "shout", &["when_absent", "push_and_publish"]),
        ("server.shutdown_timeout", "-5", &["shutdown_timeout"]),
    ] {
        let refused = server().set(name, value).refused().await;
        let line = refused.refused_with_one_line();
        for word in expected {
            assert!(line.contains(word), "{name}={value} should mention {word}: {line}");
        }
    }
}

#[tokio::test]
async fn a_wrong_config_file_is_refused_with_its_name_and_the_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mine.toml");
    let path = file.to_str().expect("a path");
    for (content, expected) in [
        ("[nudge]\nmin_interval = 7", "min_interval"),
        ("[nudge]\nmin_intervall = \"6h\"", "min_intervall"),
        ("[nudges]\nmin_interval = \"6h\"", "nudges"),
        ("[nudge\n", "mine.toml"),
    ] {
        fs::write(&file, content).expect("a file");
        let refused = server().arguments(&["--config", path]).refused().await;
        let line = refused.refused_with_one_line();
        assert!(line.contains(expected) && line.contains("mine.toml"), "{content:?}: {line}");
    }
    let refused = server().arguments(&["--config", "/nowhere/at/all.toml"]).refused().await;
    assert!(refused.refused_with_one_line().contains("/nowhere/at/all.toml"));
}

#[tokio::test]
async fn settings_come_from_the_file_and_the_environment_wins() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mine.toml");
    fs::write(&file, "[nudge]\nmin_interval = \"1h\"\n[server.limits]\ninvitation = 1\n").expect("a file");
    let setup = server().arguments(&["--config", file.to_str().expect("a path")]).set("server.limits.invitation", 2);
    let server = setup.start().await;
    let both = Conversation::joined(&server).await;
    both.anna.press("/nudge").await.done();
    let refused = both.anna.press("/nudge").await;
    refused.refused(429, "RATE_LIMITED");
    let wait: u64 = refused.header("retry-after").expect("checked").parse().expect("seconds");
    assert!((3400..=3600).contains(&wait), "{wait}");
    let look = || server.get(&format!("/api/v1/invitations/{}", both.invitation)).send();
    look().await.ok();
    look().await.ok();
    look().await.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn a_node_starts_where_no_certificate_authorities_are_installed() {
    let empty = tempfile::tempdir().expect("a directory");
    let path = empty.path().display().to_string();
    let setup = server().environment("SSL_CERT_DIR", &path).environment("SSL_CERT_FILE", &format!("{path}/none.pem"));
    // Both clients of outside services are made: Expo's and the issuer's.
    let server = setup.unset("push.base_url").set("auth.jwks_url", "https://127.0.0.1:9/jwks.json").start().await;
    assert_eq!(server.get("/health").send().await.status, 200);
}

#[test]
fn the_binary_holds_the_time_zones_itself() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    assert!(bundled.get("Europe/Vienna").is_ok(), "an image without /usr/share/zoneinfo knows no time zone");
}

#[tokio::test]
async fn the_log_begins_with_a_summary_of_the_node() {
    let server = server().unset("auth.hs256_secret").start().await;
    let data = server.data().display().to_string();
    server.logged(&["starting", &data, "sled:", "embedded"]).await;
    for secret in ["auth.secret", "realtime.key"] {
        server.logged(&["made a secret", secret]).await;
    }
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let running = server().start().await;
    let refused = server().listen(running.host()).refused().await;
    assert!(refused.refused_with_one_line().contains(running.host()), "{refused:?}");
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    for engine in ["sled", "redb"] {
        let running = server().set("store.engine", engine).start().await;
        let data = running.data().display().to_string();
        let refused = running.setup().refused().await;
        assert!(refused.refused_with_one_line().contains(&data), "{engine}: {refused:?}");
        assert_eq!(running.get("/health").send().await.status, 200, "the first is not disturbed");
    }
}

#[tokio::test]
async fn an_unwritable_data_directory_is_refused() {
    // A file in its place is unwritable for everybody, root included.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().join("below").display().to_string();
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data", &path], &[]).await;
    assert!(refused.refused_with_one_line().contains(&path), "{refused:?}");
    let place = tempfile::tempdir().expect("a directory");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o500)).expect("a mode");
    if fs::write(place.path().join("probe"), "").is_err() {
        let path = place.path().join("data").display().to_string();
        let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data", &path], &[]).await;
        assert!(refused.refused_with_one_line().contains(&path), "{refused:?}");
    }
}

#[tokio::test]
async fn without_a_secret_one_is_made_and_kept_for_its_owner() {
    let first = server().unset("auth.hs256_secret").start().await;
    let data = first.data().to_str().expect("a path").to_owned();
    let private = walk(first.data())
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("secret")));
    let private: Vec<_> = private.collect();
    assert!(!private.is_empty(), "the secret is in the data directory");
    for path in private {
        let mode = fs::metadata(&path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path:?}");
    }
    let forged = Claims::of("user_x").hs256(SECRET);
    first.get("/api/v1/sessions").bearer(&forged).send().await.refused(401, "UNAUTHORIZED");
    let token = run(&["token", "--user", "user_anna", "--name", "Anna", "--data", &data], &[]).await;
    assert_eq!(token.code, Some(0), "{token:?}");
    let token = token.stdout.trim().to_owned();
    let me = first.get("/api/v1/auth/me").bearer(&token).send().await.ok();
    assert_eq!((&me["user"]["id"], &me["user"]["name"]), (&"user_anna".into(), &"Anna".into()));
    let again = first.kill_and_start().await;
    again.get("/api/v1/auth/me").bearer(&token).send().await.ok();
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.path().is_dir() {
            all.extend(walk(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}
