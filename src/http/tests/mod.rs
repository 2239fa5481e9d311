mod access;
mod answers;
mod bodies;
mod description;
mod fakes;
mod idempotency;
mod node;
mod wire;

use std::sync::Arc;

use actix_web::{
    App,
    body::MessageBody,
    dev::ServiceResponse,
    http::{Method, StatusCode},
    test::{TestRequest, call_service, init_service, read_body},
    web::Data,
};
use serde_json::{Value, json};

use self::fakes::{Fakes, MemoryStore, TestClock};
use super::{coordinator::Refusal, *};
use crate::auth;

const SESSION: &str = "csession0000000000000000000";

/// A server in this process, with fakes behind it.
struct Server {
    fakes: Arc<Fakes>,
    state: Data<State>,
}

impl Server {
    fn start() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self::on(config, MemoryStore::new())
    }

    fn on(config: Config, store: Arc<MemoryStore>) -> Self {
        let fakes = Arc::new(Fakes::default());
        let clock = Arc::new(TestClock);
        let (journal, _) = Journal::start(store.clone(), Default::default(), |_| {}).unwrap();
        let auth = auth::Config { hs256_secret: Some(fakes::secret()), ..auth::Config::default() };
        let limits = RateLimits::new(&config.limits);
        let state = Data::new(State {
            config,
            auth: Arc::new(Verifier::new(&auth, clock.clone()).unwrap()),
            users: Arc::new(Users::new(store.clone(), journal.clone(), clock.clone())),
            coordinator: fakes.clone(),
            push: fakes.clone(),
            realtime: fakes.clone(),
            webhooks: fakes.clone(),
            readiness: fakes.clone(),
            metrics: Arc::new(|| "tandem_up 1\n".into()),
            operator_token: Some(Secret::new("operator's token")),
            service_token: Some(Secret::new("service's token")),
            store,
            journal,
            clock,
            limits,
        });
        Server { fakes, state }
    }

    async fn send(&self, request: TestRequest) -> Answer {
        let state = self.state.clone();
        let app = init_service(App::new().configure(|app| configure(app, state))).await;
        let response = call_service(&app, request.to_request()).await;
        Answer::read(response).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(anna(TestRequest::get().uri(path))).await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(anna(TestRequest::post().uri(path)).set_payload(body.to_owned())).await
    }

    fn refuse(&self, refusal: Refusal) {
        *self.fakes.refusal.lock() = Some(refusal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.journal.close();
    }
}

fn anna(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {}", fakes::token("user_anna"))))
}

fn ben(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {}", fakes::token("user_ben"))))
}

struct Answer {
    status: u16,
    headers: header::HeaderMap,
    bytes: bytes::Bytes,
}

impl Answer {
    async fn read(response: ServiceResponse<impl MessageBody>) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: read_body(response).await }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {:?}", self.bytes))
    }

    fn data(&self) -> Value {
        let json = self.json();
        assert_eq!(json["success"], json!(true), "{json}");
        json["data"].clone()
    }

    /// Status and code.
    fn refusal(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["success"], json!(false), "{json}");
        (self.status, json["error"]["code"].as_str().unwrap().to_owned())
    }

    fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
