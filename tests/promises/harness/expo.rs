//! A stand-in for Expo's push service that accepts everything and remembers it.

use std::sync::{Arc, Mutex, mpsc};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use serde_json::{Value, json};

use super::wait::eventually;

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<Value>>>);

pub struct Expo {
    pub url: String,
    received: Received,
    handle: ServerHandle,
}

impl Expo {
    pub fn start() -> Self {
        let received = Received::default();
        let (send, started) = mpsc::channel();
        let shared = received.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(web::Data::new(shared.clone()))
                        .route("/--/api/v2/push/send", web::post().to(send_route))
                        .route("/--/api/v2/push/getReceipts", web::post().to(receipts_route))
                });
                let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                send.send((address, server.handle())).expect("the test waits");
                let _ = server.await;
            });
        });
        let (address, handle) = started.recv().expect("the stand-in starts");
        Self { url: format!("http://{address}"), received, handle }
    }

    /// All messages so far, one for each recipient.
    pub fn pushes(&self) -> Vec<Value> {
        self.received.0.lock().expect("nobody panics with it").clone()
    }

    pub fn pushes_to(&self, token: &str) -> Vec<Value> {
        self.pushes().into_iter().filter(|push| push["to"] == token).collect()
    }

    /// The first push to a token with this event.
    #[track_caller]
    pub fn push(&self, token: &str, event: &str) -> impl Future<Output = Value> {
        let what = format!("a push of {event} to {token} (at {})", std::panic::Location::caller());
        async move {
            let found = eventually(what, || async {
                self.pushes_to(token).into_iter().find(|push| push["data"]["event"] == event)
            });
            found.await
        }
    }
}

impl Drop for Expo {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn send_route(body: web::Bytes, received: web::Data<Received>) -> HttpResponse {
    let messages = match serde_json::from_slice(&body) {
        Ok(Value::Array(messages)) => messages,
        Ok(message) => vec![message],
        Err(_) => return HttpResponse::BadRequest().finish(),
    };
    let mut tickets = Vec::new();
    let mut all = received.0.lock().expect("nobody panics with it");
    for message in messages {
        let recipients = match &message["to"] {
            Value::Array(tokens) => tokens.clone(),
            token => vec![token.clone()],
        };
        for token in recipients {
            let mut copy = message.clone();
            copy["to"] = token;
            all.push(copy);
            tickets.push(json!({ "status": "ok", "id": format!("ticket-{}", all.len()) }));
        }
    }
    HttpResponse::Ok().json(json!({ "data": tickets }))
}

async fn receipts_route(body: web::Json<Value>) -> HttpResponse {
    let ids = body["ids"].as_array().cloned().unwrap_or_default();
    let receipts: serde_json::Map<_, _> =
        ids.iter().filter_map(|id| id.as_str().map(|id| (id.to_owned(), json!({ "status": "ok" })))).collect();
    HttpResponse::Ok().json(json!({ "data": receipts }))
}
