//! The answers of a node that stands by: to requests about itself, and to all requests while there is no owner.

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use crate::{connections::failure, store::Owner};

const UNAVAILABLE: &str = "503 Service Unavailable";

/// A request about this node, which needs no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Health,
    Ready,
    Metrics,
}

impl Question {
    /// Reads the first line of a connection. `None`: the request is for the owner.
    pub fn of(head: &[u8]) -> Option<Self> {
        let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        if words.next()? != "GET" {
            return None;
        }
        match words.next()?.split('?').next()? {
            "/health" => Some(Self::Health),
            "/ready" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    /// The whole response.
    pub fn answer(self, owner: Option<&Owner>, metrics: &PrometheusHandle) -> String {
        let version = crate::version::VERSION;
        match (self, owner) {
            (Self::Health, _) => success(&json!({ "status": "ok", "version": version })),
            (Self::Ready, Some(owner)) => success(&json!({ "status": "standby", "owner": owner.name, "checks": [] })),
            (Self::Ready, None) => no_owner(),
            (Self::Metrics, _) => {
                metrics.run_upkeep();
                with_body("text/plain; version=0.0.4; charset=utf-8", &metrics.render())
            }
        }
    }
}

/// The answer to a request that found no owner in time.
pub(super) fn no_owner() -> String {
    failure(UNAVAILABLE, "SERVICE_UNAVAILABLE", "this node stands by, and no node owns the database at the moment")
}

fn success(data: &Value) -> String {
    with_body("application/json", &json!({ "success": true, "data": data }).to_string())
}

fn with_body(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stands_by_knows_the_questions_about_itself() {
        for (head, question) in [
            ("GET /health HTTP/1.1\r\nhost: one\r\n\r\n", Some(Question::Health)),
            ("GET /ready?x=1 HTTP/1.1\r\n\r\n", Some(Question::Ready)),
            ("GET /metrics HTTP/1.1\r\n\r\n", Some(Question::Metrics)),
            ("POST /ready HTTP/1.1\r\n\r\n", None),
            ("GET /health/more HTTP/1.1\r\n\r\n", None),
            ("GET /healthy HTTP/1.1\r\n\r\n", None),
            ("\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(Question::of(head.as_bytes()), question, "{head:?}");
        }
    }
}
