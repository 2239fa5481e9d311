//! A user with a token, and requests as the app sends them.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{answer::Answer, described, server::SECRET, token::Claims};

thread_local! {
    // Connections belong to a runtime, and every test has its own, on its own thread.
    static HTTP: Client = client(None);
}

/// The test's HTTP client.
fn http() -> Client {
    HTTP.with(Clone::clone)
}

/// A client at an address that no other test has, for what is limited by address.
pub fn http_from() -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(2);
    let [.., high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    client(Some(Ipv4Addr::new(127, 77, high, low)))
}

/// A client that makes a connection for each request.
pub fn http_once() -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("an HTTP client")
}

fn client(from: Option<Ipv4Addr>) -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder().no_proxy().gzip(false).redirect(reqwest::redirect::Policy::none());
    client.local_address(from.map(Into::into)).build().expect("an HTTP client")
}

/// One request, sent by [`Request::send`].
pub struct Request {
    to: String,
    builder: reqwest::RequestBuilder,
}

impl Request {
    pub fn new(method: Method, origin: &str, path: &str) -> Self {
        Self::with(&http(), method, origin, path)
    }

    pub fn with(client: &Client, method: Method, origin: &str, path: &str) -> Self {
        Self { to: format!("{method} {path}"), builder: client.request(method, format!("{origin}{path}")) }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    #[track_caller]
    pub fn send(self) -> impl Future<Output = Answer> {
        let place = std::panic::Location::caller();
        async move {
            let to = self.to.clone();
            self.attempt().await.unwrap_or_else(|error| panic!("{to} (at {place}): {error:?}"))
        }
    }

    /// The answer as it came.
    pub async fn send_raw(self) -> reqwest::Response {
        self.builder.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.to))
    }

    /// For servers that may be gone.
    pub async fn attempt(self) -> Result<Answer, reqwest::Error> {
        let response = self.builder.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { to: self.to, status, headers, body: response.text().await? };
        described::record(&answer);
        Ok(answer)
    }
}

/// What was posted under which key: path, body, key.
type Posted = (String, Option<Value>, String);

#[derive(Clone)]
pub struct Partner {
    pub id: String,
    pub token: String,
    pub origin: String,
    /// Where every post is noted, with the key that it carried.
    pub(crate) posted: Option<Arc<Mutex<Vec<Posted>>>>,
}

impl Partner {
    pub fn fresh(origin: &str, name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = format!("user_{}_{}", name.to_lowercase(), NEXT.fetch_add(1, Ordering::Relaxed));
        let claims = Claims::of(&id).with("name", name).with("email", format!("{id}@example.org"));
        Self::with_token(origin, &id, claims.hs256(SECRET))
    }

    pub fn with_token(origin: &str, id: &str, token: String) -> Self {
        Self { id: id.to_owned(), token, origin: origin.to_owned(), posted: None }
    }

    /// From now on every post carries an `Idempotency-Key`, and can be sent again by [`Partner::post_all_again`].
    pub fn with_keys(self) -> Self {
        Self { posted: Some(Arc::default()), ..self }
    }

    fn keyed(&self, path: &str, body: Option<&Value>, request: Request) -> Request {
        let Some(posted) = &self.posted else { return request };
        let mut posted = posted.lock().expect("nobody panics with it");
        let key = format!("{}-{}", self.id, posted.len());
        posted.push((path.to_owned(), body.cloned(), key.clone()));
        request.header("idempotency-key", &key)
    }

    /// Everything that was posted, once more with the same keys.
    pub async fn post_all_again(&self) -> Vec<Answer> {
        let posted = self.posted.as_ref().map(|posted| posted.lock().expect("nobody panics with it").clone());
        let mut answers = Vec::new();
        for (path, body, key) in posted.unwrap_or_default() {
            let request = self.request(Method::POST, &path).header("idempotency-key", &key);
            let request = match &body {
                Some(body) => request.json(body),
                None => request.header("content-type", "application/json"),
            };
            answers.push(request.send().await);
        }
        answers
    }

    /// The same user at another server (or at the same one, started again).
    pub fn at(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    /// A request to a path below `/api/v1`.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, &self.origin, &format!("/api/v1{path}")).bearer(&self.token)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        self.request(Method::GET, path).send()
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        self.keyed(path, Some(&body), self.request(Method::POST, path).json(&body)).send()
    }

    /// As the app does it: JSON is announced, and nothing comes.
    #[track_caller]
    pub fn post_nothing(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.keyed(path, None, request).send()
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        self.request(Method::PATCH, path).json(&body).send()
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        self.request(Method::DELETE, path).send()
    }

    #[track_caller]
    pub fn invite(&self, whom: &str) -> impl Future<Output = Answer> + use<> {
        self.post("/sessions", json!({ "inviteName": whom }))
    }

    #[track_caller]
    pub fn accept(&self, invitation: &str) -> impl Future<Output = Answer> + use<> {
        self.post_nothing(&format!("/invitations/{invitation}/accept"))
    }

    #[track_caller]
    pub fn register_push_token(&self, token: &str) -> impl Future<Output = Answer> + use<> {
        self.post("/auth/push-token", json!({ "pushToken": token, "platform": "ios" }))
    }
}
