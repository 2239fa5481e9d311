//! `GET /sse` and `GET /event-stream`: events for clients without an SDK. A refusal at the beginning is a plain
//! response; later errors are events.

use actix_web::{HttpRequest, HttpResponse, http::header};
use tandem_intake::Handle;

use super::{
    Shared,
    request::{header as header_of, query},
    response::{RestResponse, allow_origin},
    upgrade::admit,
};
use crate::{
    event_stream::{EventForm, EventStream, Position, Style, Subscription},
    protocol::{ErrorInfo, Format},
};

/// Channels of one stream. Each event's id names a position in each of them.
const MAX_CHANNELS: usize = 100;

pub async fn open(endpoint: Shared, request: HttpRequest) -> HttpResponse {
    let params = query(&request);
    let outcome = match Subscription::read(&params, &request) {
        Ok(asked) => {
            let handle = Handle::of(&request).cloned();
            let style = asked.form.style;
            match admit(&endpoint, header_of(&request, "authorization"), &params, Format::Json, handle) {
                Ok(admitted) => EventStream::open(admitted, asked).await.map(|stream| (style, stream)),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok((style, stream)) => {
            let mut response = HttpResponse::Ok();
            allow_origin(&request, &mut response);
            response
                .content_type(style.content_type())
                .insert_header((header::CACHE_CONTROL, "no-store"))
                // Some proxies hold a response back until they have a good deal of it.
                .insert_header(("X-Accel-Buffering", "no"))
                .streaming(stream)
        }
        Err(error) => RestResponse::error(error).respond(&request),
    }
}

impl Subscription {
    /// # Errors
    /// 40000 for a parameter that is missing or not valid.
    fn read(params: &[(String, String)], request: &HttpRequest) -> Result<Self, ErrorInfo> {
        let find = |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let flag = |name: &str, usual: bool| match find(name) {
            None => Ok(usual),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(ErrorInfo::bad_request(format!("{name} must be true or false"))),
        };
        if !find("v").is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit())) {
            return Err(ErrorInfo::bad_request("v must be the version of the API, for example v=1.2"));
        }
        let separator = find("separator").filter(|separator| !separator.is_empty()).unwrap_or(",");
        let list = find("channels").or_else(|| find("channel")).unwrap_or_default();
        let mut channels: Vec<String> = Vec::new();
        for name in list.split(separator).filter(|name| !name.is_empty()) {
            if !channels.iter().any(|known| known == name) {
                channels.push(name.to_owned());
            }
        }
        if !(1..=MAX_CHANNELS).contains(&channels.len()) {
            let text = format!("channels must be a list of 1 to {MAX_CHANNELS} channel names, separated by commas");
            return Err(ErrorInfo::bad_request(text));
        }
        // A browser that reconnects has the URL of its first request, and a newer id in the header.
        let last_event = header_of(request, "last-event-id").or_else(|| find("lastEvent")).filter(|id| !id.is_empty());
        let wants_events = request.path() == "/sse"
            || header_of(request, "accept").is_some_and(|accept| accept.contains("text/event-stream"));
        Ok(Self {
            last_event: last_event.map(|id| Position::parse(id, channels.len())).transpose()?,
            channels,
            rewind: find("rewind").filter(|rewind| !rewind.is_empty()).map(str::to_owned),
            form: EventForm {
                style: if wants_events { Style::ServerSent } else { Style::JsonLines },
                enveloped: flag("enveloped", true)?,
                heartbeats: flag("heartbeats", false)?,
            },
        })
    }
}
