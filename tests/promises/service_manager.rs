//! Under a service manager as systemd: it learns whether the node is ready, alive, reloading and stopping, and may open
//! the port. The unit that the documentation gives is hardened.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixDatagram},
    },
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
};

use tempfile::TempDir;

use crate::harness::{Finished, SECRET, eventually, run, server};

/// The end of the socket where a service manager listens.
struct Manager {
    place: TempDir,
    socket: UnixDatagram,
    heard: Mutex<Vec<String>>,
}

impl Manager {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(place.path().join("notify")).expect("a socket");
        socket.set_nonblocking(true).expect("not blocking");
        Self { place, socket, heard: Mutex::default() }
    }

    fn address(&self) -> String {
        self.place.path().join("notify").display().to_string()
    }

    /// All lines so far.
    fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().expect("nobody panics with it");
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut message) {
            heard.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
        }
        heard.clone()
    }

    async fn hears(&self, line: &str, times: usize) {
        eventually(format!("the service manager hears {line} {times} times"), || async {
            (self.heard().iter().filter(|heard| *heard == line).count() >= times).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_service_manager_hears_ready_alive_reloading_and_stopping() {
    let manager = Manager::new();
    let setup = server().environment("NOTIFY_SOCKET", &manager.address()).environment("WATCHDOG_USEC", "300000");
    let mut server = setup.start().await;
    manager.hears("READY=1", 1).await;
    assert!(manager.heard().contains(&format!("STATUS=listening on {}", server.origin)), "{:?}", manager.heard());
    manager.hears("WATCHDOG=1", 3).await;
    server.hang_up();
    manager.hears("RELOADING=1", 1).await;
    manager.hears("READY=1", 2).await;
    assert!(manager.heard().iter().any(|line| line.starts_with("MONOTONIC_USEC=")));
    assert!(!manager.heard().contains(&"STOPPING=1".to_owned()));
    server.terminate();
    manager.hears("STOPPING=1", 1).await;
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_node_that_does_not_start_is_never_ready() {
    let manager = Manager::new();
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = busy.local_addr().expect("an address").to_string();
    let refused = server().environment("NOTIFY_SOCKET", &manager.address()).listen(&address).refused().await;
    refused.refused_with_one_line();
    assert_eq!(manager.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_node_runs_on_without_its_service_manager() {
    let server = server().environment("NOTIFY_SOCKET", "/no/such/socket").start().await;
    assert_eq!(server.get("/health").send().await.status, 200);
}

#[tokio::test]
async fn a_node_serves_the_socket_that_the_service_manager_opened() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let setup = server().listen("127.0.0.1:1");
    let serve = setup.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\""]);
    shell.arg(serve.get_program()).args(serve.get_args()).stdin(OwnedFd::from(socket)).stdout(Stdio::null());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let mut child = shell.stderr(Stdio::null()).spawn().expect("a shell");
    let answered = eventually("an answer at the socket's address", || async {
        let client = tandem::tls::http_client().no_proxy().build().expect("a client");
        let answer = client.get(format!("http://{address}/health")).send().await.ok()?;
        Some(answer.status())
    })
    .await;
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(answered, 200);
}

async fn health(data: &Path, arguments: &[&str]) -> Finished {
    let data = data.to_str().expect("a path");
    run(&[&["health", "--data", data], arguments].concat(), &[("TANDEM__SERVER__LISTEN", "127.0.0.1:1")]).await
}

#[tokio::test]
async fn health_tells_whether_the_node_answers_and_whether_it_is_ready() {
    let running = server().start().await;
    let finished = health(running.data(), &[]).await;
    assert_eq!((finished.code, finished.stdout.trim()), (Some(0), "ok"), "{finished:?}");
    let finished = health(running.data(), &["--ready"]).await;
    assert_eq!((finished.code, finished.stdout.trim()), (Some(0), "ready"), "{finished:?}");
    let setup = running.stop().await;
    let finished = health(setup.data(), &[]).await;
    assert!(finished.refused_with_one_line().contains("does not answer"), "{finished:?}");
}

/// systemd rates the exposure of a unit from 0, none, to 10. `--threshold` counts tenths.
#[test]
fn the_unit_is_hardened() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd/tandem.service");
    let rating = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager", "--threshold=20"])
        .arg(&unit)
        .output();
    let Ok(rating) = rating else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "systemd-analyze is not installed");
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    assert!(rating.status.success(), "{}", String::from_utf8_lossy(&rating.stdout));
}

/// As systemd hands them over: files that may only be read, in a directory that may only be read.
#[tokio::test]
async fn credentials_are_read_where_the_handbook_and_the_drop_in_say() {
    let place = tempfile::tempdir().expect("a directory");
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/harness/tls");
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    for (name, content) in [
        ("hs256", format!("{SECRET}\n")),
        ("fullchain.pem", fs::read_to_string(tls.join("one.pem")).expect("a certificate")),
        ("privkey.pem", fs::read_to_string(tls.join("one.key.pem")).expect("a key")),
    ] {
        fs::write(place.path().join(name), content).expect("a file");
        mode(&place.path().join(name), 0o400);
    }
    mode(place.path(), 0o500);
    let pages = [include_str!("../../docs/systemd/tls.conf"), include_str!("../../docs/deployment.md")];
    let lines = pages.iter().flat_map(|page| page.lines()).filter_map(|line| line.strip_prefix("Environment="));
    let mut setup = server().unset("auth.hs256_secret");
    let directory = place.path().to_str().expect("a path");
    for (name, value) in lines.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('=')) {
        if value.contains("%d") {
            setup = setup.environment(name, &value.replace("%d", directory));
        }
    }
    let server = setup.start().await;
    assert!(server.origin.starts_with("https://"), "{}", server.origin);
    let client = tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build().expect("a client");
    let anna = server.partner("Anna");
    let asked = client.get(format!("{}/api/v1/auth/me", server.origin)).bearer_auth(&anna.token).send().await;
    assert_eq!(asked.expect("an answer").status(), 200, "the secret is the credential's");
    mode(place.path(), 0o700);
}
