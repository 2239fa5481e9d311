//! The operator's access: a running node writes its address and a token into the data directory, readable only by its
//! own user. `tandem session …` reads them there and calls the operator's routes.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{secret::Secret, store};

const FILE: &str = "operator.json";

#[derive(Serialize, Deserialize)]
struct OperatorAccess {
    url: String,
    token: String,
}

/// The file of a running node. Removed when this is dropped.
pub struct OperatorFile(PathBuf);

impl OperatorFile {
    pub fn write(data: &Path, scheme: &str, address: SocketAddr, token: &Secret) -> io::Result<Self> {
        let path = data.join(FILE);
        let written = OperatorAccess { url: format!("{scheme}://{address}"), token: token.reveal().to_owned() };
        store::replace_file(&path, &serde_json::to_vec(&written)?)?;
        Ok(Self(path))
    }
}

impl Drop for OperatorFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the operator file is gone already");
        }
    }
}

/// A random token for this run of the node.
pub fn fresh_token() -> Secret {
    Secret::new(format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()))
}

/// Why an operator's command failed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("no node runs on {data}: start it with `tandem serve --data {data}`")]
    NoNode { data: String },
    #[error("{}: cannot be read: {problem}: run this as the user of the node", .file.display())]
    Unreadable { file: PathBuf, problem: String },
    #[error("the node on {data} does not answer: {problem}")]
    NoAnswer { data: String, problem: String },
    #[error("{0}")]
    Refused(String),
}

/// Calls one of the operator's routes of the node that runs on `data`. Returns the `data` of the answer.
pub async fn call(data: &Path, method: reqwest::Method, path: &str) -> Result<serde_json::Value, OperatorError> {
    let node = RunningNode::on(data)?;
    let answer = node.request(method, &format!("/api/v1/operator/{path}"))?.send().await;
    let mut body: serde_json::Value = match answer {
        Ok(answer) => answer.json().await.map_err(|problem| node.no_answer(problem))?,
        Err(problem) => return Err(node.no_answer(problem)),
    };
    match body["error"]["message"].as_str() {
        Some(message) => Err(OperatorError::Refused(message.to_owned())),
        None => Ok(body["data"].take()),
    }
}

/// Where the node that runs on `data` listens, as it wrote it there.
pub fn url(data: &Path) -> Option<String> {
    let written = fs::read(data.join(FILE)).ok()?;
    serde_json::from_slice(&written).ok().map(|OperatorAccess { url, .. }| url)
}

/// A link that signs somebody of this name in to the console of the node that runs on `data`. `at` is where a browser
/// reaches the node; if absent, it is the address that the node listens on.
pub async fn console_link(data: &Path, name: &str, at: Option<&str>) -> Result<String, OperatorError> {
    let node = RunningNode::on(data)?;
    let request = node.request(reqwest::Method::POST, "/console/link")?;
    let answer = request.json(&serde_json::json!({ "name": name })).send().await;
    let answer = answer.map_err(|problem| node.no_answer(problem))?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        return Err(OperatorError::Refused("this node has no console: console.enabled is false".into()));
    }
    let body: serde_json::Value = answer.json().await.map_err(|problem| node.no_answer(problem))?;
    let path = body["path"].as_str().ok_or_else(|| OperatorError::Refused("the node gave no link".into()))?;
    Ok(format!("{}{path}", at.unwrap_or(&node.access.url).trim_end_matches('/')))
}

struct RunningNode {
    data: String,
    access: OperatorAccess,
}

impl RunningNode {
    fn on(data: &Path) -> Result<Self, OperatorError> {
        let access = read(data)?;
        Ok(Self { data: data.display().to_string(), access })
    }

    fn request(&self, method: reqwest::Method, path: &str) -> Result<reqwest::RequestBuilder, OperatorError> {
        // The node's certificate may not name the address that the node listens on.
        let client = crate::tls::http_client()
            .timeout(Duration::from_secs(10))
            .danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .map_err(|problem| self.no_answer(problem))?;
        Ok(client.request(method, format!("{}{path}", self.access.url)).bearer_auth(&self.access.token))
    }

    fn no_answer(&self, problem: reqwest::Error) -> OperatorError {
        OperatorError::NoAnswer { data: self.data.clone(), problem: crate::tls::explain(problem) }
    }
}

fn read(data: &Path) -> Result<OperatorAccess, OperatorError> {
    let shown = data.display().to_string();
    let file = data.join(FILE);
    let bytes = fs::read(&file).map_err(|problem| match problem.kind() {
        io::ErrorKind::NotFound => OperatorError::NoNode { data: shown },
        _ => OperatorError::Unreadable { file: file.clone(), problem: problem.to_string() },
    })?;
    serde_json::from_slice(&bytes).map_err(|_| OperatorError::Unreadable {
        file: file.clone(),
        problem: "a running node writes it, and this is not what it wrote".into(),
    })
}
