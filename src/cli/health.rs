//! `tandem health`: whether the node on this data directory answers. For the health check of a container, which has no
//! other program for it.

use std::time::Duration;

use super::{CommandResult, Failure, output::print};
use crate::{config::Settings, operator};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub fn run(settings: &Settings, ready: bool) -> CommandResult {
    actix_web::rt::System::new().block_on(ask(settings, if ready { "ready" } else { "health" }))
}

async fn ask(settings: &Settings, path: &str) -> CommandResult {
    if !settings.data.is_dir() {
        return Err(Failure::new(format_args!(
            "no node has run on {}: there is no such directory",
            settings.data.display()
        )));
    }
    let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
    // On a full disk, a node serves and cannot write where it listens.
    let url = operator::url(&settings.data).unwrap_or_else(|| format!("{scheme}://{}", settings.server.listen));
    let no_answer = |problem: reqwest::Error| {
        Failure::new(format_args!("the node at {url} does not answer: {}", crate::tls::explain(problem)))
    };
    let answer = get(format!("{url}/{path}")).await.map_err(no_answer)?;
    let status = answer.status();
    let body: serde_json::Value = answer.json().await.map_err(no_answer)?;
    match body["data"]["status"].as_str() {
        Some(word) => Ok(print(word)?),
        None => {
            let message = body["error"]["message"].as_str().unwrap_or_default();
            Err(Failure::new(format_args!("the node at {url} answers {status}: {message}")))
        }
    }
}

/// Where the node on this data directory answers, if one does.
pub async fn running(settings: &Settings) -> Option<String> {
    let url = operator::url(&settings.data)?;
    get(format!("{url}/health")).await.ok().map(|_| url)
}

async fn get(url: String) -> reqwest::Result<reqwest::Response> {
    // The node's certificate may not name the address that the node listens on.
    let client = crate::tls::http_client().timeout(ANSWER_WITHIN).danger_accept_invalid_certs(true).no_proxy();
    client.build()?.get(url).send().await
}
