//! Errors in the OpenAPI description: for each status its codes, with an example of each.

use serde_json::json;
use tandem_actors::domain::Code;
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, example::ExampleBuilder,
        schema::Type,
    },
};

use super::error::{Failure, status_of};

/// Status, name of the shared response, and description.
pub(super) const REFUSALS: [(&str, &str, &str); 10] = [
    ("400", "Invalid", "The request is not as it has to be, or the session's stage does not allow it"),
    ("401", "Unauthorized", "No token, or one that is not accepted; `error.details.reason` says why"),
    ("403", "Forbidden", "The caller may not do this, or consent is missing"),
    ("404", "NotFound", "There is no such thing among the caller's"),
    (
        "409",
        "Conflict",
        "It was done before, something stands in its way, or the idempotency key was for another request",
    ),
    ("410", "Expired", "It has expired"),
    ("413", "TooLarge", "The body is too large"),
    ("429", "RateLimited", "Too soon or too often; `Retry-After` says when"),
    ("500", "Internal", "A fault of the server"),
    ("503", "Unavailable", "Not now; `Retry-After` says when"),
];

/// The response of a status, with these codes.
pub(super) fn response(status: &str, text: &str, codes: &[Code]) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name(Failure::name()));
    let examples = codes.iter().map(|code| {
        let value = json!({ "success": false, "error": { "code": code, "message": message(*code) } });
        (code.as_str(), ExampleBuilder::new().value(Some(value)).build())
    });
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let response = ResponseBuilder::new().description(text).content("application/json", content);
    if matches!(status, "429" | "503") {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds")).build();
        return response.header("Retry-After", header).build();
    }
    response.build()
}

/// All codes of a status.
pub(super) fn codes(status: &str) -> impl Iterator<Item = Code> {
    // Statuses that share their code with another status.
    let other = matches!(status, "408" | "413").then_some(Code::ValidationError);
    let status = status.parse().unwrap_or(0);
    Code::ALL.iter().copied().filter(move |code| status_of(*code).as_u16() == status).chain(other)
}

fn message(code: Code) -> &'static str {
    match code {
        Code::Unauthorized => "the token has expired",
        Code::Forbidden => "you cannot accept your own invitation",
        Code::ConsentRequired => "share your own needs first",
        Code::NotFound => "there is no such session among yours",
        Code::ValidationError => "need must be a text of 1 to 200 characters; found 201 characters",
        Code::GateNotSatisfied => "confirm your needs before you share them",
        Code::PartnerNotReady => "your partner has not shared their needs",
        Code::SessionNotActive => "the session is paused; resume it first",
        Code::InvalidStage => "this belongs to stage 3; you are in stage 2 and have to advance first",
        Code::Conflict => "the invitation has been used",
        Code::InvitationExpired => "the invitation has expired; ask for a new one",
        Code::RateLimited => "too many requests of this kind",
        Code::ServiceUnavailable => "the node is busy; try again",
        Code::InternalError => "something went wrong on the server's side",
    }
}
