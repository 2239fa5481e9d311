//! Traces by OTLP: the spans of requests, commands, flushes, deliveries and push attempts, sent to a collector by a
//! thread of their own. Only spans are sent, with the ids that the log also has: no event of the log, so no words. A
//! collector that is slow or gone costs spans, which are counted, and nothing else.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    trace::{SpanContext, Status, TraceContextExt, TraceFlags, TracerProvider},
};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span as SdkSpan, SpanData, SpanExporter,
        SpanProcessor,
    },
};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{tls, version::VERSION};

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last spans.
const AT_THE_END: Duration = Duration::from_secs(2);
/// Spans that may wait for the collector. A span has about a kilobyte.
const QUEUE: usize = 4096;
/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// The version of the header `traceparent`.
const HEADER_VERSION: &str = "00";

static SENDING: OnceLock<SpanSender> = OnceLock::new();

struct SpanSender {
    provider: SdkTracerProvider,
    one_in: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to telemetry.otlp_endpoint: {0}")]
pub struct TracesError(#[source] Box<dyn Error + Send + Sync>);

/// Starts the thread that sends, and returns the layer that hands spans to it. One trace in `one_in` is kept, unless it
/// continues a trace about which a trusted caller has decided. Once per process, and not in an async task.
///
/// # Errors
/// If the address cannot be used.
pub fn start<S>(endpoint: &str, one_in: u32) -> Result<impl Layer<S> + use<S>, TracesError>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let client = tls::blocking_http_client().timeout(PATIENCE).build();
    let client = client.map_err(|error| TracesError(error.into()))?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| TracesError(error.into()))?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let watched = WatchedExporter { exporter, waiting: waiting.clone(), failing: AtomicBool::new(false) };
    // The room of the queue is watched here, so that no span is lost without being counted.
    let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(GATHER).build();
    let queue = BatchSpanProcessor::builder(watched).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(1.0 / f64::from(one_in)))))
        .with_resource(
            Resource::builder()
                .with_service_name("tandem")
                .with_attribute(KeyValue::new("service.version", VERSION))
                .build(),
        )
        .with_span_processor(BoundedQueue { queue, waiting })
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tandem"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    drop(SENDING.set(SpanSender { provider, one_in }));
    Ok(layer.with_filter(filter_fn(is_exported)))
}

/// Our own spans. Those of libraries may hold anything, and so may events.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("tandem")
}

/// Whether traces are sent.
pub fn are_on() -> bool {
    SENDING.get().is_some()
}

/// Sends what waits, but not for long. Before the process ends, and not in an async task.
pub fn stop() {
    if let Some(sending) = SENDING.get()
        && let Err(error) = sending.provider.shutdown_with_timeout(AT_THE_END)
    {
        tracing::warn!(%error, "the last traces were not sent");
    }
}

/// Makes a span that was just begun part of a trace, and takes over the decision whether to keep it. `context` has the
/// form of the header `traceparent`; anything else has no effect.
pub fn continue_trace(span: &Span, context: &str) {
    if are_on() && !span.is_disabled() {
        set_parent(span, parsed(context));
    }
}

/// The same for a caller that is not trusted. The node itself decides whether to keep the trace, and not by the trace's
/// id, which the caller chose.
pub fn continue_strangers_trace(span: &Span, context: &str) {
    let Some(sending) = SENDING.get().filter(|_| !span.is_disabled()) else { return };
    let parent = parsed(context);
    let stranger = parent.span().span_context().clone();
    if stranger.is_valid() {
        let is_kept = rand::random_ratio(1, sending.one_in);
        let flags = TraceFlags::default().with_sampled(is_kept);
        let decided =
            SpanContext::new(stranger.trace_id(), stranger.span_id(), flags, true, stranger.trace_state().clone());
        set_parent(span, Context::new().with_remote_span_context(decided));
    }
}

fn parsed(context: &str) -> Context {
    let headers = HashMap::from([("traceparent".to_owned(), context.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}

fn set_parent(span: &Span, parent: Context) {
    // An error means that the span is not exported.
    drop(span.set_parent(parent));
}

/// The context of a span that is kept, in the form of the header `traceparent`.
pub fn context_of(span: &Span) -> Option<String> {
    if !are_on() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    let flags = context.trace_flags().to_u8();
    (context.is_valid() && context.is_sampled())
        .then(|| format!("{HEADER_VERSION}-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
}

/// Notes the status of a request's answer.
pub fn answered(span: &Span, status: u16) {
    if are_on() {
        span.set_attribute("http.response.status_code", i64::from(status));
        if status >= 500 {
            span.set_status(Status::error(""));
        }
    }
}

fn lost(spans: usize) {
    metrics::counter!("tandem_traces_lost_spans_total").increment(spans as u64);
}

/// The queue, which takes no more than it has room for.
#[derive(Debug)]
struct BoundedQueue {
    queue: BatchSpanProcessor,
    /// Spans in the queue, and those that are being sent.
    waiting: Arc<AtomicUsize>,
}

impl SpanProcessor for BoundedQueue {
    fn on_start(&self, span: &mut SdkSpan, context: &Context) {
        self.queue.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return lost(1);
        }
        self.queue.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

/// The exporter. Logs the first failure and the end of an outage, and counts what is lost.
#[derive(Debug)]
struct WatchedExporter {
    exporter: opentelemetry_otlp::SpanExporter,
    waiting: Arc<AtomicUsize>,
    failing: AtomicBool,
}

impl SpanExporter for WatchedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let was_failing = self.failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Ok(()) if was_failing => tracing::info!("the collector takes traces again"),
            Ok(()) => {}
            Err(error) => {
                if !was_failing {
                    tracing::warn!(%error, "the collector does not take traces; they are dropped until it does");
                }
                lost(spans);
            }
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
