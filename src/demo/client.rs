//! One partner's app: its HTTP requests.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::Value;

use super::Error;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub struct Partner {
    pub name: &'static str,
    /// The `sub` of the token, and the `clientId` on channels.
    pub user: &'static str,
    pub token: String,
    base: String,
    http: Client,
}

/// A successful answer's `data`.
pub struct ApiAnswer {
    pub request: String,
    pub status: u16,
    pub data: Value,
    pub took: Duration,
    /// When the request was sent. Delays of events and pushes are measured from here.
    pub sent_at: Instant,
}

impl ApiAnswer {
    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Result<String, Error> {
        self.data.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| self.without(pointer))
    }

    /// The `id`s of the objects in the list at a JSON pointer.
    pub fn ids(&self, pointer: &str) -> Result<Vec<String>, Error> {
        let list = self.data.pointer(pointer).and_then(Value::as_array).ok_or_else(|| self.without(pointer))?;
        let ids: Option<Vec<_>> = list.iter().map(|item| item.get("id")?.as_str().map(str::to_owned)).collect();
        ids.ok_or_else(|| self.without(pointer))
    }

    pub fn seq(&self) -> Option<u64> {
        self.data.get("seq").and_then(Value::as_u64)
    }

    fn without(&self, pointer: &str) -> Error {
        Error::Unfinished { request: self.request.clone(), field: format!("data{}", pointer.replace('/', ".")) }
    }
}

impl Partner {
    pub fn new(name: &'static str, user: &'static str, token: String, base: &str) -> Result<Self, Error> {
        let http = crate::tls::http_client().no_proxy().timeout(ANSWER_WITHIN).build();
        let http = http.map_err(|source| Error::Http { request: format!("{name}'s HTTP client"), source })?;
        Ok(Self { name, user, token, base: base.to_owned(), http })
    }

    pub async fn get(&self, path: &str) -> Result<ApiAnswer, Error> {
        self.call(Method::GET, &format!("/api/v1{path}"), None).await
    }

    /// `body`: `Value::Null` for none.
    pub async fn post(&self, path: &str, body: Value) -> Result<ApiAnswer, Error> {
        self.call(Method::POST, &format!("/api/v1{path}"), Some(body).filter(|body| !body.is_null())).await
    }

    /// A request to the realtime service. Its answers have no envelope, and a token request needs no bearer token.
    pub async fn exchange(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let request = format!("POST {path}");
        let failed = |source| Error::Http { request: request.clone(), source };
        let response = self.http.post(format!("{}{path}", self.base)).json(body).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await.map_err(failed)?;
        if status < 300 { Ok(answer) } else { Err(refused(request, status, &answer)) }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<ApiAnswer, Error> {
        let request = format!("{method} {path}");
        let failed = |source| Error::Http { request: request.clone(), source };
        let mut call = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let sent_at = Instant::now();
        let response = call.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut answer: Value = response.json().await.map_err(failed)?;
        let took = sent_at.elapsed();
        if status >= 300 || answer.get("success") != Some(&Value::Bool(true)) {
            return Err(refused(request, status, &answer));
        }
        Ok(ApiAnswer { request, status, data: answer["data"].take(), took, sent_at })
    }
}

fn refused(request: String, status: u16, answer: &Value) -> Error {
    let field = |name: &str| answer.pointer(&format!("/error/{name}")).map_or_else(String::new, plain);
    Error::Refused { request, status, code: field("code"), message: field("message") }
}

/// A value as the demo prints it: text without quotes.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
