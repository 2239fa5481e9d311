//! Commands that need no node: settings files, completions, manual pages, the version.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tandem::config::{Settings, Sources};

use crate::harness::{Finished, run};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of Unicode")
}

fn done(finished: Finished) -> String {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    finished.stdout
}

/// The line of `tandem config show` about a setting.
fn line<'a>(shown: &'a str, key: &str) -> &'a str {
    let found = shown.lines().find(|line| line.trim_start_matches("# ").starts_with(key));
    found.unwrap_or_else(|| panic!("{key} in:\n{shown}"))
}

fn loaded(file: &Path) -> Settings {
    Settings::load(&Sources { file: Some(file.to_owned()), ..Sources::default() }).expect("valid settings")
}

#[tokio::test]
async fn a_settings_file_is_written_once_and_changes_nothing_until_it_is_edited() {
    let place = tempfile::tempdir().expect("a directory");
    let data = place.path().join("data");
    let file = data.join("config.toml");
    done(run(&["config", "init", "--data", text(&data)], &[]).await);
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600, "it may hold secrets");
    let shown = done(run(&["config", "show", "--data", text(&data)], &[]).await);
    assert!(!shown.contains("# file"), "{shown}");

    let written = fs::read_to_string(&file).expect("a file");
    fs::write(&file, written.replace("#min_interval = \"6h\"", "min_interval = \"7h\"")).expect("edited");
    let again = run(&["config", "init", "--data", text(&data)], &[]).await;
    assert!(again.refused_with_one_line().contains("is not overwritten"), "{again:?}");
    let shown = done(run(&["config", "show", "--data", text(&data)], &[]).await);
    assert_eq!(line(&shown, "nudge.min_interval"), format!("nudge.min_interval = \"7h\"  # file {}", file.display()));

    let elsewhere = place.path().join("elsewhere.toml");
    done(run(&["config", "init", "--config", text(&elsewhere)], &[]).await);
    assert_eq!(format!("{:#?}", loaded(&elsewhere)), format!("{:#?}", Settings::default()));
    let unwritable = run(&["config", "init", "--config", text(&elsewhere.join("below"))], &[]).await;
    assert!(unwritable.refused_with_one_line().contains("cannot be written"), "{unwritable:?}");
}

#[tokio::test]
async fn every_setting_is_shown_with_its_origin_and_no_secret_is() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("mine.toml");
    let canary = "a-canary-of-at-least-thirty-two-characters";
    fs::write(
        &file,
        format!(
            "[auth]\nhs256_secret = '{canary}'\njwks_url = 'https://me:{canary}@issuer.example/jwks'\n\
             [[realtime.embedded.keys]]\nname = 'a.b'\nsecret = '{canary}'\n\
             [server]\nlisten = '127.0.0.1:1'\nworkers = 1\n\
             [push.texts.de.'partner.signed_compact']\ntitle = 'T'\nbody = 'B'"
        ),
    )
    .expect("a file");
    let environment = [
        ("TANDEM__SERVER__WORKERS", "2"),
        ("TANDEM__APP__SERVICE_TOKEN", canary),
        ("TANDEM__PUSH__ACCESS_TOKEN", canary),
        ("RUST_LOG", "warn"),
    ];
    let arguments = ["config", "show", "--config", text(&file), "--log-format", "json"];
    let shown = done(run(&arguments, &environment).await);
    assert!(!shown.contains(canary), "{shown}");
    for (key, value, origin) in [
        ("nudge.min_interval", "\"6h\"", "default"),
        ("server.listen", "\"127.0.0.1:1\"", &format!("file {}", file.display())),
        ("server.workers", "2", "environment variable TANDEM__SERVER__WORKERS"),
        ("telemetry.log_format", "\"json\"", "flag --log-format"),
        ("telemetry.filter", "\"warn\"", "environment variable RUST_LOG"),
        ("auth.hs256_secret", "\"[redacted]\"", &format!("file {}", file.display())),
        ("app.service_token", "\"[redacted]\"", "environment variable TANDEM__APP__SERVICE_TOKEN"),
    ] {
        assert_eq!(line(&shown, key), format!("{key} = {value}  # {origin}"));
    }
    assert_eq!(line(&shown, "realtime.ably.key"), "# realtime.ably.key: unset");

    // Without the secrets, what is shown is a settings file.
    let kept: Vec<_> = shown.lines().filter(|line| !line.contains("redacted")).collect();
    let copy = place.path().join("copy.toml");
    fs::write(&copy, kept.join("\n")).expect("a file");
    let copied = loaded(&copy);
    assert_eq!((copied.server.listen.port(), copied.server.workers), (1, 2));
    assert_eq!(copied.push.texts["de"]["partner.signed_compact"].title, "T");
    assert_eq!(copied.realtime.embedded.namespaces[0].id, "meetwithoutfear");
}

#[tokio::test]
async fn a_wrong_setting_is_not_shown_but_refused() {
    let refused = run(&["config", "show"], &[("TANDEM__SERVER__PORT", "80")]).await;
    assert!(refused.refused_with_one_line().contains("no setting server.port"), "{refused:?}");
}

#[tokio::test]
async fn completions_and_manual_pages_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = done(run(&["completions", shell], &[]).await);
        for word in ["quarantined", "start-afresh", "fake-expo"] {
            assert!(script.contains(word), "{word} in the script for {shell}");
        }
    }
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("man1");
    done(run(&["man", "--out", text(&out)], &[]).await);
    for (page, holds) in [("tandem.1", "tandem\\-serve"), ("tandem-store-copy.1", "\\-\\-from")] {
        let file = out.join(page);
        let written = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(written.contains(holds), "{holds} in {written}");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o444, 0o444, "for all users");
    }
}

#[tokio::test]
async fn the_version_names_the_commit_and_its_date_if_the_build_knew_them() {
    let version = done(run(&["--version"], &[]).await);
    let rest = version.trim().strip_prefix(concat!("tandem ", env!("CARGO_PKG_VERSION"))).expect("name and version");
    if let Some(commit) = rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')')) {
        let (hash, date) = commit.split_once(' ').expect("hash and date");
        assert!(hash.len() == 10 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()), "{version}");
        assert!(date.parse::<jiff::civil::Date>().is_ok(), "{version}");
    } else {
        assert_eq!(rest, "", "{version}");
    }
}
