//! `POST /channels/{channel}/messages?enveloped=false`: the body is the data of one message. The other fields are
//! headers or query parameters. For webhooks of services that do not know Ably's messages.
//!
//! Source: "Unenveloped publish" of Ably's REST API reference.

use super::request::RestRequest;
use crate::protocol::{ErrorInfo, Format, InboundMessage, data::RawData};

/// The message of a request.
///
/// # Errors
/// 40000 if the body does not match its `Content-Type`.
pub fn message(request: &RestRequest<'_>) -> Result<InboundMessage, ErrorInfo> {
    let given = |header: &str, parameter: &str| {
        let value = request.header(header).map(str::to_owned).or_else(|| request.param(parameter));
        value.filter(|value| !value.is_empty())
    };
    let encoding = given("x-ably-encoding", "encoding");
    let (data, implied) = data(request)?;
    Ok(InboundMessage {
        id: given("x-ably-messageid", "messageId"),
        name: given("x-ably-name", "name"),
        client_id: request.client_id_header().or_else(|| request.param("clientId")),
        connection_key: given("x-ably-connectionkey", "connectionKey"),
        data,
        encoding: encoding.or_else(|| implied.map(str::to_owned)),
        ..InboundMessage::default()
    })
}

/// The body, and the encoding that its media type implies.
fn data(request: &RestRequest<'_>) -> Result<(RawData, Option<&'static str>), ErrorInfo> {
    let body = request.bytes();
    if body.is_empty() {
        return Ok((RawData::None, None));
    }
    let text = || {
        let text = std::str::from_utf8(body).map_err(|_| ErrorInfo::bad_request("the body is not UTF-8 text"))?;
        Ok(RawData::Text(text.to_owned()))
    };
    match request.content_type().as_str() {
        content if content == "application/json" || content.ends_with("+json") => {
            Format::Json.decode::<serde::de::IgnoredAny>(body)?;
            Ok((text()?, Some("json")))
        }
        content if content.contains("msgpack") => Ok((Format::Msgpack.decode(body)?, None)),
        content if content.starts_with("text/") || content == "application/x-www-form-urlencoded" => {
            Ok((text()?, None))
        }
        _ => Ok((RawData::Binary(body.to_vec()), None)),
    }
}
