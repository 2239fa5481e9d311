//! Bodies of type `application/x-www-form-urlencoded`: text fields, some of which hold JSON.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::protocol::ErrorInfo;

/// Fields that hold JSON.
const STRUCTURED: [&str; 4] = ["extras", "messages", "channels", "targets"];

/// Whether a body begins like a JSON object or list.
pub fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// # Errors
/// 40000 if the fields are not those of the expected type.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorInfo> {
    let field = |(name, text): (String, String)| {
        let structured = STRUCTURED.contains(&name.as_str()).then(|| serde_json::from_str(&text).ok()).flatten();
        (name, structured.unwrap_or(Value::String(text)))
    };
    let fields: Map<String, Value> = url::form_urlencoded::parse(body).into_owned().map(field).collect();
    serde_json::from_value(Value::Object(fields))
        .map_err(|_| ErrorInfo::bad_request("the form's fields are not what is expected here"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{InboundMessage, lenient::OneOrMany};

    #[test]
    fn a_form_is_a_message() {
        let body =
            b"name=greeting&data=%7B%22a%22%3A1%7D&encoding=json&clientId=me+too&extras=%7B%22headers%22%3A%7B%7D%7D";
        let read: OneOrMany<InboundMessage> = decode(body).unwrap();
        let [message] = &read.list[..] else { panic!("one message") };
        assert_eq!((message.name.as_deref(), message.client_id.as_deref()), (Some("greeting"), Some("me too")));
        assert_eq!(message.encoding.as_deref(), Some("json"));
        assert!(message.extras.as_ref().is_some_and(Value::is_object));
    }

    #[test]
    fn json_is_recognised_by_its_beginning() {
        assert!(looks_like_json(b" {\"name\":\"x\"}") && looks_like_json(b"[{}]"));
        assert!(!looks_like_json(b"name=x") && !looks_like_json(b""));
    }
}
