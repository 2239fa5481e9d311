//! One story in the log: the lines of a request, from its command through the flush and the delivery to the push attempt, carry the same
//! request id.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use tracing::Span;

use crate::domain::ids::SessionId;

/// The id of a client's request, as in the header `X-Request-Id`. It is stored beside the events of the request and with its pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Arc<str>);

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// `text` is what the log shows; the caller has checked that it may stand there.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Runs `work` on behalf of this request: commands that it gives carry the id.
    ///
    /// ```
    /// # use tandem_actors::RequestId;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let id = RequestId::new("4f1c");
    /// assert_eq!(id.clone().scope(async { RequestId::current() }).await, Some(id));
    /// assert_eq!(RequestId::current(), None);
    /// # });
    /// ```
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The id of the request that the running task works for.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// As in the log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What ties the log lines of one command together.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `None` for what no request asked for, as the end of a timer.
    pub request_id: Option<RequestId>,
    pub span: Span,
}

impl Trace {
    /// For a command of the request in hand. Its span lies within the request's own.
    pub fn of_command(session: &SessionId, command: &'static str) -> Self {
        let request_id = RequestId::current();
        let id = request_id.as_ref().map(RequestId::as_str);
        let span = tracing::info_span!("command", request_id = id, %session, command);
        Self { request_id, span }
    }

    /// For an event that was read from the store.
    pub fn of_stored_event(session: &SessionId, request_id: Option<RequestId>) -> Self {
        let id = request_id.as_ref().map(RequestId::as_str);
        let span = tracing::info_span!("event", request_id = id, %session);
        Self { request_id, span }
    }

    /// For lines that belong to no command.
    pub fn none() -> Self {
        Self { request_id: None, span: Span::none() }
    }
}
