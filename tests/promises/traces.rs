//! Traces by OTLP: what a collector gets, and what a bad collector costs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Conversation, Expo, Partner, Server, eventually, server},
    routing::{DEVICE, scene},
};

const REQUEST: &str = "the-signature";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    Fails,
    /// Answers to nobody.
    Hangs,
}

#[derive(Clone)]
struct Inside {
    mood: Arc<Mutex<Mood>>,
    bodies: Arc<Mutex<Vec<web::Bytes>>>,
}

/// A collector that keeps what it gets.
pub struct Collector {
    pub url: String,
    inside: Inside,
    handle: ServerHandle,
}

impl Collector {
    pub fn start() -> Self {
        Self::in_the_mood(Mood::Takes)
    }

    fn in_the_mood(mood: Mood) -> Self {
        let inside = Inside { mood: Arc::new(Mutex::new(mood)), bodies: Arc::default() };
        let (send, started) = mpsc::channel();
        let shared = inside.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let app = App::new().app_data(web::PayloadConfig::new(64 << 20));
                    app.app_data(web::Data::new(shared.clone())).route("/v1/traces", web::post().to(take))
                });
                let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                send.send((address, server.handle())).expect("the test waits");
                let _ = server.await;
            });
        });
        let (address, handle) = started.recv().expect("the collector starts");
        Self { url: format!("http://{address}"), inside, handle }
    }

    fn mood(&self, mood: Mood) {
        *self.inside.mood.lock().expect("nobody panics with it") = mood;
    }

    /// Everything as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.inside.bodies.lock().expect("nobody panics with it").concat()
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.inside.bodies.lock().expect("nobody panics with it").clone();
        let requests = bodies.into_iter().map(|body| ExportTraceServiceRequest::decode(body).expect("OTLP"));
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The first span of this kind that belongs to the request.
    async fn span(&self, name: &str, request: &str) -> Span {
        eventually(format!("a span {name} of {request}"), || async {
            let of_request = |span: &Span| attribute(span, "request_id").as_deref() == Some(request);
            self.spans().into_iter().find(|span| span.name == name && of_request(span))
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn take(body: web::Bytes, inside: web::Data<Inside>) -> HttpResponse {
    let mood = *inside.mood.lock().expect("nobody panics with it");
    match mood {
        Mood::Takes => {
            inside.bodies.lock().expect("nobody panics with it").push(body);
            HttpResponse::Ok().finish()
        }
        Mood::Fails => HttpResponse::BadRequest().finish(),
        Mood::Hangs => std::future::pending().await,
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?;
    match value {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn sign(server: &Server, both: &Conversation, trace: Option<&str>) {
    let path = format!("/api/v1{}", both.anna.path("/compact/sign"));
    let request = server.request(Method::POST, &path).bearer(&both.anna.token).header("X-Request-Id", REQUEST);
    let request = match trace {
        Some(context) => request.header("traceparent", context),
        None => request,
    };
    request.json(&json!({ "agreed": true })).send().await.done();
}

/// The log is as quiet as it is by default: the spans exist all the same.
#[tokio::test]
async fn a_command_is_one_trace_from_the_request_to_the_push_attempt() {
    let collector = Collector::start();
    let setup = server().set("telemetry.otlp_endpoint", &collector.url);
    let (server, expo, both) = scene(setup, Some(DEVICE)).await;
    sign(&server, &both, Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    expo.push(DEVICE, "partner.signed_compact").await;

    let route = "POST /sessions/{id}/compact/sign";
    let request = collector.span(route, REQUEST).await;
    assert_eq!((hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()), (TRACE, CALLER));
    assert_eq!(attribute(&request, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(request.kind, 2, "a server's span");
    let command = collector.span("command", REQUEST).await;
    assert_eq!(command.parent_span_id, request.span_id);
    assert_eq!(attribute(&command, "session").as_deref(), Some(both.session.as_str()));
    let push = collector.span("push attempt", REQUEST).await;
    assert_eq!((&push.trace_id, &push.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!(attribute(&push, "outcome").as_deref(), Some("accepted"));
    for name in ["journal", "delivery"] {
        let child = eventually(format!("a span {name} of the command"), || async {
            collector.spans().into_iter().find(|span| span.name == name && span.parent_span_id == command.span_id)
        })
        .await;
        assert!(attribute(&child, "seq").is_some() && child.trace_id == request.trace_id, "{child:?}");
    }
    assert!(!server.logs().contains("DEBUG"), "{}", server.logs());
}

/// One request of a caller that wants its trace to be kept, and one of a caller that does not.
async fn ask_with_both_decisions(server: &Server, token: &str) {
    for flags in ["00", "01"] {
        let request = server.get("/api/v1/auth/me").header("X-Request-Id", &format!("flags-{flags}"));
        let request = request.header("traceparent", &format!("00-{TRACE}-{CALLER}-{flags}"));
        request.bearer(token).send().await.ok();
    }
}

#[tokio::test]
async fn traces_are_kept_as_often_as_the_setting_or_a_trusted_caller_says() {
    let collector = Collector::start();
    let setup = server().set("telemetry.otlp_endpoint", &collector.url).set("telemetry.otlp_one_in", 1_000_000);
    let (server, _expo, both) = scene(setup.set("server.trusted_proxies", r#"["127.0.0.1"]"#), None).await;
    ask_with_both_decisions(&server, &both.anna.token).await;
    for context in ["no trace", "00-0-0-00", ""] {
        server.get("/health").header("traceparent", context).send().await;
    }
    server.stop().await;
    let spans = collector.spans();
    assert!(!spans.is_empty() && spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
    assert!(spans.iter().all(|span| attribute(span, "request_id").as_deref() == Some("flags-01")), "{spans:?}");
}

#[tokio::test]
async fn an_untrusted_caller_cannot_decide_whether_a_trace_is_kept() {
    for (one_in, kept) in [(1_000_000, &[][..]), (1, &["flags-00", "flags-01"])] {
        let collector = Collector::start();
        let setup = server().set("telemetry.otlp_endpoint", &collector.url).set("telemetry.otlp_one_in", one_in);
        let (server, _expo, both) = scene(setup, None).await;
        ask_with_both_decisions(&server, &both.anna.token).await;
        server.stop().await;
        let of_stranger = |span: &Span| span.name == "GET /auth/me" && hex(&span.trace_id) == TRACE;
        let spans: Vec<_> = collector.spans().into_iter().filter(of_stranger).collect();
        let requests: BTreeSet<_> = spans.iter().filter_map(|span| attribute(span, "request_id")).collect();
        assert!(requests.iter().eq(kept), "one in {one_in}: {requests:?}");
        assert!(spans.iter().all(|span| hex(&span.parent_span_id) == CALLER), "{spans:?}");
    }
}

#[tokio::test]
async fn a_node_whose_store_fails_sends_what_waits() {
    let collector = Collector::start();
    let mut server = server().set("telemetry.otlp_endpoint", &collector.url).start().await;
    server.get("/api/v1/auth/me").header("X-Request-Id", "the-last").send().await.refused(401, "UNAUTHORIZED");
    std::fs::rename(server.data().join("store"), server.data().join("elsewhere")).expect("moved");
    assert_eq!(server.ended().await.code(), Some(70));
    let last = |span: &Span| attribute(span, "request_id").as_deref() == Some("the-last");
    assert!(collector.spans().iter().any(last), "what was under way has arrived before the process ended");
}

#[tokio::test]
async fn a_clean_stop_sends_what_waits() {
    let collector = Collector::start();
    let server = server().set("telemetry.otlp_endpoint", &collector.url).start().await;
    server.get("/api/v1/auth/me").header("X-Request-Id", "the-last").send().await.refused(401, "UNAUTHORIZED");
    server.stop().await;
    let last = |span: &Span| attribute(span, "request_id").as_deref() == Some("the-last");
    assert!(collector.spans().iter().any(last), "what was under way has arrived before the process ended");
}

async fn lost(server: &Server) -> u64 {
    let metrics = server.get("/metrics").send().await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tandem_traces_lost_spans_total "));
    line.and_then(|count| count.trim().parse().ok()).expect("the metric is there")
}

#[tokio::test]
async fn a_collector_that_fails_costs_spans_which_are_counted_and_one_line() {
    let collector = Collector::in_the_mood(Mood::Fails);
    let server = server().set("telemetry.otlp_endpoint", &collector.url).start().await;
    let anna = Partner::fresh(&server.origin, "Anna");
    eventually("two exports have failed", || async {
        anna.invite("Ben").await.created();
        (lost(&server).await > 20).then_some(())
    })
    .await;
    collector.mood(Mood::Takes);
    eventually("the log says that it works again", || async {
        anna.get("/auth/me").await.ok();
        server.logs().contains("the collector takes traces again").then_some(())
    })
    .await;
    assert_eq!(server.logs().matches("the collector does not take traces").count(), 1, "{}", server.logs());
    server.stop().await;
}

#[tokio::test]
async fn a_collector_that_hangs_delays_no_request_and_the_stop_only_a_little() {
    let collector = Collector::in_the_mood(Mood::Hangs);
    let server = server().set("telemetry.otlp_endpoint", &collector.url).start().await;
    let anna = Partner::fresh(&server.origin, "Anna");
    // More spans than may wait.
    eventually("spans are dropped while the collector hangs", || async {
        for _ in 0..200 {
            anna.get("/auth/me").await.ok();
        }
        (lost(&server).await > 0).then_some(())
    })
    .await;
    let stopping = Instant::now();
    server.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
}

#[tokio::test]
async fn an_invalid_collector_address_is_refused_with_one_line() {
    for wrong in [
        "collector:4318",
        "ftp://name:canarysecret@collector",
        "http://name:canarysecret@collector",
        "http://:canarysecret@collector",
        "http://canarysecret@collector",
        "http://collector/?key=canarysecret",
        "http://name:canarysecret@[collector",
    ] {
        let refused = server().set("telemetry.otlp_endpoint", wrong).refused().await;
        let line = refused.refused_with_one_line();
        assert!(line.contains("otlp_endpoint") && line.contains("http://127.0.0.1:4318"), "{line}");
        assert!(!line.contains("canarysecret"), "{line}");
    }
}

#[tokio::test]
async fn a_push_after_a_restart_is_still_of_the_requests_trace() {
    let (collector, expo) = (Collector::start(), Expo::start());
    let setup = server().set("telemetry.otlp_endpoint", &collector.url).set("push.base_url", "http://127.0.0.1:9");
    let server = setup.start().await;
    let both = Conversation::joined(&server).await;
    both.ben.register_push_token(DEVICE).await.ok();
    sign(&server, &both, Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    let again = server.kill().set("push.base_url", &expo.url);
    let _server = again.start().await;
    expo.push(DEVICE, "partner.signed_compact").await;
    let accepted = eventually("the attempt's span", || async {
        let accepted = |span: &Span| attribute(span, "outcome").as_deref() == Some("accepted");
        collector.spans().into_iter().find(|span| span.name == "push attempt" && accepted(span))
    })
    .await;
    assert_eq!(hex(&accepted.trace_id), TRACE);
}
