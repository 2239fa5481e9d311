//! One layer around every request: a request id, a tracing span, metrics by route template, and gzip for large answers.

use std::{
    cell::RefCell,
    io::Write,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web::Data,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tandem_actors::RequestId;
use tracing::{Instrument, Level, Span};

use super::AppState;
use crate::traces;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The trace that a request belongs to: W3C Trace Context.
pub const TRACE_CONTEXT: HeaderName = HeaderName::from_static("traceparent");

/// Smaller answers fit into one packet.
const WORTH_COMPRESSING: u64 = 1400;

/// The metrics of one route on one worker. Their handles are looked up once.
#[derive(Clone)]
pub struct RouteMetrics {
    template: Rc<str>,
    handles: Rc<RefCell<Vec<Handles>>>,
}

struct Handles {
    method: Method,
    status: u16,
    count: metrics::Counter,
    seconds: metrics::Histogram,
}

impl RouteMetrics {
    pub fn of(template: &str) -> Self {
        Self { template: template.into(), handles: Rc::default() }
    }

    fn record(&self, method: &Method, status: u16, seconds: f64) {
        let mut handles = self.handles.borrow_mut();
        let place = handles.iter().position(|known| known.status == status && known.method == *method);
        let place = place.unwrap_or_else(|| {
            handles.push(self.handles(method, status));
            handles.len() - 1
        });
        handles[place].count.increment(1);
        handles[place].seconds.record(seconds);
    }

    fn handles(&self, method: &Method, status: u16) -> Handles {
        let (route, name) = (self.template.to_string(), method_label(method));
        Handles {
            method: method.clone(),
            status,
            count: metrics::counter!(
                "tandem_http_requests_total", "route" => route.clone(), "method" => name, "status" => status.to_string()
            ),
            seconds: metrics::histogram!("tandem_http_request_seconds", "route" => route, "method" => name),
        }
    }
}

/// A closed set, so that clients cannot create time series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// One request from its arrival to its answer.
pub struct ObservedRequest {
    metrics: RouteMetrics,
    started: Instant,
    id: HeaderValue,
    method: Method,
    accepts_gzip: bool,
    span: Span,
}

impl ObservedRequest {
    pub fn begin(metrics: &RouteMetrics, request: &ServiceRequest) -> Self {
        let id = request_id(request.headers());
        let method = request.method().clone();
        // A span costs several microseconds. Only `debug` lines are within it, and traces need it.
        let is_wanted = tracing::enabled!(Level::DEBUG) || traces::are_on();
        let span = if is_wanted { span(&id, &method, &metrics.template) } else { Span::none() };
        if let Some(context) = request.headers().get(TRACE_CONTEXT).and_then(|context| context.to_str().ok()) {
            let continues = if is_trusted(request) { traces::continue_trace } else { traces::continue_strangers_trace };
            continues(&span, context);
        }
        let accepts_gzip = accepts_gzip(request.headers());
        Self { metrics: metrics.clone(), started: Instant::now(), id, method, accepts_gzip, span }
    }

    pub async fn run<F>(self, answering: F) -> Result<ServiceResponse<BoxBody>, Error>
    where
        F: Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
    {
        let request_id = RequestId::new(self.id.to_str().unwrap_or_default());
        let request_id =
            traces::context_of(&self.span).map_or(request_id.clone(), |context| request_id.traced(&context));
        let mut response = request_id.scope(answering.instrument(self.span.clone())).await?;
        let status = response.status().as_u16();
        traces::answered(&self.span, status);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, self.id.clone());
        // Answers are private to the caller.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.accepts_gzip && worth_compressing(&response) {
            response = compress(response);
        }
        let elapsed = self.started.elapsed();
        self.metrics.record(&self.method, status, elapsed.as_secs_f64());
        let slow =
            response.request().app_data::<Data<AppState>>().map_or(Duration::MAX, |state| state.config.slow_request);
        let micros = elapsed.as_micros() as u64;
        let level = log_level(status, elapsed > slow);
        let is_made = level == Level::DEBUG || !self.span.is_disabled();
        let span = if is_made { self.span } else { span(&self.id, &self.method, &self.metrics.template) };
        span.in_scope(|| match level {
            Level::WARN => tracing::warn!(status, micros, "answered"),
            Level::INFO => tracing::info!(status, micros, "answered"),
            _ => tracing::debug!(status, micros, "answered"),
        });
        Ok(response)
    }
}

/// Whether a trusted proxy sent the request.
fn is_trusted(request: &ServiceRequest) -> bool {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let state = request.app_data::<Data<AppState>>();
    let trusted = state.map_or(&[][..], |state| &state.config.trusted_proxies);
    peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(peer)))
}

fn span(id: &HeaderValue, method: &Method, route: &str) -> Span {
    let (id, method) = (id.to_str().unwrap_or_default(), method_label(method));
    if traces::are_on() {
        // What collectors call the span, and who began it.
        let (name, kind) = (format!("{method} {route}"), "server");
        return tracing::info_span!("request", otel.name = name, otel.kind = kind, id, request_id = id, method, route);
    }
    tracing::info_span!("request", id, method, route)
}

/// How important the line about a request is. The causes of a 503 have lines of their own: one for each refused request
/// would be too many.
fn log_level(status: u16, is_slow: bool) -> Level {
    match status {
        503 if !is_slow => Level::DEBUG,
        500.. if status != 503 => Level::WARN,
        _ if is_slow => Level::INFO,
        _ => Level::DEBUG,
    }
}

/// The client's own id if it is safe in a log, else a random one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |value: &&HeaderValue| {
        (1..=64).contains(&value.len())
            && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let fresh = || {
        let text = format!("{:016x}", rand::random::<u64>());
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("none"))
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(fresh)
}

pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn worth_compressing(response: &ServiceResponse<BoxBody>) -> bool {
    matches!(response.response().body().size(), BodySize::Sized(size) if size >= WORTH_COMPRESSING)
        && !response.headers().contains_key(header::CONTENT_ENCODING)
}

fn compress(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    response.map_body(|head, body| match body.try_into_bytes() {
        Ok(plain) => BoxBody::new(gzip(&plain)),
        Err(streamed) => {
            head.headers_mut().remove(header::CONTENT_ENCODING);
            streamed
        }
    })
}

pub fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::fast());
    // Writing to memory cannot fail.
    drop(encoder.write_all(plain));
    encoder.finish().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_requests_are_warnings_and_slow_ones_are_worth_a_line() {
        assert_eq!([200, 404, 503].map(|status| log_level(status, false)), [Level::DEBUG; 3]);
        assert_eq!([200, 404, 503].map(|status| log_level(status, true)), [Level::INFO; 3]);
        assert_eq!([500, 502].map(|status| log_level(status, false)), [Level::WARN; 2]);
        assert_eq!(log_level(500, true), Level::WARN);
    }
}
