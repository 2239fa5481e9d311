//! The routes in front of a whole node in this process: real sessions over a store in memory, without sockets.

mod access;
mod answers;
mod bodies;
mod description;
mod idempotency;
mod node;
mod wire;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App,
    body::MessageBody,
    dev::ServiceResponse,
    http::{Method, StatusCode},
    test::{TestRequest, call_service, init_service, read_body},
    web::Data,
};
use serde_json::{Value, json};
use tandem_ably::KeyConfig;
use tandem_actors::{Arbiters, domain::time::Timestamp};
use tandem_testing::MemoryStore;

use super::*;
use crate::{
    auth,
    config::Settings,
    realtime::{ApiKey, Provider},
    system::RandomIds,
};

/// The id of a session that nobody has.
const NO_SESSION: &str = "csession0000000000000000000";

struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

fn secret() -> Secret {
    Secret::new("a secret that is long enough to be one")
}

fn token(user: &str) -> String {
    named_token(user, None)
}

fn named_token(user: &str, name: Option<&str>) -> String {
    let (config, user) = (auth::AuthSettings::default(), user.parse().unwrap());
    auth::sign(&secret(), &config, &user, name, Duration::from_secs(60), TestClock.now()).unwrap()
}

/// A node without sockets.
struct Server {
    state: Data<AppState>,
    arbiters: Arbiters,
    stopping: Arc<AtomicBool>,
}

impl Server {
    fn start() -> Self {
        Self::with(ServerSettings::default())
    }

    fn with(config: ServerSettings) -> Self {
        Self::on(config, Arc::new(MemoryStore::default()))
    }

    fn on(config: ServerSettings, store: Arc<MemoryStore>) -> Self {
        let mut settings = Settings { server: config, ..Settings::default() };
        settings.realtime.embedded.keys.push(KeyConfig::generated("app.key", "secret"));
        let clock: Arc<dyn Clock> = Arc::new(TestClock);
        let (journal, _) = Journal::start(store.clone(), settings.journal_limits(), |_| {}).unwrap();
        let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), 10).unwrap();
        let address = "127.0.0.1:80".parse().unwrap();
        let provider =
            Provider::new(&settings.realtime, address, clock.clone(), store.clone(), journal.clone()).unwrap();
        let (ids, realtime) = (Arc::new(RandomIds), provider.port());
        let deps = settings.session_deps(store.clone(), journal.clone(), clock.clone(), ids, realtime, devices.clone());
        let arbiters = Arbiters::start(1);
        let auth = auth::AuthSettings { hs256_secret: Some(secret()), ..auth::AuthSettings::default() };
        let stopping = Arc::new(AtomicBool::new(false));
        let key = || ApiKey::parse("app.key:secret").unwrap();
        let state = Data::new(AppState {
            auth: Arc::new(Verifier::new(&auth, clock.clone()).unwrap()),
            users: Arc::new(Users::new(store.clone(), journal.clone(), clock.clone())),
            coordinator: Coordinator::new(Arc::new(deps), arbiters.clone(), settings.supervision()),
            devices,
            realtime: RealtimeAccess {
                provider,
                names: settings.realtime.names(),
                config: settings.realtime.clone(),
                signing_key: key(),
                webhook_key: Some(key()),
                clock: clock.clone(),
            },
            readiness: Readiness { journal: journal.clone(), disk: None, stopping: stopping.clone(), member: None },
            metrics: Arc::new(|| "tandem_up 1\n".into()),
            operator_token: Some(Secret::new("operator's token")),
            service_token: Some(Secret::new("service's token")),
            limits: RateLimits::new(&settings.server.limits),
            config: settings.server,
            store,
            backups: None,
            rekeying: None,
            operator_changes: OperatorChanges::default(),
            journal,
            clock,
        });
        Server { state, arbiters, stopping }
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

    /// Anna invites somebody. Returns the ids of the session and of the invitation.
    async fn invite(&self) -> (String, String) {
        let created = self.post("/api/v1/sessions", r#"{"inviteName":"Ben"}"#).await;
        assert_eq!(created.status, 201);
        let data = created.data();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&data["session"]["id"]), text(&data["invitationId"]))
    }

    /// A session of Anna and Ben in stage 0.
    async fn session(&self) -> String {
        let (session, invitation) = self.invite().await;
        let accept = ben(TestRequest::post().uri(&format!("/api/v1/invitations/{invitation}/accept")));
        assert_eq!(self.send(accept).await.status, 200);
        session
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.coordinator.stop();
        self.state.journal.close();
        self.arbiters.stop();
    }
}

fn anna(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {}", token("user_anna"))))
}

fn ben(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {}", token("user_ben"))))
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

    /// The code, if this is a refusal.
    fn refusal_code(&self) -> Option<String> {
        self.json()["error"]["code"].as_str().map(str::to_owned)
    }

    fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
