//! The people whom the caller has sessions with. Other users answer as unknown.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use tandem_actors::{
    PeopleFilter, WithPerson,
    domain::{Rejection, command::fields, ids::UserId, private_text::PrivateText},
    people::{PeoplePage, PersonEnvelope, PersonSessions},
};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    body::Json,
    call::{Call, HandlerResult, JsonCall, show},
    envelope::{Success, success_of},
    error::ApiError,
    paging::page_length,
};

const MOST_PEOPLE: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PeopleQuery {
    #[param(pattern = r"^[0-9]{1,13}\.c[a-z0-9]{8,63}$")]
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PersonSessionsQuery {
    /// `completed` or `active`. Absent: all.
    #[param(pattern = "^(completed|active)$")]
    status: Option<String>,
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({ "nickname": "Benny" }))]
pub struct NicknameRequest {
    /// 1 to 100 characters. Null removes it.
    #[serde(deserialize_with = "named")]
    #[schema(value_type = Option<String>, required, min_length = 1, max_length = 100, pattern = r"\S")]
    nickname: Option<Option<String>>,
}

/// Distinguishes `null` from an absent field.
fn named<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Serialize, ToSchema)]
pub struct Nickname {
    nickname: Option<PrivateText>,
}

/// The people whom the caller has sessions with
///
/// Only people who have joined a session.
#[utoipa::path(
    get, path = "/people", tag = "people", params(PeopleQuery),
    responses((status = 200, body = Success<PeoplePage>))
)]
pub async fn list(call: Call) -> HandlerResult {
    let PeopleQuery { cursor, limit } = call.fields()?;
    let limit = page_length(limit, MOST_PEOPLE, MOST_PEOPLE)?;
    // Only the app requests them, before it begins a session.
    call.state.users.mark_app(&call.user).await?;
    Ok(show(&call.state.coordinator.people(&call.user.id, PeopleFilter { cursor, limit }).await?))
}

/// One person
#[utoipa::path(
    get, path = "/people/{id}", tag = "people",
    responses((status = 200, body = Success<PersonEnvelope>))
)]
pub async fn person(call: Call) -> HandlerResult {
    let person = person_in_path(&call)?;
    Ok(show(&call.state.coordinator.person(&call.user.id, &person).await?))
}

/// The sessions with one person
#[utoipa::path(
    get, path = "/people/{id}/sessions", tag = "people", params(PersonSessionsQuery),
    responses((status = 200, body = Success<PersonSessions>))
)]
pub async fn sessions(call: Call) -> HandlerResult {
    let person = person_in_path(&call)?;
    let PersonSessionsQuery { status } = call.fields()?;
    let names = [("completed", WithPerson::Completed), ("active", WithPerson::Active)];
    let which = match status {
        None => WithPerson::All,
        status => fields::name("status", status, &names)?,
    };
    Ok(show(&call.state.coordinator.sessions_with(&call.user.id, &person, which).await?))
}

/// Set the caller's nickname for a person
///
/// Only the caller sees it.
#[utoipa::path(
    patch, path = "/relationships/{id}/nickname", tag = "people", request_body = NicknameRequest,
    responses((status = 200, body = Success<Nickname>))
)]
pub async fn nickname(call: JsonCall<NicknameRequest>) -> HandlerResult {
    let relationship: String = call.path("id").unwrap_or_default();
    let (call, Json(body)) = call.split();
    let nickname = match body.nickname {
        None => return Err(Rejection::invalid("nickname", "nothing", "a text of 1 to 100 characters, or null").into()),
        Some(nickname) => nickname.map(|text| fields::text("nickname", Some(text), 1..=100)).transpose()?,
    };
    call.state.coordinator.set_nickname(&call.user.id, &relationship, nickname.clone()).await?;
    Ok(success_of(Nickname { nickname }))
}

/// The router does not decode all characters of a user id.
fn person_in_path(call: &Call) -> Result<UserId, ApiError> {
    let id = call.request.match_info().get("id").unwrap_or_default();
    let decoded = percent_decode_str(id).decode_utf8().ok();
    decoded.and_then(|id| id.parse().ok()).ok_or_else(|| Rejection::no_such_person().into())
}
