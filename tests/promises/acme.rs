//! Certificates by ACME, from Pebble: Let's Encrypt's own authority for tests, which validates as the real one does.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Setup, eventually, server};

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

/// Pebble, and a name server that knows every name as this machine.
struct Authority {
    directory: String,
    management: String,
    place: TempDir,
    _processes: [Process; 2],
}

impl Authority {
    /// It looks for answers to its challenges on `tls_port`. None, with a line, where there is no Pebble.
    async fn start(tls_port: u16) -> Option<Self> {
        let spawn =
            |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Process);
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
        }});
        fs::write(path("pebble.json"), config.to_string()).expect("a file");
        let name_server = format!("127.0.0.1:{names}");
        let mut pebble = Command::new("pebble");
        pebble.args(["-config", &path("pebble.json"), "-dnsserver", &name_server]);
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args(["-dns01", &name_server, "-management", &format!("127.0.0.1:{control}"), "-defaultIPv6", ""]);
        dns.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let started = (spawn(pebble.env("PEBBLE_VA_NOSLEEP", "1")), spawn(&mut dns));
        let (Some(pebble), Some(dns)) = started else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "pebble is not installed");
            println!("skipped: pebble is not installed");
            return None;
        };
        for port in [port, management, control] {
            eventually("the authority listens", || async { TcpStream::connect(("127.0.0.1", port)).ok() }).await;
        }
        Some(Self {
            directory: format!("https://127.0.0.1:{port}/dir"),
            management: format!("https://127.0.0.1:{management}"),
            place,
            _processes: [pebble, dns],
        })
    }

    /// A node that gets its certificate here.
    fn node(&self, port: u16) -> Setup {
        server()
            .listen(&format!("127.0.0.1:{port}"))
            .set("server.tls.acme.domains", json!([DOMAIN]))
            .set("server.tls.acme.contact", json!(["operator@example.org"]))
            .set("server.tls.acme.directory", &self.directory)
            .environment("SSL_CERT_FILE", self.place.path().join("ca.pem").to_str().expect("a path"))
    }

    /// The root of the certificates that it gives.
    async fn root(&self) -> reqwest::Certificate {
        let client = tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build();
        let answer = client.expect("a client").get(format!("{}/roots/0", self.management)).send().await;
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

    // The authority is not needed again.
    let setup = server.stop().await;
    drop(authority);
    let server = setup.start().await;
    assert_eq!(believed(&root, port).await, Some(certificate));
    assert!(!server.logs().contains("no certificate from the authority"), "{}", server.logs());
}

#[tokio::test]
async fn a_certificate_is_renewed_while_the_node_runs() {
    let port = free_port();
    let Some(authority) = Authority::start(port).await else { return };
    let server = authority.node(port).set("server.tls.acme.renew_after", "1s").start().await;
    let root = authority.root().await;
    let first = eventually("a certificate that is believed", || believed(&root, port)).await;
    eventually("another certificate is shown", || async {
        let shown = believed(&root, port).await.expect("there is always one");
        (shown != first).then_some(())
    })
    .await;
    server.logged(&["renew_after is off", "clock"]).await;
    let logs = server.logs();
    let given = logs.lines().filter(|line| line.contains("the authority gave a certificate")).count();
    let warned = logs.lines().filter(|line| line.contains("renew_after is off") && line.contains("clock")).count();
    assert!(warned > 0 && given <= warned + 1, "{given} certificates, {warned} warnings: {logs}");
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_reason_and_the_node_serves_on() {
    let (port, elsewhere) = (free_port(), free_port());
    let Some(authority) = Authority::start(elsewhere).await else { return };
    let server = authority.node(port).start().await;
    let line = server.logged(&["no certificate from the authority"]).await;
    assert!(line.contains(&format!("{DOMAIN}: ")) && line.contains("tls-alpn-01"), "{line}");
    let anybody =
        tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build().expect("a client");
    let answer = anybody.get(format!("{}/health", server.origin)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "with a certificate of its own, which nobody believes");
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
        wrong("acme.renew_after", "0s", &["server.tls.acme.renew_after", "1s"]),
        wrong("certificate", "/chain.pem", &["server.tls has a certificate and acme"]),
        wrong("acme.path", "/proc/acme", &["server.tls", "/proc/acme"]),
    ] {
        let refused = setup.refused().await;
        let line = refused.refused_with_one_line();
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    }
}
