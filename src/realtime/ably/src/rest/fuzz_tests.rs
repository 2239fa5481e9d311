//! What the fuzz targets (`tests/fuzz`) do with the queries and bodies of REST. The tests do it with the corpus.

use serde_json::{Map, Value};

use super::{batch::BatchSpec, form, keys::RevocationRequest, presentation::only_fields, request::percent_decoded};
use crate::{
    auth::{Credentials, revocation::Target, token_request::TokenRequest},
    history::{HistoryKind, HistoryQuery},
    protocol::{ChannelSerial, Format, InboundMessage, Message, lenient::OneOrMany},
    stats::StatsQuery,
};

/// A query string. What is accepted is within its bounds, and serials come back as they were.
///
/// # Panics
/// If that does not hold.
pub fn rest_query(bytes: &[u8]) {
    let params: Vec<(String, String)> = url::form_urlencoded::parse(bytes).into_owned().collect();
    let parameter = |name: &str| params.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    for kind in [HistoryKind::Messages, HistoryKind::Presence] {
        let Ok(query) = HistoryQuery::read(kind, parameter) else { continue };
        assert!((1..=1_000).contains(&query.limit));
        assert!(query.start.zip(query.end).is_none_or(|(start, end)| start <= end));
        if let Some(serial) = query.from_serial {
            let text = serial.to_text();
            assert!(text.len() > 96 || ChannelSerial::parse(&text).as_ref() == Some(&serial), "{text}");
        }
        let again = query.cursor.map(|cursor| {
            let text = cursor.to_string();
            HistoryQuery::read(kind, |name| (name == "cursor").then(|| text.clone())).map(|query| query.cursor)
        });
        assert!(again.is_none_or(|again| again.is_ok_and(|cursor| cursor == query.cursor)));
    }
    if let Ok(query) = StatsQuery::read(parameter) {
        assert!((1..=1_000).contains(&query.limit));
        let _ = query.wants("2026-01-31:23:59");
    }
    if let Ok(Credentials::Key { name, secret }) = Credentials::find(None, &params) {
        assert!(!name.is_empty() && !secret.is_empty() && !name.contains(':'));
    }
    let path: String = url::form_urlencoded::byte_serialize(bytes).collect();
    let spaced = path.replace('+', "%20");
    assert_eq!(percent_decoded(&spaced), bytes, "{spaced}");
    let _ = parameter("authorization").map(|header| Credentials::from_header(&header));
    let map: Map<String, Value> = params.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let _ = serde_json::from_value::<TokenRequest>(Value::Object(map));
    if let Some(fields) = parameter("fields") {
        let answer = br#"[{"name":"a","status":{"occupancy":{"metrics":{"connections":1}},"isActive":true}},1]"#;
        let chosen = only_fields(Format::Json, answer, &fields).expect("an answer in JSON");
        let chosen: Value = serde_json::from_slice(&chosen).expect("JSON");
        assert_eq!(chosen.as_array().map(Vec::len), Some(2));
    }
}

/// A body in any of the formats, as a publish, a batch and a revocation read it.
///
/// # Panics
/// Never.
pub fn rest_body(bytes: &[u8]) {
    for format in [Format::Json, Format::Msgpack] {
        if let Ok(messages) = format.decode::<OneOrMany<InboundMessage>>(bytes) {
            messages.list.into_iter().for_each(|message| drop(Message::accept(message)));
        }
        let _ = format.decode::<OneOrMany<BatchSpec>>(bytes);
        if let Ok(request) = format.decode::<RevocationRequest>(bytes) {
            request.targets.iter().for_each(|target| drop(Target::parse(target)));
        }
    }
    let _ = form::looks_like_json(bytes);
    let _ = form::decode::<OneOrMany<InboundMessage>>(bytes);
    let _ = form::decode::<OneOrMany<BatchSpec>>(bytes);
    let _ = form::decode::<TokenRequest>(bytes);
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpora_of_queries_and_bodies_pass() {
        replay("rest_query", super::rest_query);
        replay("rest_body", super::rest_body);
    }
}
