//! Certificates by ACME, from Pebble: Let's Encrypt's own authority for tests. It validates domains as the real one
//! does, and looks at less of a certificate request, which has a test of its own beside the code.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Server, Setup, eventually, now, server};

const DOMAIN: &str = "tandem.example.org";

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nothing, where the program is not installed.
fn spawn(command: &mut Command) -> Option<Process> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Process)
}

async fn listens(port: u16) {
    eventually("the authority listens", || async { TcpStream::connect(("127.0.0.1", port)).ok() }).await;
}

/// Pebble, and a name server that knows every name as this machine.
struct Authority {
    port: u16,
    management: u16,
    name_server: String,
    place: TempDir,
    /// None while it does not run.
    pebble: Option<Process>,
    _names: Process,
}

impl Authority {
    /// It looks for answers to its challenges on `tls_port`. None, with a line, where there is no Pebble.
    async fn start(tls_port: u16) -> Option<Self> {
        Self::start_with(tls_port, 365 * 24 * 3600).await
    }

    /// Its certificates live for so many seconds.
    async fn start_with(tls_port: u16, life: u64) -> Option<Self> {
        let place = tempfile::tempdir().expect("a directory");
        let path = |name: &str| place.path().join(name).display().to_string();
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        fs::write(path("ca.pem"), own.cert.pem()).expect("a file");
        fs::write(path("key.pem"), own.signing_key.serialize_pem()).expect("a file");
        let [port, management, names, control] = [(); 4].map(|()| free_port());
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"), "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("ca.pem"), "privateKey": path("key.pem"),
            "httpPort": 1, "tlsPort": tls_port, "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "certificateValidityPeriod": life, "profiles": { "default": { "description": "", "validityPeriod": life } },
        }});
        fs::write(path("pebble.json"), config.to_string()).expect("a file");
        let name_server = format!("127.0.0.1:{names}");
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args(["-dns01", &name_server, "-management", &format!("127.0.0.1:{control}"), "-defaultIPv6", ""]);
        dns.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let started = spawn(&mut dns);
        let Some(names) = started.filter(|_| Command::new("pebble").arg("-help").output().is_ok()) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "pebble is not installed");
            println!("skipped: pebble is not installed");
            return None;
        };
        listens(control).await;
        let mut authority = Self { port, management, name_server, place, pebble: None, _names: names };
        authority.go_on().await;
        Some(authority)
    }

    fn stop(&mut self) {
        self.pebble = None;
    }

    /// Starts it, or starts it again: it remembers nothing then.
    async fn go_on(&mut self) {
        let config = self.place.path().join("pebble.json");
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(config).args(["-dnsserver", &self.name_server]).env("PEBBLE_VA_NOSLEEP", "1");
        self.pebble = spawn(&mut pebble);
        for port in [self.port, self.management] {
            listens(port).await;
        }
    }

    /// A node that gets its certificate here.
    fn node(&self, port: u16) -> Setup {
        server()
            .listen(&format!("127.0.0.1:{port}"))
            .set("server.tls.acme.domains", json!([DOMAIN]))
            .set("server.tls.acme.contact", json!(["operator@example.org"]))
            .set("server.tls.acme.directory", format!("https://127.0.0.1:{}/dir", self.port))
            .environment("SSL_CERT_FILE", self.place.path().join("ca.pem").to_str().expect("a path"))
    }

    /// The root of the certificates that it gives.
    async fn root(&self) -> reqwest::Certificate {
        let client = tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build();
        let answer =
            client.expect("a client").get(format!("https://127.0.0.1:{}/roots/0", self.management)).send().await;
        reqwest::Certificate::from_pem(&answer.expect("an answer").bytes().await.expect("a root")).expect("PEM")
    }
}

/// The certificate that a client was shown and believed. The client trusts only this root and knows where the domain
/// is. Each time it is another client: one that resumes a TLS session is shown none.
async fn believed(root: &reqwest::Certificate, port: u16) -> Option<Vec<u8>> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]).resolve(DOMAIN, address);
    let client = client.tls_info(true).build().expect("a client");
    let answer = client.get(format!("https://{DOMAIN}:{port}/health")).send().await.ok()?;
    Some(answer.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate()?.to_vec())
}

/// Answers any client that does not ask who the node is.
async fn answer(server: &Server, path: &str) -> String {
    let anybody = tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build();
    let answer = anybody.expect("a client").get(format!("{}{path}", server.origin)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("a text")
}

/// The seconds that the certificate is still valid, as monitoring sees it.
async fn seconds_left(server: &Server) -> f64 {
    let metrics = answer(server, "/metrics").await;
    let expiry = metrics.lines().find_map(|line| line.strip_prefix("tandem_certificate_expiry_timestamp_seconds "));
    expiry.and_then(|expiry| expiry.parse::<f64>().ok()).expect("the metric") - now() as f64
}

/// Where the node keeps what the authority gave.
fn folder(data: &Path) -> PathBuf {
    let folders = fs::read_dir(data.join("acme")).expect("a directory").map(|entry| entry.expect("an entry").path());
    let folders: Vec<_> = folders.collect();
    assert_eq!(folders.len(), 1, "one authority: {folders:?}");
    folders[0].clone()
}

fn count(server: &Server, words: &str) -> usize {
    server.logs().lines().filter(|line| line.contains(words)).count()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_node_gets_its_certificate_from_an_authority_and_keeps_it() {
    let port = free_port();
    let Some(authority) = Authority::start(port).await else { return };
    let server = authority.node(port).start().await;
    let root = authority.root().await;
    let certificate = eventually("a certificate that is believed", || believed(&root, port)).await;

    let kept = files_below(&server.data().join("acme"));
    let names: Vec<_> = kept.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(names.contains(&"account.json") && names.contains(&"certificate.pem"), "{names:?}");
    for path in &kept {
        let mode = fs::metadata(path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    assert!(!server.logs().contains("PRIVATE KEY"), "{}", server.logs());
    assert!(seconds_left(&server).await > 300.0 * 24.0 * 3600.0);

    // The authority is not needed again.
    let setup = server.stop().await;
    drop(authority);
    let server = setup.start().await;
    assert_eq!(believed(&root, port).await, Some(certificate));
    assert!(!server.logs().contains("the authority gave no certificate"), "{}", server.logs());
}

#[tokio::test]
async fn a_certificate_is_renewed_while_the_node_runs() {
    let port = free_port();
    let Some(authority) = Authority::start_with(port, 6).await else { return };
    let server = authority.node(port).start().await;
    let root = authority.root().await;
    let first = eventually("a certificate that is believed", || believed(&root, port)).await;
    eventually("another certificate is believed", || async {
        believed(&root, port).await.filter(|shown| *shown != first)
    })
    .await;
    server.stop().await;
}

/// The waits that the log tells of certificates that are due for renewal already.
fn pauses(server: &Server) -> Vec<Duration> {
    let logs = server.logs();
    let lines = logs.lines().filter(|line| line.contains("due for renewal already"));
    let pauses = lines.filter_map(|line| line.split("pause=").nth(1)?.split_whitespace().next());
    let seconds = |pause: &str| match pause.strip_suffix("ms") {
        Some(millis) => millis.parse::<f64>().map(|millis| millis / 1000.0),
        None => pause.trim_end_matches('s').parse(),
    };
    pauses.map(|pause| Duration::from_secs_f64(seconds(pause).expect("a time"))).collect()
}

#[tokio::test]
async fn an_authority_whose_certificates_are_due_at_once_is_asked_ever_less_often() {
    let port = free_port();
    let Some(authority) = Authority::start_with(port, 2).await else { return };
    let server = authority.node(port).start().await;
    let pauses = eventually("four orders", || async { Some(pauses(&server)).filter(|pauses| pauses.len() >= 4) }).await;
    assert!(pauses[3] >= 4 * pauses[0] && count(&server, "the authority gave a certificate") < 7, "{pauses:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_written_is_used_and_not_ordered_again() {
    let port = free_port();
    let Some(mut authority) = Authority::start(port).await else { return };
    authority.stop();
    let server = authority.node(port).start().await;
    server.logged(&["the authority gave no certificate"]).await;
    // No file can take this place.
    let file = folder(server.data()).join("certificate.pem");
    fs::create_dir(&file).expect("a directory");
    authority.go_on().await;
    let root = authority.root().await;
    let certificate = eventually("a certificate that is believed", || believed(&root, port)).await;
    server.logged(&["certificate.pem", "cannot be written"]).await;
    fs::remove_dir(&file).expect("removed");
    eventually("it is written once that is possible", || async { file.is_file().then_some(()) }).await;
    assert_eq!(count(&server, "the authority gave a certificate"), 1, "{}", server.logs());
    authority.stop();
    let _server = server.stop().await.start().await;
    assert_eq!(believed(&root, port).await, Some(certificate));
}

#[tokio::test]
async fn a_damaged_certificate_and_a_forgotten_account_are_replaced() {
    let port = free_port();
    let Some(mut authority) = Authority::start(port).await else { return };
    let server = authority.node(port).start().await;
    let root = authority.root().await;
    eventually("a certificate that is believed", || believed(&root, port)).await;
    let setup = server.stop().await;
    authority.stop();
    authority.go_on().await;
    fs::write(folder(setup.data()).join("certificate.pem"), b"half a file\xff").expect("a file");
    let server = setup.start().await;
    let root = authority.root().await;
    eventually("a certificate of the other account", || believed(&root, port)).await;
    server.logged(&["the certificate of an earlier run cannot be used; the node orders another one"]).await;
    server.logged(&["the authority does not know the account"]).await;

    let setup = server.stop().await;
    let account = folder(setup.data()).join("account.json");
    let canary = fs::read(&account).expect("an account");
    fs::write(&account, [b"[", &canary[..]].concat()).expect("a file");
    fs::remove_file(folder(setup.data()).join("certificate.pem")).expect("removed");
    let server = setup.start().await;
    eventually("a certificate of a third account", || believed(&root, port)).await;
    server.logged(&["account.json", "cannot be used"]).await;
    assert!(!server.logs().contains("key_pkcs8"), "{}", server.logs());
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_reason_and_the_node_serves_on() {
    let (port, elsewhere) = (free_port(), free_port());
    let Some(authority) = Authority::start(elsewhere).await else { return };
    let server = authority.node(port).start().await;
    let line = server.logged(&["the authority gave no certificate"]).await;
    assert!(line.contains(&format!("{DOMAIN}: ")) && line.contains("tls-alpn-01"), "{line}");
    // With a certificate of its own, which nobody believes.
    answer(&server, "/health").await;
    let left = seconds_left(&server).await;
    assert!(left > 0.0 && left <= 24.0 * 3600.0, "monitoring warns of it: {left}");
    server.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_one_line() {
    let wrong = |name: &str, value: &str, words: &'static [&'static str]| {
        let setup = server().set("server.tls.acme.domains", json!([DOMAIN])).set("telemetry.filter", "warn");
        (setup.set(&format!("server.tls.{name}"), value), words)
    };
    for (setup, words) in [
        wrong("acme.domains", "[]", &["server.tls.acme.domains is empty"]),
        wrong("acme.domains", r#"["*.example.org"]"#, &["*.example.org", "without '*'"]),
        wrong("acme.domains", r#"["192.0.2.1"]"#, &["192.0.2.1", "must be a domain"]),
        wrong("acme.domains", r#"["tandem.example.org:443"]"#, &["without a port"]),
        wrong("acme.contact", r#"["operator"]"#, &["server.tls.acme.contact", "operator@example.org"]),
        wrong("acme.directory", "http://authority.example/dir", &["server.tls.acme.directory", "https"]),
        wrong("acme.renew_after", "23h", &["server.tls.acme.renew_after", "1day"]),
        wrong("certificate", "/chain.pem", &["server.tls has a certificate and acme"]),
        wrong("acme.path", "/proc/acme", &["server.tls", "/proc/acme"]),
    ] {
        let refused = setup.refused().await;
        let line = refused.refused_with_one_line();
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    }
}
