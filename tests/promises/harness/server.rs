//! A server on a data directory of its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Display,
    path::Path,
    process::ExitStatus,
    sync::{Arc, Weak},
};

use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{
    partner::{Partner, Request},
    process::{Finished, Running, tandem},
    wait::eventually,
};

pub const SECRET: &str = "a shared secret for the promises: long enough for HS256";

/// Nobody listens there: a push by accident goes nowhere.
const NOWHERE: &str = "http://127.0.0.1:9";

#[derive(Clone)]
pub struct Setup {
    data: Arc<TempDir>,
    settings: BTreeMap<String, String>,
    arguments: Vec<String>,
    listen: String,
    /// What `ulimit` sets before the server begins.
    system: Vec<String>,
}

/// A server with defaults, on a fresh data directory.
pub fn server() -> Setup {
    let data = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    Setup {
        data,
        settings: BTreeMap::new(),
        arguments: Vec::new(),
        listen: "127.0.0.1:0".to_owned(),
        system: Vec::new(),
    }
    .set("auth.hs256_secret", SECRET)
    .set("push.base_url", NOWHERE)
}

impl Setup {
    /// A setting by its name in config.toml.
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.settings.insert(format!("TANDEM__{}", name.to_uppercase().replace('.', "__")), value.to_string());
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.settings.remove(&format!("TANDEM__{}", name.to_uppercase().replace('.', "__")));
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// A limit of the system on the process, as `ulimit` names it: `-v` for KiB of address space, `-n` for open files.
    pub fn system_limit(mut self, name: &str, value: u64) -> Self {
        self.system.push(format!("ulimit {name} {value}"));
        self
    }

    /// As before any [`Setup::arguments`].
    pub fn unarguments(mut self) -> Self {
        self.arguments.clear();
        self
    }

    /// On a data directory that is there already.
    pub fn on(mut self, data: TempDir) -> Self {
        self.data = Arc::new(data);
        self
    }

    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.to_owned();
        self
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// `tandem serve`, with both outputs piped.
    pub fn command(&self) -> std::process::Command {
        let mut command = tandem();
        if !self.system.is_empty() {
            let mut shell = std::process::Command::new("sh");
            let script = format!("{} && exec \"$0\" \"$@\"", self.system.join(" && "));
            shell.arg("-c").arg(script).arg(command.get_program());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            shell.stdin(std::process::Stdio::null());
            shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command = shell;
        }
        command.arg("serve").args(["--listen", &self.listen, "--data"]).arg(self.data.path());
        command.args(&self.arguments).envs(&self.settings);
        command
    }

    #[track_caller]
    pub fn start(self) -> impl Future<Output = Server> {
        let place = std::panic::Location::caller();
        async move {
            let mut running = Running::spawn(self.command());
            match running.first_line().await {
                Ok(line) => {
                    let Some(origin) = line.strip_prefix("listening on ").filter(|url| url.starts_with("http")) else {
                        panic!("the first line on stdout says where: {line:?}")
                    };
                    Server { origin: origin.trim().to_owned(), setup: self, running }
                }
                Err(status) => panic!("serve ended with {status} (at {place}):\n{}", running.stderr.all().await),
            }
        }
    }

    /// For servers that must not start.
    pub async fn refused(self) -> Finished {
        let mut running = Running::spawn(self.command());
        match running.first_line().await {
            Ok(line) => panic!("it started: {line}"),
            Err(status) => Finished { code: status.code(), stdout: String::new(), stderr: running.stderr.all().await },
        }
    }
}

/// A running server. Dropped, it is killed.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub origin: String,
    setup: Setup,
    running: Running,
}

impl Server {
    /// A new user with a name of their own.
    pub fn partner(&self, name: &str) -> Partner {
        Partner::fresh(&self.origin, name)
    }

    /// A request to a path from the root, without a token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> Request {
        Request::new(method, &self.origin, path)
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(reqwest::Method::GET, path)
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The whole lines of the log that were read so far. After [`ended`](Self::ended), all of them.
    pub fn logs(&self) -> String {
        let mut text = self.running.stderr.text();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    /// Waits for a line of the log, which may be written after the answer that a test has got.
    pub async fn logged(&self, words: &[&str]) -> String {
        eventually(format!("{words:?} in the log"), || async {
            let logs = self.logs();
            logs.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
        .await
    }

    pub fn data(&self) -> &Path {
        self.setup.data()
    }

    /// A second server's setup on the same data directory.
    pub fn setup(&self) -> Setup {
        self.setup.clone()
    }

    pub fn host(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.running.id()
    }

    pub fn terminate(&self) {
        self.running.terminate();
    }

    pub fn hang_up(&self) {
        self.running.hang_up();
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.running.ended().await;
        self.running.stderr.all().await;
        status
    }

    /// SIGKILL, and what is needed to start again.
    pub fn kill(mut self) -> Setup {
        self.running.kill();
        self.setup.clone()
    }

    pub async fn kill_and_start(self) -> Server {
        self.kill().start().await
    }

    /// SIGTERM, the end in good order, and what is needed to start again.
    pub async fn stop(mut self) -> Setup {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "a graceful stop is a success: {status}\n{}", self.logs());
        self.setup.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.logs();
            let tail: Vec<_> = logs.lines().rev().take(60).collect();
            eprintln!("---- stderr of the server at {} ----", self.origin);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

thread_local! {
    // A test has a thread of its own: what it uses lives until it ends, and is dropped by the last one.
    static USED: RefCell<Option<Arc<Server>>> = const { RefCell::new(None) };
}

/// One server with defaults for all tests that need nothing special.
pub async fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    let server = match shared.upgrade() {
        Some(server) => server,
        None => Arc::new(self::server().start().await),
    };
    *shared = Arc::downgrade(&server);
    USED.set(Some(server.clone()));
    server
}
