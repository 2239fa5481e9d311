//! Reads the service's answers, one ticket at a time. So an unreadable ticket affects only its own message. Pure.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;

use super::outcome::{
    self, Cause, ExpoCode, NOT_THE_SERVICE, Outcome, TOO_MANY_EXPERIENCES, TOO_MANY_REQUESTS, UNAUTHORIZED,
};

/// The result of a request.
#[derive(Clone, Debug)]
pub enum Transport {
    /// The service has answered.
    Answered {
        /// As in HTTP.
        status: u16,
        /// The `Retry-After` of the service, if there is one.
        retry_after: Option<Duration>,
        /// The body, normally JSON.
        body: Vec<u8>,
    },
    /// The request was not sent.
    NotSent(Cause),
    /// It is unknown whether the service has accepted the request.
    Broken(Cause),
}

/// The meaning of the answer to a send, for its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendReply {
    /// One outcome for each recipient, in order; `errors_too` if the answer also held errors of the whole request.
    Each { outcomes: Vec<Outcome>, errors_too: bool },
    /// The same outcome for all.
    All { outcome: Outcome, retry_after: Option<Duration> },
    /// The service refused the whole batch because of one of its messages. The halves are sent separately.
    Bisect { code: ExpoCode },
    /// The recipients belong to several projects. `projects` maps tokens to them.
    Split { projects: HashMap<String, String> },
}

impl SendReply {
    fn all(outcome: Outcome) -> Self {
        SendReply::All { outcome, retry_after: None }
    }

    fn unknown(why: Cause) -> Self {
        Self::all(Outcome::Unknown { why })
    }

    fn rejected(code: &str) -> Self {
        Self::all(Outcome::Rejected { code: ExpoCode::new(code) })
    }
}

/// Reads the answer to a send to this many recipients.
pub fn read_send(transport: Transport, recipients: usize) -> SendReply {
    let (status, retry_after, body) = match transport {
        Transport::NotSent(why) => return SendReply::all(Outcome::NotSent { why }),
        Transport::Broken(why) => return SendReply::unknown(why),
        Transport::Answered { status, retry_after, body } => (status, retry_after, body),
    };
    let json = serde_json::from_slice::<Value>(&body).ok();
    let errors = json.as_ref().map(request_errors).unwrap_or_default();
    match status {
        200..=299 => match json.as_ref().map(|json| &json["data"]) {
            Some(Value::Array(tickets)) if tickets.len() == recipients => {
                SendReply::Each { outcomes: tickets.iter().map(read_ticket).collect(), errors_too: !errors.is_empty() }
            }
            // A single message may be answered by a single ticket.
            Some(ticket @ Value::Object(_)) if recipients == 1 => {
                SendReply::Each { outcomes: vec![read_ticket(ticket)], errors_too: !errors.is_empty() }
            }
            Some(Value::Array(_)) => SendReply::unknown(Cause::TicketCount),
            _ if !errors.is_empty() => refusal(&errors, retry_after),
            _ => SendReply::unknown(Cause::Unreadable),
        },
        401 | 403 => SendReply::rejected(UNAUTHORIZED),
        408 => SendReply::unknown(Cause::Timeout),
        429 => SendReply::All { outcome: Outcome::Rejected { code: ExpoCode::new(TOO_MANY_REQUESTS) }, retry_after },
        500..=599 => SendReply::All { outcome: Outcome::Unknown { why: Cause::ServerError }, retry_after },
        400 | 413 | 422 => refusal(&errors, retry_after),
        _ if !errors.is_empty() => refusal(&errors, retry_after),
        _ => SendReply::rejected(NOT_THE_SERVICE),
    }
}

/// An error of the whole request.
struct RequestError<'a> {
    code: &'a str,
    details: &'a Value,
}

fn request_errors(json: &Value) -> Vec<RequestError<'_>> {
    let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors
        .iter()
        .map(|error| RequestError { code: error["code"].as_str().unwrap_or_default(), details: &error["details"] })
        .collect()
}

fn refusal(errors: &[RequestError<'_>], retry_after: Option<Duration>) -> SendReply {
    let first = errors.first().map_or(outcome::VALIDATION_ERROR, |error| error.code);
    for error in errors {
        match error.code {
            UNAUTHORIZED => return SendReply::rejected(UNAUTHORIZED),
            TOO_MANY_REQUESTS => {
                let outcome = Outcome::Rejected { code: ExpoCode::new(TOO_MANY_REQUESTS) };
                return SendReply::All { outcome, retry_after };
            }
            TOO_MANY_EXPERIENCES => {
                let projects = projects(error.details);
                if projects.is_empty() {
                    break;
                }
                return SendReply::Split { projects };
            }
            _ => {}
        }
    }
    SendReply::Bisect { code: ExpoCode::new(first) }
}

/// Inverts `{"@owner/app": ["token", …], …}`.
fn projects(details: &Value) -> HashMap<String, String> {
    let Some(details) = details.as_object() else { return HashMap::new() };
    let tokens = |(project, tokens): (&String, &Value)| -> Vec<(String, String)> {
        let tokens = tokens.as_array().map(Vec::as_slice).unwrap_or_default();
        tokens.iter().filter_map(Value::as_str).map(|token| (token.to_owned(), project.clone())).collect()
    };
    details.iter().flat_map(tokens).collect()
}

fn read_ticket(ticket: &Value) -> Outcome {
    match ticket["status"].as_str() {
        Some("ok") => Outcome::Accepted { ticket: ticket["id"].as_str().and_then(plain_id) },
        Some("error") => Outcome::Rejected { code: error_code(ticket) },
        _ => Outcome::Unknown { why: Cause::Unreadable },
    }
}

/// An id that is safe as a key of a row and in a request.
fn plain_id(id: &str) -> Option<String> {
    let plain = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| id.to_owned())
}

fn error_code(ticket: &Value) -> ExpoCode {
    ticket["details"]["error"].as_str().map_or(ExpoCode::new("Unspecified"), ExpoCode::new)
}

/// The content of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    Delivered,
    Refused(ExpoCode),
}

/// The available receipts by ticket. `None` if the answer is unreadable; the request can be repeated.
pub fn read_receipts(transport: &Transport) -> Option<HashMap<String, Receipt>> {
    let Transport::Answered { status: 200..=299, body, .. } = transport else { return None };
    let json = serde_json::from_slice::<Value>(body).ok()?;
    let receipt = |(id, receipt): (&String, &Value)| {
        let receipt = match receipt["status"].as_str()? {
            "ok" => Receipt::Delivered,
            "error" => Receipt::Refused(error_code(receipt)),
            _ => return None,
        };
        Some((id.clone(), receipt))
    };
    match &json["data"] {
        Value::Object(receipts) => Some(receipts.iter().filter_map(receipt).collect()),
        // An empty object, as PHP writes it.
        Value::Array(none) if none.is_empty() => Some(HashMap::new()),
        _ => None,
    }
}

/// Whether the service answers at all, judged by a request without consequences.
pub fn is_available(transport: &Transport) -> bool {
    matches!(transport, Transport::Answered { status, .. } if *status < 500 && !matches!(status, 408 | 429))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(status: u16, body: Value) -> Transport {
        Transport::Answered { status, retry_after: None, body: body.to_string().into_bytes() }
    }

    fn rejected(code: &str) -> Outcome {
        Outcome::Rejected { code: ExpoCode::new(code) }
    }

    fn accepted(ticket: &str) -> Outcome {
        Outcome::Accepted { ticket: Some(ticket.into()) }
    }

    fn errors(code: &str) -> Value {
        json!({"errors": [{"code": code, "message": "…"}]})
    }

    #[test]
    fn each_answer_to_a_send_has_its_meaning() {
        let two = json!({"data": [{"status": "ok", "id": "a"}, {"status": "error", "message": "…",
            "details": {"error": "DeviceNotRegistered", "expoPushToken": "ExponentPushToken[x]"}}]});
        let each = vec![accepted("a"), rejected("DeviceNotRegistered")];
        let mut both = two.clone();
        both["errors"] = errors("SOMETHING")["errors"].clone();
        let all = |outcome| SendReply::All { outcome, retry_after: None };
        let unknown = |why| all(Outcome::Unknown { why });
        let bisect = |code| SendReply::Bisect { code: ExpoCode::new(code) };
        let details = json!({"@a/one": ["t1"], "@b/two": ["t2", "t3"]});
        let split = json!({"errors": [{"code": TOO_MANY_EXPERIENCES, "message": "…", "details": details}]});
        let projects = [("t1", "@a/one"), ("t2", "@b/two"), ("t3", "@b/two")];
        let projects = projects.map(|(token, project)| (token.to_owned(), project.to_owned())).into();
        for (name, transport, reply) in [
            ("tickets", answered(200, two.clone()), SendReply::Each { outcomes: each.clone(), errors_too: false }),
            ("tickets and errors", answered(200, both), SendReply::Each { outcomes: each, errors_too: true }),
            (
                "too few tickets",
                answered(200, json!({"data": [{"status": "ok", "id": "a"}]})),
                unknown(Cause::TicketCount),
            ),
            ("no tickets", answered(200, json!({"data": []})), unknown(Cause::TicketCount)),
            ("another form", answered(200, json!({"hello": 1})), unknown(Cause::Unreadable)),
            ("errors only", answered(200, errors("SOMETHING")), bisect("SOMETHING")),
            ("several projects", answered(400, split), SendReply::Split { projects }),
            ("several projects, unnamed", answered(400, errors(TOO_MANY_EXPERIENCES)), bisect(TOO_MANY_EXPERIENCES)),
            ("too many", answered(400, errors("PUSH_TOO_MANY_NOTIFICATIONS")), bisect("PUSH_TOO_MANY_NOTIFICATIONS")),
            ("poison", answered(400, errors("VALIDATION_ERROR")), bisect("VALIDATION_ERROR")),
            ("poison without words", answered(400, json!({})), bisect("VALIDATION_ERROR")),
            ("too large", answered(413, json!({})), bisect("VALIDATION_ERROR")),
            (
                "bearer",
                answered(401, json!({"error": "invalid_token", "error_description": "…"})),
                all(rejected(UNAUTHORIZED)),
            ),
            ("no bearer", answered(400, errors(UNAUTHORIZED)), all(rejected(UNAUTHORIZED))),
            ("rate", answered(429, json!({})), all(rejected(TOO_MANY_REQUESTS))),
            ("rate as 200", answered(200, errors(TOO_MANY_REQUESTS)), all(rejected(TOO_MANY_REQUESTS))),
            ("5xx", answered(502, json!({})), unknown(Cause::ServerError)),
            ("redirect", answered(301, json!({})), all(rejected(NOT_THE_SERVICE))),
            ("not found", answered(404, json!({})), all(rejected(NOT_THE_SERVICE))),
            ("refused", Transport::NotSent(Cause::NoConnection), all(Outcome::NotSent { why: Cause::NoConnection })),
            ("reset", Transport::Broken(Cause::Reset), unknown(Cause::Reset)),
            ("hang", Transport::Broken(Cause::Timeout), unknown(Cause::Timeout)),
        ] {
            assert_eq!(read_send(transport, 2), reply, "{name}");
        }
        let html = Transport::Answered { status: 200, retry_after: None, body: b"<html>".into() };
        assert_eq!(read_send(html, 2), unknown(Cause::Unreadable));
    }

    #[test]
    fn an_unreadable_ticket_affects_only_its_message() {
        let tickets = json!({"data": [
            {"status": "ok", "id": "a", "extra": [1]}, {"status": "error", "details": {"error": "NeverHeardOf"}},
            {"status": "error", "message": "only words"}, {"status": "error", "details": {"error": 7}},
            null, 3, {"status": "maybe"}, {"status": "ok"}, {"status": "ok", "id": 5}, {"status": "ok", "id": "b"},
        ]});
        let unreadable = || Outcome::Unknown { why: Cause::Unreadable };
        let no_ticket = || Outcome::Accepted { ticket: None };
        let outcomes = vec![
            accepted("a"),
            rejected("NeverHeardOf"),
            rejected("Unspecified"),
            rejected("Unspecified"),
            unreadable(),
            unreadable(),
            unreadable(),
            no_ticket(),
            no_ticket(),
            accepted("b"),
        ];
        assert_eq!(read_send(answered(200, tickets), 10), SendReply::Each { outcomes, errors_too: false });
    }

    #[test]
    fn receipts_are_read_one_by_one() {
        let body = json!({"data": {"a": {"status": "ok"}, "b": {"status": "error", "message": "…",
            "details": {"error": "DeviceNotRegistered"}}, "c": null, "d": {"status": "?"}}});
        let receipts = read_receipts(&answered(200, body)).unwrap();
        assert_eq!(receipts.len(), 2);
        assert_eq!(receipts["a"], Receipt::Delivered);
        assert_eq!(receipts["b"], Receipt::Refused(ExpoCode::new("DeviceNotRegistered")));
        assert_eq!(read_receipts(&answered(200, json!({"data": []}))), Some(HashMap::new()));
        assert_eq!(read_receipts(&answered(200, json!({"errors": []}))), None);
        assert_eq!(read_receipts(&answered(503, json!({"data": {}}))), None);
    }
}
