//! `tandem health`: whether the node on this data directory answers. For the health check of a container, which has no
//! other program for it.

use std::time::Duration;

use super::{Failure, Outcome, output::print};
use crate::{config::Settings, operator};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub fn run(settings: &Settings, ready: bool) -> Outcome {
    actix_web::rt::System::new().block_on(ask(settings, if ready { "ready" } else { "health" }))
}

async fn ask(settings: &Settings, path: &str) -> Outcome {
    let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
    // On a full disk, a node serves and cannot write where it listens.
    let url = operator::url(&settings.data).unwrap_or_else(|| format!("{scheme}://{}", settings.server.listen));
    let no_answer = |problem: reqwest::Error| {
        Failure::new(format_args!("the node at {url} does not answer: {}", problem.without_url()))
    };
    // The node's certificate may not name the address that the node listens on.
    let client = crate::tls::http_client().timeout(ANSWER_WITHIN).danger_accept_invalid_certs(true).no_proxy();
    let client = client.build().map_err(no_answer)?;
    let answer = client.get(format!("{url}/{path}")).send().await.map_err(no_answer)?;
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
