//! Why a connection is refused, and the response that says so.

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    Full,
    TooManyFromOneAddress,
    Stopping,
}

impl ConnectionRefusal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooManyFromOneAddress => "address",
            Self::Stopping => "stopping",
        }
    }

    /// The HTTP response that is sent before the connection closes.
    pub fn answer(self) -> String {
        let (status, code, message) = match self {
            Self::Full => {
                ("503 Service Unavailable", "SERVICE_UNAVAILABLE", "the node serves as many connections as it can")
            }
            Self::Stopping => ("503 Service Unavailable", "SERVICE_UNAVAILABLE", "the node is stopping"),
            Self::TooManyFromOneAddress => {
                ("429 Too Many Requests", "RATE_LIMITED", "too many connections from this address")
            }
        };
        failure(status, code, message)
    }
}

/// An error as clients get it everywhere, for one that is answered without the HTTP server.
pub fn failure(status: &str, code: &str, message: &str) -> String {
    let body = format!(r#"{{"success":false,"error":{{"code":"{code}","message":"{message}"}}}}"#);
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}
