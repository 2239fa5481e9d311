//! Answers, and what holds for each of them: the envelope, ids, times.

use reqwest::header::HeaderMap;
use serde_json::Value;

pub struct Answer {
    /// Method and path, for messages.
    pub to: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The `data` of a 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.data(200)
    }

    /// The `data` of a 201.
    #[track_caller]
    pub fn created(&self) -> Value {
        self.data(201)
    }

    /// The `data` of an answer to a command: it carries the session's `seq`.
    #[track_caller]
    pub fn done(&self) -> Value {
        let data = self.data(if self.status == 201 { 201 } else { 200 });
        assert!(data["seq"].is_u64(), "{}: a state-changing answer carries seq: {data}", self.to);
        data
    }

    #[track_caller]
    fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.to, self.body);
        let envelope = self.json();
        assert_eq!(envelope["success"], true, "{}: {}", self.to, self.body);
        let data = envelope["data"].clone();
        let empty = data.is_null() || data.as_object().is_some_and(serde_json::Map::is_empty);
        assert!(!empty, "{}: the app takes an empty data for a failure: {}", self.to, self.body);
        check(&self.to, "", &data);
        data
    }

    /// The `error` of a refusal.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.to, self.body);
        let envelope = self.json();
        assert_eq!(envelope["success"], false, "{}: {}", self.to, self.body);
        assert!(envelope.get("data").is_none_or(Value::is_null), "{}: {}", self.to, self.body);
        let error = envelope["error"].clone();
        assert_eq!(error["code"], code, "{}: {}", self.to, self.body);
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}: {}", self.to, self.body);
        if matches!(status, 429 | 503) {
            let wait = self.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
            assert!(wait.is_some_and(|seconds| seconds >= 1), "{}: {status} says when to retry", self.to);
        }
        error
    }
}

/// All ids and times in an answer.
#[track_caller]
fn check(to: &str, key: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            // Before somebody has joined, the partner has no id yet.
            let is_nobody = |field: &str, value: &Value| key == "partner" && field == "id" && value == "";
            // Gates have names.
            for (field, value) in fields.iter().filter(|(field, _)| !field.to_lowercase().ends_with("gates")) {
                if !is_nobody(field, value) {
                    check(to, field, value);
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                check(to, key, element);
            }
        }
        Value::String(text) => {
            // A partner who is not known yet has an empty id.
            let is_id = key == "id" || key.ends_with("Id") || key.ends_with("Ids");
            if is_id && !text.is_empty() && !text.starts_with("user_") {
                let rest = text.strip_prefix('c').unwrap_or_default();
                let plain = rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
                assert!(rest.len() >= 8 && plain, "{to}: {key} is an id that clients refuse: {text}");
            }
            if key.ends_with("At") {
                let time = text.parse::<jiff::Timestamp>();
                assert!(time.is_ok() && text.ends_with('Z'), "{to}: {key} is no RFC 3339 time in UTC: {text}");
            }
        }
        _ => {}
    }
}

/// All of these fields are there.
#[track_caller]
pub fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "{field} is missing in {value}");
    }
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text instead of {value}")).to_owned()
}

#[track_caller]
pub fn items(value: &Value) -> Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list instead of {value}")).clone()
}
