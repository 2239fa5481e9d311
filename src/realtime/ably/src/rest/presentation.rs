//! How a response is presented: only some of its fields (`fields`), or as an HTML page (`format=html`). Other
//! presentations are refused.
//!
//! Source: "Control of response content" of Ably's REST API reference.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    request::{RestRequest, header as header_of, query},
    response::RestResponse,
};
use crate::protocol::{ErrorInfo, Format};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    Plain,
    Html,
}

impl Presentation {
    /// HTML if the query or a browser's `Accept` header asks for it.
    pub fn wanted(request: &HttpRequest) -> Self {
        let by_query =
            query(request).into_iter().find(|(name, _)| name == "format").map(|(_, format)| format == "html");
        let by_header = || header_of(request, "accept").is_some_and(|accept| accept.starts_with("text/html"));
        if by_query.unwrap_or_else(by_header) { Self::Html } else { Self::Plain }
    }

    /// An HTML page with a JSON body.
    pub fn html(response: &mut HttpResponseBuilder, body: &[u8]) -> HttpResponse {
        let pretty = serde_json::from_slice::<Value>(body).and_then(|value| serde_json::to_string_pretty(&value));
        let text = pretty.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        response
            .content_type(header::ContentType::html())
            .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(format!("<!doctype html>\n<meta charset=\"utf-8\">\n<title>Tandem</title>\n<pre>{escaped}</pre>\n"))
    }
}

/// Runs the handler, and keeps the requested fields of its response.
///
/// # Errors
/// The errors of the handler. 40300 for `jsonp`, `flatten` and `select`, 40000 for an unknown format.
pub fn present(
    request: &RestRequest<'_>,
    handler: fn(&RestRequest<'_>) -> Result<RestResponse, ErrorInfo>,
) -> Result<RestResponse, ErrorInfo> {
    match request.param("format").as_deref() {
        None | Some("json" | "msgpack" | "html") => {}
        Some("jsonp") => {
            return Err(ErrorInfo::unsupported("jsonp is not supported by this server: any origin may ask for json"));
        }
        Some(_) => return Err(ErrorInfo::bad_request("format must be json, msgpack or html")),
    }
    if let Some(unsupported) = ["flatten", "select"].into_iter().find(|name| request.param(name).is_some()) {
        let message = format!("the parameter {unsupported} is not supported by this server; fields is");
        return Err(ErrorInfo::unsupported(message));
    }
    let response = handler(request)?;
    match request.param("fields").filter(|fields| !fields.is_empty()) {
        Some(fields) => response.with_fields(&fields),
        None => Ok(response),
    }
}

/// Keeps some fields of a body, as `name,status.occupancy`, or of each element if it is a list.
///
/// # Errors
/// 40000 if the body is not JSON.
pub fn only_fields(format: Format, body: &[u8], fields: &str) -> Result<Bytes, ErrorInfo> {
    if format != Format::Json {
        return Err(ErrorInfo::bad_request("fields can be chosen of an answer in JSON"));
    }
    let value: Value = format.decode(body)?;
    let paths: Vec<Vec<&str>> = fields.split(',').map(|path| path.trim().split('.').collect()).collect();
    Ok(format.encode(&match value {
        Value::Array(list) => Value::Array(list.into_iter().map(|element| chosen(element, &paths)).collect()),
        other => chosen(other, &paths),
    }))
}

fn chosen(value: Value, paths: &[Vec<&str>]) -> Value {
    let Value::Object(whole) = value else { return value };
    let mut part = Map::new();
    for (name, value) in whole {
        let below: Vec<Vec<&str>> = paths
            .iter()
            .filter_map(|path| path.split_first().filter(|(first, _)| **first == name))
            .map(|(_, rest)| rest.to_vec())
            .collect();
        match (below.is_empty(), below.iter().any(Vec::is_empty)) {
            (true, _) => {}
            (_, true) => drop(part.insert(name, value)),
            (_, false) => drop(part.insert(name, chosen(value, &below))),
        }
    }
    Value::Object(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_chosen_at_every_depth() {
        let body = br#"[{"a":1,"b":{"c":2,"d":3},"e":4},{"b":5}]"#;
        for (fields, expected) in [
            ("a", r#"[{"a":1},{}]"#),
            ("a,b.c", r#"[{"a":1,"b":{"c":2}},{"b":5}]"#),
            ("b,b.c", r#"[{"b":{"c":2,"d":3}},{"b":5}]"#),
            ("nothing", "[{},{}]"),
        ] {
            assert_eq!(only_fields(Format::Json, body, fields).unwrap(), expected, "{fields}");
        }
        assert_eq!(only_fields(Format::Msgpack, b"", "a").unwrap_err().code, 40000);
    }
}
