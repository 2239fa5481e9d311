//! The demo's server: this binary's `serve` in its own process, so that it can be killed.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use super::Error;

const START_WITHIN: Duration = Duration::from_secs(10);
const STOP_WITHIN: Duration = Duration::from_secs(5);
const LAST_LINES: usize = 12;

/// Environment variables with the settings that differ from the defaults.
pub type SettingOverrides = Vec<(&'static str, String)>;

/// Sends each push to a stand-in for Expo at once, because the demo plays weeks within minutes.
pub fn push_to(expo: &str) -> SettingOverrides {
    vec![
        ("TANDEM__PUSH__BASE_URL", expo.to_owned()),
        ("TANDEM__PUSH__SPACING", "0s".to_owned()),
        ("TANDEM__PUSH__SPACING_LATER", "0s".to_owned()),
    ]
}

pub struct DemoNode {
    directory: PathBuf,
    settings: SettingOverrides,
    child: Child,
    /// `http://ADDR:PORT`
    url: String,
}

impl DemoNode {
    pub fn start(directory: PathBuf, settings: SettingOverrides) -> Result<Self, Error> {
        let (child, url) = spawn(&directory, &settings, "127.0.0.1:0")?;
        Ok(Self { directory, settings, child, url })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        data(&self.directory)
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(failed("cannot be killed"))
    }

    /// Starts the server on the same address and the same data.
    pub fn start_again(&mut self) -> Result<Duration, Error> {
        let begun = Instant::now();
        let address = self.url.trim_start_matches("http://").to_owned();
        (self.child, self.url) = spawn(&self.directory, &self.settings, &address)?;
        Ok(begun.elapsed())
    }

    /// A token as an operator makes one.
    pub fn token(&self, user: &str, name: &str) -> Result<String, Error> {
        let mut command = this_binary(&self.directory)?;
        command.args(["token", "--user", user, "--name", name]).stderr(Stdio::null());
        let output = command.output().map_err(failed("cannot make a token"))?;
        let token = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !token.is_empty() {
            Ok(token)
        } else {
            Err(Error::NoToken { status: output.status.to_string() })
        }
    }

    /// Stops the server with SIGTERM, and after a while with SIGKILL.
    pub fn stop(&mut self) -> Result<(), Error> {
        terminate(&self.child);
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(failed("cannot be waited for")(error)),
            }
        }
        self.kill()
    }

    /// The last lines of its log.
    pub fn last_log_lines(&self) -> Vec<String> {
        let log = fs::read_to_string(log_path(&self.directory)).unwrap_or_default();
        let lines: Vec<_> = log.lines().map(str::to_owned).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
    }
}

impl Drop for DemoNode {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path, settings: &SettingOverrides, listen: &str) -> Result<(Child, String), Error> {
    let log = File::options().create(true).append(true).open(log_path(directory)).map_err(failed("has no log"))?;
    let mut command = this_binary(directory)?;
    command
        .args(["serve", "--listen", listen])
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut child = command.spawn().map_err(failed("cannot be started"))?;
    let stdout = child.stdout.take().map(BufReader::new);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = stdout.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let _ = tell.send(lines.next().unwrap_or_default());
        lines.for_each(drop);
    });
    let said = told.recv_timeout(START_WITHIN).unwrap_or_default();
    match said.strip_prefix("listening on ") {
        Some(url) => Ok((child, url.trim().to_owned())),
        None => {
            let _ = child.kill();
            let _ = child.wait();
            Err(Error::NotListening { said, within: START_WITHIN })
        }
    }
}

/// A command with default settings. Settings in the caller's environment are removed.
fn this_binary(directory: &Path) -> Result<Command, Error> {
    let mut command = Command::new(std::env::current_exe().map_err(failed("cannot find its own binary"))?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TANDEM__")) {
        command.env_remove(name);
    }
    command.current_dir(directory).arg("--data").arg(data(directory));
    Ok(command)
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Node { doing, source }
}

#[cfg(unix)]
fn terminate(child: &Child) {
    // The system's `kill`, because the standard library cannot send a signal.
    let _ = Command::new("kill").arg(child.id().to_string()).status();
}

#[cfg(not(unix))]
fn terminate(_: &Child) {}
