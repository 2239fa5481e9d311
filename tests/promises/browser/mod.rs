//! The pages in a real browser: `tests/browser/*.test.mjs`, each file a subject.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The browser's name, if it and the npm packages are there. Without: none with one line to say so, except under
/// `CI=true`, where that fails.
static BROWSER: LazyLock<Option<&str>> = LazyLock::new(|| {
    let has_npm = works(Command::new("node").arg("--version")) && works(Command::new("npm").arg("--version"));
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let browser = browsers.into_iter().find(|browser| works(Command::new(browser).arg("--version")));
    let Some(browser) = browser.filter(|_| has_npm) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "node, npm and chromium are needed under CI=true");
        eprintln!("skipped: node, npm or chromium is not installed, so no page was looked at with a browser");
        return None;
    };
    if !folder().join("node_modules/playwright-core/package.json").exists() {
        let installed = works(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()));
        assert!(installed, "npm ci failed in tests/browser");
    }
    Some(browser)
});

/// Where a command is.
fn path_of(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn looks_right(test: &str) {
    let Some(browser) = *BROWSER else { return };
    let mut command = Command::new("node");
    if std::env::var_os("TANDEM_BLESS").is_some() {
        // The pictures of the documentation are made anew.
        command.env("TANDEM_IMAGES", Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images"));
    }
    let status = command
        .args(["--test", test])
        .env("TANDEM_BIN", env!("CARGO_BIN_EXE_tandem"))
        .env("TANDEM_BROWSER", path_of(browser).expect("it was found before"))
        .current_dir(folder())
        .status()
        .unwrap();
    assert!(status.success(), "the tests in tests/browser/{test} failed; their output is above");
}

#[test]
fn the_console_is_used_without_a_mouse_in_the_dark_and_on_a_phone() {
    looks_right("console.test.mjs");
}

#[test]
fn two_phones_go_through_a_whole_conflict() {
    looks_right("phones.test.mjs");
}

#[test]
fn the_page_of_the_api_leads_to_a_first_answer() {
    looks_right("docs.test.mjs");
}
