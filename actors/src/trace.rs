//! Request ids in the log. All lines of a request carry the same id: those of its command, of the flush, of the
//! delivery and of the push attempt.
//!
//! These lines have the level `debug`, and so have the spans around them: making spans takes up to a tenth of a
//! command's CPU. A line of a higher level names the request itself. Spans also exist where traces are exported; some
//! are for traces alone, and no line is within them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use tracing::Span;

use crate::domain::ids::SessionId;

/// The id of a client's request, as in the header `X-Request-Id`. It is stored beside the events of the request. If the
/// request is traced, the context of its span follows after a space, so that what happens later is of the same trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Arc<str>);

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// The caller has checked that `text` may stand in the log.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The same id, with the context of the request's span in the form of the header `traceparent`.
    #[must_use]
    pub fn traced(&self, context: &str) -> Self {
        Self(format!("{} {context}", self.as_str()).into())
    }

    /// The context of the request's span, if it is traced.
    pub fn trace_context(&self) -> Option<&str> {
        self.0.split_once(' ').map(|(_, context)| context)
    }

    /// Runs `work` for this request: its commands carry the id.
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
        self.0.split_once(' ').map_or(&*self.0, |(id, _)| id)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What ties the log lines of one command together.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// `None` for commands without a request, such as a timer.
    pub request_id: Option<RequestId>,
    pub span: Span,
}

impl Trace {
    /// The trace of a command. Its span lies within the span of the running request.
    pub(crate) fn of_command(session: &SessionId, command: &'static str) -> Self {
        let request_id = RequestId::current();
        let id = request_id.as_ref().map(RequestId::as_str);
        let span = tracing::debug_span!("command", request_id = id, %session, command);
        Self { request_id, span }
    }

    /// The trace of an event that was read from the store.
    pub(crate) fn of_stored_event(session: &SessionId, request_id: Option<RequestId>) -> Self {
        let id = request_id.as_ref().map(RequestId::as_str);
        let span = tracing::debug_span!("event", request_id = id, %session);
        Self { request_id, span }
    }

    /// The request's id, for a line outside the span.
    pub(crate) fn id(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }

    /// The trace of rows that belong to no command.
    pub(crate) fn none() -> Self {
        Self { request_id: None, span: Span::none() }
    }
}
