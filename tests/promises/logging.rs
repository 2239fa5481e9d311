//! Who reads the log, and whether anybody does, decides nothing: not whether the node starts, nor how it answers, nor
//! how it ends.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, pipe},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Partner, Request, Setup, eventually, server, tandem},
    routing::{DEVICE, scene},
};

/// A node with outputs of its own; killed when dropped.
struct Node {
    child: Child,
    origin: String,
    setup: Setup,
}

impl Node {
    async fn start(setup: Setup, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let mut command = setup.command();
        let child = command.stdout(stdout).stderr(stderr).spawn().expect("the binary starts");
        drop(command);
        let mut node = Self { child, origin: String::new(), setup };
        node.origin = node.address().await;
        node
    }

    /// As the node leaves it for `tandem session`: stdout may go nowhere.
    async fn address(&mut self) -> String {
        let file = self.setup.data().join("operator.json");
        eventually("the node listens", || {
            assert!(self.child.try_wait().expect("a child").is_none(), "it must not end");
            let written = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let url = written.and_then(|written: serde_json::Value| written["url"].as_str().map(str::to_owned));
            async move { url }
        })
        .await
    }

    /// Something that is written, and something that is logged.
    async fn works(&self) {
        let anna = Partner::fresh(&self.origin, "Anna");
        let request = Request::new(Method::POST, &self.origin, "/api/v1/sessions").bearer(&anna.token);
        request.json(&json!({ "inviteName": "Ben" })).send().await.done();
    }

    async fn lost_lines(&self) -> u64 {
        let metrics = Request::new(Method::GET, &self.origin, "/metrics").send().await.body;
        let line = metrics.lines().find_map(|line| line.strip_prefix("tandem_log_lost_lines_total "));
        line.and_then(|count| count.trim().parse().ok()).expect("the metric is there")
    }

    async fn terminated(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        eventually("the process ends", || {
            let ended = self.child.try_wait().expect("a child");
            async move { ended }
        })
        .await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn talkative() -> Setup {
    server().set("telemetry.filter", "debug")
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("Linux has one")
}

#[tokio::test]
async fn a_reader_of_the_log_that_goes_away_costs_lines_and_nothing_else() {
    let (reader, writer) = pipe().unwrap();
    let node = Node::start(talkative(), Stdio::null(), writer).await;
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "as head -1 would read it");
    node.works().await;
    eventually("lost lines are counted", || async { (node.lost_lines().await > 0).then_some(()) }).await;
    assert!(node.terminated().await.success());
}

#[tokio::test]
async fn a_log_on_a_full_disk_costs_lines_and_nothing_else() {
    let node = Node::start(talkative(), Stdio::null(), full()).await;
    node.works().await;
    eventually("lost lines are counted", || async { (node.lost_lines().await > 0).then_some(()) }).await;
    assert!(node.terminated().await.success());
}

#[tokio::test]
async fn a_reader_of_the_log_that_is_stuck_delays_no_request() {
    let (reader, writer) = pipe().unwrap();
    let setup = server().set("telemetry.filter", "trace");
    let node = Node::start(setup, writer.try_clone().unwrap(), writer).await;
    // The pipe takes 64 KiB, the node keeps 1 MiB.
    eventually("lines are lost", || async {
        node.works().await;
        (node.lost_lines().await > 0).then_some(())
    })
    .await;
    assert!(node.terminated().await.success());
    drop(reader);
}

#[tokio::test]
async fn a_node_runs_without_a_reader_of_stdout() {
    let (reader, gone) = pipe().unwrap();
    drop(reader);
    for stdout in [Stdio::from(gone), Stdio::from(full())] {
        let node = Node::start(server(), stdout, Stdio::null()).await;
        node.works().await;
        assert!(node.terminated().await.success());
    }
}

#[tokio::test]
async fn a_node_without_any_open_file_works() {
    let setup = server();
    let serve = setup.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]).arg(serve.get_program()).args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let child = shell.spawn().unwrap();
    let mut node = Node { child, origin: String::new(), setup };
    node.origin = node.address().await;
    node.works().await;
    assert!(node.terminated().await.success());
}

fn output(arguments: &[&str], data: &Path, stdout: impl Into<Stdio>) -> std::process::Output {
    let mut command = tandem();
    command.args(arguments).arg("--data").arg(data).stdout(stdout);
    command.output().expect("the binary runs")
}

#[test]
fn a_command_ends_quietly_when_its_output_pipe_is_closed() {
    let data = tempfile::tempdir().unwrap();
    let secret = data.path().join("auth.secret");
    std::fs::write(&secret, "a secret of thirty-two characters or more").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for arguments in [&["--help"][..], &["token", "--user", "anna"]] {
        let (reader, gone) = pipe().unwrap();
        drop(reader);
        let output = output(arguments, data.path(), gone);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{arguments:?}: {output:?}");
    }
    let output = output(&["token", "--user", "anna"], data.path(), full());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.starts_with("tandem: stdout cannot be written") && told.lines().count() == 1, "{told}");
}

/// The story of a command: its lines come from the actor, the journal's thread, the delivery and the push sender.
#[tokio::test]
async fn one_request_id_finds_all_log_lines_of_a_command() {
    let setup = server().set("telemetry.filter", "debug").set("telemetry.log_format", "json");
    let setup = setup.set("push.receipt_schedule", r#"["100ms"]"#);
    let (server, expo, both) = scene(setup, Some(DEVICE)).await;
    let request =
        server.request(Method::POST, &format!("/api/v1{}", both.anna.path("/compact/sign"))).bearer(&both.anna.token);
    request.header("X-Request-Id", "story-of-a-signature").json(&json!({ "agreed": true })).send().await.done();
    expo.push(DEVICE, "partner.signed_compact").await;
    for step in [
        "command decided",
        "commit is durable",
        "event published",
        "push attempt begins",
        "push attempt settled",
        "push ended",
        "answered",
    ] {
        eventually(format!("a line of the story: {step}"), || async {
            let logs = server.logs();
            let mut lines = logs.lines().filter(|line| line.contains("story-of-a-signature"));
            lines.any(|line| line.contains(step)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_slow_request_has_a_line_and_a_usual_one_has_none() {
    for (slow, lines) in [("0s", true), ("1h", false)] {
        let server = server().set("server.slow_request", slow).start().await;
        server.get("/api/v1/auth/me").header("X-Request-Id", "the-slow-one").send().await.refused(401, "UNAUTHORIZED");
        server.terminate();
        eventually("the log ends", || async { server.logs().contains("stopped").then_some(()) }).await;
        let logs = server.logs();
        let answered = logs.lines().find(|line| line.contains("answered"));
        assert_eq!(answered.is_some(), lines, "{slow}: {logs}");
        assert!(answered.is_none_or(|line| line.contains("INFO") && line.contains("the-slow-one")), "{answered:?}");
    }
}

/// The fields that a table of the documentation names, and no others, are in the lines of a node without faults.
#[tokio::test]
async fn the_fields_of_json_lines_are_documented() {
    let page = include_str!("../../docs/deployment.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Logs\n")).expect("a section about logs");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let documented: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`').step_by(2)).collect();

    let setup = server().set("telemetry.filter", "info,tandem::http=debug").set("telemetry.log_format", "json");
    let server = setup.set("server.slow_request", "0s").unset("auth.hs256_secret").start().await;
    server.get("/api/v1/auth/me").send().await.refused(401, "UNAUTHORIZED");
    let logs = eventually("the request is logged", || async {
        let logs = server.logs();
        logs.contains("answered").then_some(logs)
    })
    .await;
    let lines = logs.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let own = lines.filter(|line| line["target"].as_str().is_some_and(|target| target.starts_with("tandem")));
    let mut seen = BTreeSet::new();
    for line in own {
        let span = line["span"].as_object().into_iter().flatten();
        let fields = line.as_object().into_iter().flatten().chain(span).map(|(name, _)| name.clone());
        seen.extend(fields.filter(|name| name != "name"));
    }
    assert!(seen.contains("micros") && seen.contains("route") && seen.contains("tokens"), "{seen:?}");
    let undocumented: Vec<_> = seen.iter().filter(|name| !documented.contains(name.as_str())).collect();
    assert!(undocumented.is_empty(), "{undocumented:?} are not in {documented:?}");
}
