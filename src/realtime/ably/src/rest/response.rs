//! Responses, in the client's format, with Ably's error headers. Clients that cannot read headers get them in an
//! envelope.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use serde::Serialize;

use super::{
    presentation::Presentation,
    request::{query, response_format},
};
use crate::{
    endpoint::PendingWrite,
    protocol::{ErrorInfo, Format},
};

const EXPOSED: &str = "Link, Content-Length, Content-Type, X-Ably-Errorcode, X-Ably-Errormessage, X-Ably-Serverid";

pub struct RestResponse {
    status: u16,
    /// None for errors, which are encoded when the request's format is known.
    body: Option<(Format, Bytes)>,
    error: Option<ErrorInfo>,
    links: Vec<String>,
    /// Writes that must be durable before the response is sent.
    pending_writes: Vec<PendingWrite>,
}

#[derive(Serialize)]
struct ErrorBody<'e> {
    error: &'e ErrorInfo,
}

impl RestResponse {
    pub fn new<T: Serialize + ?Sized>(status: u16, format: Format, body: &T) -> Self {
        Self {
            status,
            body: Some((format, format.encode(body))),
            error: None,
            links: Vec::new(),
            pending_writes: Vec::new(),
        }
    }

    pub fn empty() -> Self {
        Self { status: 204, body: None, error: None, links: Vec::new(), pending_writes: Vec::new() }
    }

    pub fn error(error: ErrorInfo) -> Self {
        Self {
            status: error.status_code,
            body: None,
            error: Some(error),
            links: Vec::new(),
            pending_writes: Vec::new(),
        }
    }

    pub fn once_durable(mut self, writes: impl IntoIterator<Item = PendingWrite>) -> Self {
        self.pending_writes.extend(writes);
        self
    }

    /// Waits for the writes. Returns the response, or an error if a write failed.
    pub async fn settled(mut self) -> Self {
        for pending_write in std::mem::take(&mut self.pending_writes) {
            match pending_write.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Self::error(error),
                Err(_) => return Self::error(ErrorInfo::unavailable("the node is stopping")),
            }
        }
        self
    }

    /// Keeps only some fields of the body. Without effect on errors.
    ///
    /// # Errors
    /// 40000 if the response is not JSON.
    pub fn with_fields(mut self, fields: &str) -> Result<Self, ErrorInfo> {
        if let (Some((format, body)), None) = (&self.body, &self.error) {
            self.body = Some((*format, super::presentation::only_fields(*format, body, fields)?));
        }
        Ok(self)
    }

    /// Adds error headers to a body, for batches that failed in part.
    pub fn with_error(self, error: ErrorInfo) -> Self {
        Self { error: Some(error), ..self }
    }

    /// Adds links to other pages: relation and query parameters.
    pub fn with_links(mut self, segment: &str, links: Vec<(&'static str, Vec<(String, String)>)>) -> Self {
        let write = |(relation, params): (&str, Vec<(String, String)>)| {
            // Commas separate links. The serializer percent-encodes them.
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
            format!("<./{segment}?{query}>; rel=\"{relation}\"")
        };
        self.links.extend(links.into_iter().map(write));
        self
    }

    pub fn respond(self, request: &HttpRequest) -> HttpResponse {
        let (format, body) = match (&self.body, &self.error) {
            (Some((format, body)), _) => (*format, body.clone()),
            (None, Some(error)) => {
                let format = response_format(request);
                (format, format.encode(&ErrorBody { error }))
            }
            (None, None) => (Format::Json, Bytes::new()),
        };
        let mut headers: Vec<(&'static str, String)> = Vec::new();
        if let Some(error) = &self.error {
            headers.push(("X-Ably-Errorcode", error.code.to_string()));
            headers.push(("X-Ably-Errormessage", header_text(&error.message)));
        }
        let parameters = query(request);
        let envelope = parameters.iter().find(|(name, _)| name == "envelope").map(|(_, format)| format.as_str());
        let (status, format, body) = match envelope {
            Some("json") => (200, Format::Json, json_envelope(self.status, &self.enveloped(headers), format, &body)),
            Some("msgpack") if format == Format::Msgpack => {
                (200, format, msgpack_envelope(self.status, &self.enveloped(headers), &body))
            }
            _ => {
                // One header for each relation: some clients read only one relation of a header.
                headers.extend(self.links.into_iter().map(|link| ("Link", link)));
                return finish(request, self.status, format, body, headers);
            }
        };
        finish(request, status, format, body, Vec::new())
    }

    /// The headers for an envelope, which has one value for each name.
    fn enveloped(&self, mut headers: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        if !self.links.is_empty() {
            headers.push(("Link", self.links.join(", ")));
        }
        headers
    }
}

fn finish(
    request: &HttpRequest,
    status: u16,
    format: Format,
    body: Bytes,
    headers: Vec<(&'static str, String)>,
) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    allow_origin(request, &mut response);
    for header in headers {
        response.append_header(header);
    }
    if body.is_empty() {
        return response.finish();
    }
    match Presentation::wanted(request) {
        Presentation::Html if format == Format::Json => Presentation::html(&mut response, &body),
        _ => response.content_type(format.content_type()).body(body),
    }
}

fn json_envelope(status: u16, headers: &[(&str, String)], format: Format, body: &[u8]) -> Bytes {
    let headers: serde_json::Map<String, serde_json::Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let response = match (format, body) {
        (_, []) => "[]".into(),
        (Format::Json, body) => String::from_utf8_lossy(body),
        (Format::Msgpack, _) => {
            r#"{"error":{"code":40000,"statusCode":400,"message":"envelope=json needs an answer in JSON"}}"#.into()
        }
    };
    let headers = serde_json::Value::Object(headers);
    format!(r#"{{"statusCode":{status},"headers":{headers},"response":{response}}}"#).into()
}

fn msgpack_envelope(status: u16, headers: &[(&str, String)], body: &[u8]) -> Bytes {
    let headers: std::collections::BTreeMap<&str, &str> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let nil: &[u8] = &[0xc0];
    // A map with three entries.
    let mut whole = vec![0x83];
    whole.extend_from_slice(&Format::Msgpack.encode("statusCode"));
    whole.extend_from_slice(&Format::Msgpack.encode(&status));
    whole.extend_from_slice(&Format::Msgpack.encode("headers"));
    whole.extend_from_slice(&Format::Msgpack.encode(&headers));
    whole.extend_from_slice(&Format::Msgpack.encode("response"));
    whole.extend_from_slice(if body.is_empty() { nil } else { body });
    whole.into()
}

/// Replaces characters that a header must not contain.
fn header_text(message: &str) -> String {
    message.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

pub fn allow_origin(request: &HttpRequest, response: &mut actix_web::HttpResponseBuilder) {
    // Credentials are in headers or the query and never in cookies, so any origin is allowed.
    if request.headers().contains_key(header::ORIGIN) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
        response.insert_header((header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED));
    }
}

pub async fn preflight(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    allow_origin(&request, &mut response);
    response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE, OPTIONS"));
    response.insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"));
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let headers = asked
        .unwrap_or(header::HeaderValue::from_static("authorization, content-type, accept, x-ably-version, ably-agent"));
    response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers));
    response.finish()
}
