//! A reader at a terminal: an empty folder, a shell that keeps its variables, a node, and what runs beside it.

use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::{fs::symlink, process::CommandExt},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::blocks::Block;
use crate::{
    harness::{Printed, tandem},
    sdk_packages,
};

/// The port on which the documentation's node listens.
const DOCUMENTED: &str = "8080";
/// A block may wait for pushes that are tried again.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Reader {
    folder: TempDir,
    shell: Child,
    input: ChildStdin,
    printed: Printed,
    errors: Printed,
    server: Option<Process>,
    beside: Vec<Process>,
    /// Documented port → the port that is taken for it.
    ports: BTreeMap<String, String>,
    blocks: usize,
}

/// A process group of its own, which ends with this value.
struct Process {
    child: Child,
    stdout: Printed,
    stderr: Printed,
}

impl Reader {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("bin")).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_tandem"), at("bin/tandem")).expect("a link");
        // Stands in for `npm install`.
        std::fs::create_dir_all(at("partners")).expect("a folder");
        symlink(sdk_packages::folder().join("node_modules"), at("partners/node_modules")).expect("a link");
        // An answer of 400 and more ends the block.
        std::fs::write(at(".curlrc"), "fail-with-body\n").expect("a file");
        let mut shell = command(&folder, &[]);
        let mut shell = shell.stdin(Stdio::piped()).spawn().expect("bash starts");
        let mut input = shell.stdin.take().expect("piped");
        input.write_all(b"set -eo pipefail\n").expect("the shell reads");
        let (printed, errors) = outputs(&mut shell);
        let (beside, ports) = (Vec::new(), BTreeMap::new());
        Self { folder, shell, input, printed, errors, server: None, beside, ports, blocks: 0 }
    }

    /// Runs a block to its end in the shell.
    pub async fn run(&mut self, block: &Block) {
        let before = self.printed.text().len();
        let script = self.script(block, None);
        let done = format!("block {} of {} is done", self.blocks, block.place);
        writeln!(self.input, ". {} </dev/null\necho '{done}'", script.display()).expect("the shell reads");
        let deadline = Instant::now() + PATIENCE;
        while !self.printed.text().contains(&done) {
            let ended = self.shell.try_wait().expect("a child can be waited for").is_some();
            let late = Instant::now() > deadline;
            assert!(!ended && !late, "{} {}", block.place, self.told(block, before));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let told = self.printed.text()[before..].to_owned();
        assert!(!told.lines().any(|line| line == "null"), "{}: prints null {}", block.place, self.told(block, before));
    }

    pub async fn start_server(&mut self, block: &Block, kill: bool) {
        self.end_server(if kill { "-KILL" } else { "-TERM" }).await;
        let listen = format!("127.0.0.1:{}", self.ports.get(DOCUMENTED).map_or("0", String::as_str));
        let server = self.start(block, "listening on", &[("TANDEM__SERVER__LISTEN", &listen)]).await;
        self.ports.insert(DOCUMENTED.to_owned(), port(&server.stdout.text()));
        self.server = Some(server);
    }

    pub async fn stop_server(&mut self) {
        self.end_server("-TERM").await;
    }

    async fn end_server(&mut self, signal: &str) {
        if let Some(server) = self.server.take() {
            server.signal(signal);
            // The shell of the block ends at once; the node has ended when its output is closed.
            server.stdout.all().await;
        }
    }

    pub async fn run_beside(&mut self, block: &Block, until: &str) {
        let process = self.start(block, until, &[]).await;
        self.beside.push(process);
    }

    async fn start(&mut self, block: &Block, until: &str, environment: &[(&str, &str)]) -> Process {
        // What the shell has in variables, the other terminal has in its environment.
        let variables = self.folder.path().join("variables");
        writeln!(self.input, "declare -p > {0}.part; mv {0}.part {0}", variables.display()).expect("the shell reads");
        while !variables.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::rename(&variables, self.folder.path().join("read")).expect("it is there");
        let script = self.script(block, Some(". ./read 2>/dev/null || true\n"));
        let mut command = command(&self.folder, environment);
        let mut child = command.arg(script).stdin(Stdio::null()).process_group(0).spawn().expect("bash starts");
        let (stdout, stderr) = outputs(&mut child);
        let mut process = Process { child, stdout, stderr };
        let deadline = Instant::now() + PATIENCE;
        while !process.stdout.text().contains(until) {
            let ended = process.child.try_wait().expect("a child can be waited for").is_some();
            let told = || format!("{}\n{}", process.stdout.text(), process.stderr.text());
            assert!(!ended && Instant::now() < deadline, "{}: never says {until:?}:\n{}", block.place, told());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if let Some(documented) = unknown_port(&block.script, &self.ports) {
            self.ports.insert(documented, port(&process.stdout.text()));
        }
        process
    }

    /// The block with the ports of this run, as a file.
    fn script(&mut self, block: &Block, prelude: Option<&str>) -> PathBuf {
        self.blocks += 1;
        let mut text = block.script.clone();
        for (documented, taken) in &self.ports {
            text = text.replace(&format!(":{documented}"), &format!(":{taken}"));
            text = text.replace(&format!("port: {documented}"), &format!("port: {taken}"));
        }
        if let Some(documented) = unknown_port(&block.script, &self.ports).filter(|_| prelude.is_some()) {
            text = text.replace(&format!(":{documented}"), ":0");
        }
        let path = self.folder.path().join(format!("block-{}.sh", self.blocks));
        std::fs::write(&path, prelude.unwrap_or_default().to_owned() + &text).expect("a file");
        path
    }

    fn told(&self, block: &Block, before: usize) -> String {
        let server = self.server.as_ref().map(|server| server.stderr.text()).unwrap_or_default();
        let tail: Vec<&str> = server.lines().rev().take(20).collect();
        let (printed, errors) = (self.printed.text(), self.errors.text());
        let printed = &printed[before..];
        format!(
            "fails\n{}---- prints\n{printed}\n{errors}\n---- server, newest first\n{}",
            block.script,
            tail.join("\n")
        )
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Process {
    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let sent = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        assert!(sent.is_ok(), "signals can be sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("-KILL");
        }
        let _ = self.child.wait();
    }
}

/// `bash` in the reader's folder, where nothing of the tester's own environment decides, and no push goes anywhere.
fn command(folder: &TempDir, environment: &[(&str, &str)]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    for (name, _) in tandem().get_envs() {
        command.env_remove(name);
    }
    command.args(["--noprofile", "--norc"]).current_dir(folder.path());
    command.env("PATH", format!("{}:{path}", folder.path().join("bin").display()));
    command.env("CURL_HOME", folder.path()).env("TANDEM__PUSH__BASE_URL", "http://127.0.0.1:9");
    command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn outputs(child: &mut Child) -> (Printed, Printed) {
    let (stdout, stderr) = (Printed::default(), Printed::default());
    stdout.follow(child.stdout.take().expect("piped"));
    stderr.follow(child.stderr.take().expect("piped"));
    (stdout, stderr)
}

/// The port of `listening on http://127.0.0.1:PORT`.
fn port(told: &str) -> String {
    let line = told.lines().find(|line| line.contains("listening on")).expect("it says where");
    line.rsplit(':').next().expect("a port").trim_matches(|c: char| !c.is_ascii_digit()).to_owned()
}

/// The port in `--listen 127.0.0.1:PORT`, if none is taken for it yet.
fn unknown_port(script: &str, ports: &BTreeMap<String, String>) -> Option<String> {
    let (_, rest) = script.split_once("--listen 127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!ports.contains_key(&port)).then_some(port)
}
