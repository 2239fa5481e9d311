//! Ably's REST interface as far as the coordinator uses it: channels with messages and presence sets, and faults.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode, web};
use parking_lot::Mutex;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub enum Fault {
    Status(u16),
    /// Publishes, and then responds with an error.
    After(u16),
    Throttle {
        seconds: u64,
    },
    Late(Duration),
}

#[derive(Default)]
pub struct State {
    pub channels: HashMap<String, Vec<Value>>,
    pub present: HashMap<String, Vec<Value>>,
    pub faults: Vec<Fault>,
    pub requests: u32,
    pub refused_keys: u32,
    pub page: usize,
}

pub struct FakeAbly {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

pub const KEY: &str = "app.key:canarysecret";

impl FakeAbly {
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::new(Mutex::new(State { page: 2, ..State::default() }));
        let shared = web::Data::from(state.clone());
        let app = move || {
            App::new()
                .app_data(shared.clone())
                .route("/channels/{channel}/messages", web::post().to(publish))
                .route("/channels/{channel}/presence", web::get().to(presence))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        drop(tokio::spawn(server));
        Self { url, state }
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    pub fn names(&self, channel: &str) -> Vec<String> {
        let state = self.state.lock();
        let messages = state.channels.get(channel).map(Vec::as_slice).unwrap_or_default();
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }
}

type Shared = web::Data<Mutex<State>>;

fn may(request: &HttpRequest, state: &Shared) -> Result<Option<Fault>, Box<HttpResponse>> {
    use base64::Engine as _;
    let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(KEY));
    let mut state = state.lock();
    state.requests += 1;
    if request.headers().get("authorization").is_none_or(|given| given != wanted.as_str()) {
        state.refused_keys += 1;
        return Err(HttpResponse::Unauthorized().json(json!({"error": {"code": 40101, "message": "no"}})).into());
    }
    Ok((!state.faults.is_empty()).then(|| state.faults.remove(0)))
}

async fn publish(
    request: HttpRequest,
    channel: web::Path<String>,
    message: web::Json<Value>,
    state: Shared,
) -> HttpResponse {
    let fault = match may(&request, &state) {
        Ok(fault) => fault,
        Err(refusal) => return *refusal,
    };
    let failed = |status: u16| {
        HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(json!({"error": {"code": 50000}}))
    };
    match fault {
        Some(Fault::Status(status)) => return failed(status),
        Some(Fault::Throttle { seconds }) => {
            return HttpResponse::TooManyRequests().insert_header(("retry-after", seconds)).finish();
        }
        Some(Fault::Late(by)) => tokio::time::sleep(by).await,
        Some(Fault::After(_)) | None => {}
    }
    let mut locked = state.lock();
    let messages = locked.channels.entry(channel.clone()).or_default();
    if !messages.iter().any(|known| known["id"] == message["id"]) {
        messages.push(message.into_inner());
    }
    match fault {
        Some(Fault::After(status)) => failed(status),
        _ => HttpResponse::Created().json(json!({"channel": *channel, "messageId": "x", "serials": ["s"]})),
    }
}

async fn presence(
    request: HttpRequest,
    channel: web::Path<String>,
    query: web::Query<HashMap<String, String>>,
    state: Shared,
) -> HttpResponse {
    let fault = match may(&request, &state) {
        Ok(fault) => fault,
        Err(refusal) => return *refusal,
    };
    if let Some(Fault::Status(status)) = fault {
        return HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish();
    }
    let state = state.lock();
    let members = state.present.get(&*channel).cloned().unwrap_or_default();
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let mut response = HttpResponse::Ok();
    if from + state.page < members.len() {
        let next = from + state.page;
        response.insert_header((
            "link",
            format!("<./presence?cursor=0>; rel=\"first\", <./presence?cursor={next}>; rel=\"next\""),
        ));
    }
    response.json(members.iter().skip(from).take(state.page).collect::<Vec<_>>())
}
