//! Why the demo did not reach its end.

use std::{io, time::Duration};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make a temporary directory: {0}")]
    Directory(#[source] io::Error),
    #[error("cannot start the stand-in for Expo: {0}")]
    Expo(#[source] io::Error),
    #[error("cannot serve the page of the phones: {0}")]
    Page(#[source] io::Error),
    #[error("the server {doing}: {source}")]
    Node { doing: &'static str, source: io::Error },
    #[error("the server said {said:?} where `listening on http://ADDR:PORT` was expected, within {within:?}")]
    NotListening { said: String, within: Duration },
    #[error("`token` ended with {status} and no token")]
    NoToken { status: String },
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[source] io::Error),
    #[error("{request}: {source}")]
    Http { request: String, source: reqwest::Error },
    #[error("{request} answered {status} {code}: {message}")]
    Refused { request: String, status: u16, code: String, message: String },
    #[error("{request} answered without {field}")]
    Unfinished { request: String, field: String },
    #[error("{who}'s realtime connection: {reason}")]
    Realtime { who: &'static str, reason: String },
    #[error("{who} did not hear {what} within {within:?}")]
    NotHeard { who: &'static str, what: String, within: Duration },
    #[error("{who}'s phone was not sent {what} within {within:?}")]
    NotPushed { who: &'static str, what: String, within: Duration },
    #[error("{what} should be {expected}, and is {found}")]
    NotAsPromised { what: String, expected: String, found: String },
}
