//! A parsed request: formats, parameters, body and caller.

use std::sync::Arc;

use actix_web::{HttpRequest, web::Bytes};
use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Serialize, de::DeserializeOwned};

use super::{form, response::RestResponse};
use crate::{
    auth::{AuthMethod, ClientId, Credentials, Grant, Operation},
    channel::Name,
    endpoint::Endpoint,
    hub::Hub,
    paging,
    protocol::{ErrorInfo, Format},
};

pub struct RestRequest<'a> {
    pub endpoint: &'a Arc<Endpoint>,
    pub http: &'a HttpRequest,
    pub params: Vec<(String, String)>,
    body: Bytes,
}

/// The authenticated sender of a request.
pub struct Caller {
    pub hub: Arc<Hub>,
    pub grant: Grant,
    pub client_id: ClientId,
}

pub fn query(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect()
}

pub fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The format of the response.
pub fn response_format(request: &HttpRequest) -> Format {
    let is_msgpack = |text: &str| text.contains("msgpack");
    let by_query = query(request).into_iter().find(|(name, _)| name == "format").map(|(_, format)| is_msgpack(&format));
    let by_header = || header(request, "accept").map(|accept| accept.split(',').next().is_some_and(is_msgpack));
    if by_query.or_else(by_header).unwrap_or(false) { Format::Msgpack } else { Format::Json }
}

impl<'a> RestRequest<'a> {
    pub fn new(endpoint: &'a Arc<Endpoint>, http: &'a HttpRequest, body: Bytes) -> Self {
        Self { endpoint, http, params: query(http), body }
    }

    pub fn param(&self, name: &str) -> Option<String> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// The links of a page: the query of the first page, and a cursor for the other pages.
    pub fn links(&self, next: Option<String>) -> Vec<(&'static str, Vec<(String, String)>)> {
        let not_repeated = ["key", "access_token", "accessToken", "cursor"];
        let first: Vec<(String, String)> =
            self.params.iter().filter(|(name, _)| !not_repeated.contains(&name.as_str())).cloned().collect();
        let with_limit = match first.iter().any(|(name, _)| name == "limit") {
            true => first,
            false => [vec![("limit".to_owned(), paging::DEFAULT_LIMIT.to_string())], first].concat(),
        };
        let at = |cursor: Option<String>| match cursor {
            None => with_limit.clone(),
            Some(cursor) => [with_limit.clone(), vec![("cursor".to_owned(), cursor)]].concat(),
        };
        let mut links = vec![("first", at(None)), ("current", at(self.param("cursor")))];
        if next.is_some() {
            links.push(("next", at(next)));
        }
        links
    }

    /// A path parameter, percent-decoded.
    pub fn path(&self, name: &str) -> Result<String, ErrorInfo> {
        // The router leaves characters encoded that would change the path's structure.
        let decoded = percent_decoded(self.http.match_info().get(name).unwrap_or_default());
        String::from_utf8(decoded).map_err(|_| ErrorInfo::bad_request("the path is not UTF-8"))
    }

    /// The channel name in the path.
    pub fn channel_name(&self) -> Result<String, ErrorInfo> {
        let name = self.path("channel")?;
        match Name::parse(&name)? {
            Name { own, filter: None, .. } => Ok(own.to_owned()),
            Name { .. } => Err(ErrorInfo::invalid_channel("a filtered channel can only be attached to")),
        }
    }

    /// The media type of the body, in lower case and without parameters.
    pub fn content_type(&self) -> String {
        let content = header(self.http, "content-type").unwrap_or_default();
        content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Decodes the body as JSON, MessagePack or a form.
    ///
    /// # Errors
    /// 40000 if the body cannot be decoded as the expected type.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ErrorInfo> {
        match self.content_type().as_str() {
            content if content.contains("msgpack") => Format::Msgpack.decode(&self.body),
            // Some tools send this type with JSON bodies.
            "application/x-www-form-urlencoded" if !form::looks_like_json(&self.body) => form::decode(&self.body),
            _ => Format::Json.decode(&self.body),
        }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    pub fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// A header of the request, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.http, name)
    }

    /// The client id in the request's header.
    pub fn client_id_header(&self) -> Option<String> {
        self.header("x-ably-clientid").map(|encoded| {
            let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.unwrap_or_else(|| encoded.to_owned())
        })
    }

    pub fn format(&self) -> Format {
        response_format(self.http)
    }

    pub fn response<T: Serialize + ?Sized>(&self, status: u16, body: &T) -> RestResponse {
        RestResponse::new(status, self.format(), body)
    }

    /// The client's protocol version.
    pub fn version(&self) -> u32 {
        let text = header(self.http, "x-ably-version").map(str::to_owned).or_else(|| self.param("v"));
        text.and_then(|text| text.split('.').next().and_then(|major| major.parse().ok())).unwrap_or(u32::MAX)
    }

    pub fn credentials(&self) -> Result<Credentials, ErrorInfo> {
        Credentials::find(header(self.http, "authorization"), &self.params)
    }

    /// # Errors
    /// 40101, 4014x or 40400 if the credentials are not valid.
    pub fn caller(&self) -> Result<Caller, ErrorInfo> {
        let credentials = self.credentials()?;
        let hub = self.endpoint.hub_of(&credentials)?;
        let grant = hub.authenticate(&credentials)?;
        let claimed = self.client_id_header().filter(|_| grant.auth_method == AuthMethod::Key);
        let client_id = grant.client_id.claim(claimed.as_deref())?;
        Ok(Caller { hub, grant, client_id })
    }

    /// The caller and the channel in the path, if the caller may do one of the operations there.
    pub fn caller_on_channel(&self, operations: &[Operation]) -> Result<(Caller, String), ErrorInfo> {
        let caller = self.caller()?;
        let name = self.channel_name()?;
        caller.permit_any(&name, operations)?;
        Ok((caller, name))
    }
}

impl Caller {
    pub fn permit_any(&self, channel: &str, operations: &[Operation]) -> Result<(), ErrorInfo> {
        let mut refusal = None;
        for operation in operations {
            match self.hub.permit(&self.grant, channel, *operation) {
                Ok(()) => return Ok(()),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(()), Err)
    }
}

/// A `%` without two hexadecimal digits stands for itself.
pub(super) fn percent_decoded(encoded: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = tail.get(..2).and_then(|digits| HEXLOWER_PERMISSIVE.decode(digits).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                decoded.extend(byte);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_hexadecimal_digits_are_decoded() {
        for (encoded, expected) in
            [("a%2Fb", "a/b"), ("%c3%BC", "ü"), ("%", "%"), ("%2", "%2"), ("%+f%-1% 1", "%+f%-1% 1"), ("%%41", "%A")]
        {
            assert_eq!(percent_decoded(encoded), expected.as_bytes(), "{encoded}");
        }
    }
}
