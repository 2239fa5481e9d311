//! `tandem check`: reports what is configured, what is reachable, and what is wrong. It changes nothing: it makes no
//! secret and opens no store.

use std::{net::TcpListener, path::Path, time::Duration};

use super::{CommandResult, Failure, health, output::print};
use crate::{auth, config::Settings, http::TlsSettings, realtime::ProviderKind};

/// One line of the report.
struct Finding {
    what: &'static str,
    found: String,
    verdict: Verdict,
}

enum Verdict {
    Fine,
    /// `serve` starts with a warning.
    Doubtful(String),
    /// `serve` does not start, or a service that it needs does not work.
    Wrong(String),
}

impl Finding {
    fn new(what: &'static str, found: impl Into<String>, outcome: Result<(), String>) -> Self {
        let verdict = outcome.map_or_else(Verdict::Wrong, |()| Verdict::Fine);
        Self { what, found: found.into(), verdict }
    }
}

pub fn run(settings: &Settings) -> CommandResult {
    let findings = actix_web::rt::System::new().block_on(findings(settings));
    for Finding { what, found, verdict } in &findings {
        match verdict {
            Verdict::Fine => print(format_args!("ok     {what}: {found}"))?,
            Verdict::Doubtful(doubt) => print(format_args!("WARN   {what}: {found}: {doubt}"))?,
            Verdict::Wrong(problem) => print(format_args!("WRONG  {what}: {found}: {problem}"))?,
        }
    }
    match findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Wrong(_))).count() {
        0 => Ok(()),
        wrong => Err(Failure::new(format_args!("{wrong} of {} checks failed", findings.len()))),
    }
}

async fn certificate(tls: &TlsSettings) -> Finding {
    match (&tls.acme, &tls.certificate, &tls.key) {
        (Some(acme), ..) => {
            let what = format!("for {} from {}", acme.domains.join(" "), acme.directory);
            Finding::new("certificate", what, reachable(&acme.directory).await)
        }
        (None, Some(chain), Some(key)) => {
            let usable = crate::tls::ServerCertificate::read(chain, key).map(drop).map_err(|error| error.to_string());
            Finding::new("certificate", chain.display().to_string(), usable)
        }
        (None, ..) => Finding::new("certificate", String::new(), Err("none is set".into())),
    }
}

async fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings =
        vec![Finding::new("data directory", settings.data.display().to_string(), writable(&settings.data))];
    match health::running(settings).await {
        Some(url) => {
            // A node is running. Its flags and its environment are unknown here, so its store and port are not checked.
            let found = format!(
                "answers at {url}; the settings below are those of this command, and may differ from the node's"
            );
            findings.push(Finding::new("running node", found, Ok(())));
        }
        None => findings.extend([
            Finding::new("store", settings.store_place().to_string(), store(settings)),
            Finding::new("listen", settings.server.listen.to_string(), free(settings)),
        ]),
    }
    findings.push(tokens(settings));
    if let Some(tls) = &settings.server.tls {
        findings.push(certificate(tls).await);
    }
    if let Some(url) = &settings.auth.jwks_url {
        findings.push(Finding::new("issuer's keys", url.clone(), reachable(url).await));
    }
    match settings.realtime.provider {
        ProviderKind::Embedded => {
            let keys = settings.realtime.embedded.read_keys().map(drop);
            let keys = keys.map_err(|error| format!("realtime.embedded.{error}"));
            findings.push(Finding::new("realtime", "embedded in this node", keys));
        }
        ProviderKind::Ably => {
            let url = &settings.realtime.ably.rest_url;
            let time = format!("{}/time", url.trim_end_matches('/'));
            let outcome = match settings.ably_key() {
                Ok(_) => reachable(&time).await,
                Err(error) => Err(error.to_string()),
            };
            findings.push(Finding::new("realtime", format!("Ably at {url}"), outcome));
        }
    }
    let push = settings.push.validate().map_err(|error| error.to_string());
    let push = match push {
        Ok(()) => reachable(&settings.push.base_url).await,
        wrong => wrong,
    };
    findings.push(Finding::new("push", settings.push.base_url.clone(), push));
    findings
}

/// The error that `serve` would report.
fn store(settings: &Settings) -> Result<(), String> {
    match settings.store_place().inspect(&settings.store_options()) {
        Ok(true) => Ok(()),
        Ok(false) => match crate::server::missing_store(settings) {
            Some(error) => Err(error.to_string()),
            None => Ok(()),
        },
        Err(error) => Err(error.to_string()),
    }
}

fn tokens(settings: &Settings) -> Finding {
    let secret = &settings.auth.hs256_secret;
    let verdict = if secret.as_ref().is_some_and(auth::is_short) {
        Verdict::Doubtful(auth::SHORT_SECRET.into())
    } else {
        Verdict::Fine
    };
    Finding { what: "tokens", found: settings.auth.accepted_tokens().into(), verdict }
}

/// Checks the directory, or the first existing one above it.
fn writable(data: &Path) -> Result<(), String> {
    let there = data.ancestors().map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    let Some(directory) = there.into_iter().find(|path| path.exists()) else { return Ok(()) };
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()));
    }
    tempfile::tempfile_in(directory).map(drop).map_err(|error| format!("cannot be written: {error}"))
}

fn free(settings: &Settings) -> Result<(), String> {
    TcpListener::bind(settings.server.listen).map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => "in use; a node may be running already".to_owned(),
        _ => error.to_string(),
    })
}

/// Whether a server answers there, with any status.
async fn reachable(url: &str) -> Result<(), String> {
    let problem = |error: reqwest::Error| format!("not reachable: {}", crate::tls::explain(error));
    let client = crate::tls::http_client().timeout(Duration::from_secs(5)).build().map_err(problem)?;
    client.get(url).send().await.map(drop).map_err(problem)
}
