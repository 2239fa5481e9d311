//! A request by an authenticated user. A handler that takes a [`Call`] is closed to anonymous clients, because only a
//! [`Call`] names the user. Every route checks in the same order: token, `Idempotency-Key`, membership of the session
//! in the path, body. The session checks the membership itself; only a malformed request checks it separately, before
//! the client sees the problem.

use std::sync::Arc;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{Method, StatusCode, header},
    web::{Data, Query as QueryString},
};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use tandem_actors::{
    CommandReply, IdempotencyKey, Refusal,
    domain::{
        Caller, Code, Command, Query, Rejection,
        ids::{InvitationId, SessionId},
    },
};
use tandem_intake::Sender;

use super::{
    AppState,
    body::{Body, Json},
    envelope,
    error::ApiError,
    idempotency, routes,
};
use crate::{
    auth::{Identity, Reason},
    limits::{NodeLimits, Slot},
    users::User,
};

pub type HandlerResult = Result<HttpResponse, ApiError>;

/// A call with a JSON body.
pub type JsonCall<T> = Call<Json<T>>;

pub struct Call<B = ()> {
    pub state: Data<AppState>,
    pub user: Arc<User>,
    pub body: B,
    pub key: Option<IdempotencyKey>,
    pub request: HttpRequest,
    /// The user's share of the node, held until the call is answered.
    slot: Option<Slot>,
}

impl<B: Body> FromRequest for Call<B> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let state = AppState::of(&request)?;
            let user = authenticate(&state, &request).await?;
            refuse_early_retry(&request, &user).await?;
            let (bytes, key) = if matches!(*request.method(), Method::GET | Method::HEAD) {
                (Bytes::new(), None)
            } else {
                let bytes = tandem_intake::read(&request, &mut payload, state.config.body_limit, Sender::Known).await?;
                let is_post = *request.method() == Method::POST;
                let key = if is_post { idempotency::key(&request, &bytes)? } else { None };
                (bytes, key)
            };
            let slot = admitted(&request, &user).await?;
            let call = Call { state, user, body: (), key, request, slot };
            let body = call.reject_unless_member(B::parse(&bytes)).await?;
            Ok(call.with(body))
        })
    }
}

impl<B> Call<B> {
    pub fn caller(&self) -> Caller {
        Caller {
            id: self.user.id.clone(),
            name: self.user.name.clone(),
            privacy: self.user.privacy.into(),
            app: self.user.app,
        }
    }

    /// The session in the path. A malformed id is answered as an unknown session.
    pub fn session(&self) -> Result<SessionId, ApiError> {
        self.path("id").ok_or_else(|| Rejection::no_such_session().into())
    }

    pub fn invitation(&self) -> Result<InvitationId, ApiError> {
        invitation(&self.request)
    }

    pub fn path<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        path(&self.request, name)
    }

    /// The id of an item in the path, such as an agreement. A malformed id is answered as an unknown item.
    pub fn item<T: std::str::FromStr>(&self, name: &str, missing: &'static str) -> Result<T, ApiError> {
        self.path(name).ok_or_else(|| ApiError::new(Code::NotFound, missing))
    }

    /// As [`Call::item`], and only a member of the session learns that there is no such item.
    pub async fn item_for_member<T: std::str::FromStr>(
        &self,
        name: &str,
        missing: &'static str,
    ) -> Result<T, ApiError> {
        self.reject_unless_member(self.item(name, missing)).await
    }

    /// The fields of the query string.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let read = QueryString::<T>::from_query(self.request.query_string());
        read.map(QueryString::into_inner)
            .map_err(|error| ApiError::invalid(format!("the query string: {}", query_problem(&error))))
    }

    /// The parsed request, or its problem. Only a member of the session in the path sees the problem; to everybody else
    /// the session does not exist.
    pub async fn reject_unless_member<T>(&self, request: Result<T, impl Into<ApiError>>) -> Result<T, ApiError> {
        let refusal = match request {
            Ok(parsed) => return Ok(parsed),
            Err(refusal) => refusal.into(),
        };
        if !self.request.match_pattern().is_some_and(|pattern| pattern.contains(routes::A_SESSION)) {
            return Err(refusal);
        }
        match self.state.coordinator.query(&self.session()?, &self.user.id, Query::Summary).await {
            Err(Refusal::Rejected(rejection)) => Err((*rejection).into()),
            _ => Err(refusal),
        }
    }

    fn with<T>(self, body: T) -> Call<T> {
        let Call { state, user, body: _, key, request, slot } = self;
        Call { state, user, body, key, request, slot }
    }

    pub async fn execute(self, command: Command) -> HandlerResult {
        let session = self.session()?;
        self.execute_in(session, command).await
    }

    pub async fn execute_in(self, session: SessionId, command: Command) -> HandlerResult {
        let reply = self.state.coordinator.execute(&session, self.caller(), command, self.key).await?;
        Ok(answer(&reply))
    }

    pub async fn query(self, query: Query) -> HandlerResult {
        let session = self.session()?;
        let data = self.state.coordinator.query(&session, &self.user.id, query).await?;
        Ok(show(&data))
    }
}

impl<B> Call<B> {
    /// Separates the call from its body.
    pub fn split(self) -> (Call, B) {
        let Call { state, user, body, key, request, slot } = self;
        (Call { state, user, body: (), key, request, slot }, body)
    }
}

impl<T> Call<Json<T>>
where
    Command: TryFrom<T, Error = Rejection>,
{
    /// Executes the command that the body asks for.
    pub async fn execute_body(self) -> HandlerResult {
        let session = self.session()?;
        let (call, Json(body)) = self.split();
        let command = call.reject_unless_member(Command::try_from(body)).await?;
        call.execute_in(session, command).await
    }
}

impl<T> Call<Json<T>> {
    /// Executes the command that the body asks for on an item of the session.
    pub async fn execute_on<I>(self, item: I) -> HandlerResult
    where
        Command: TryFrom<(I, T), Error = Rejection>,
    {
        let session = self.session()?;
        let (call, Json(body)) = self.split();
        let command = call.reject_unless_member(Command::try_from((item, body))).await?;
        call.execute_in(session, command).await
    }
}

/// The response to a command.
pub fn answer(reply: &CommandReply) -> HttpResponse {
    let status = if reply.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = envelope::success(status, &reply.data);
    if reply.replayed {
        response.headers_mut().insert(idempotency::REPLAYED, header::HeaderValue::from_static("true"));
    }
    response
}

/// The response to a query.
pub fn show(data: &Bytes) -> HttpResponse {
    envelope::success(StatusCode::OK, data)
}

pub fn path<T: std::str::FromStr>(request: &HttpRequest, name: &str) -> Option<T> {
    request.match_info().get(name)?.parse().ok()
}

pub fn invitation(request: &HttpRequest) -> Result<InvitationId, ApiError> {
    path(request, "id").ok_or_else(|| Rejection::no_such_invitation().into())
}

/// The token after `Bearer`, in either case.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// Refuses a client that was refused for overload and retries too early, before the body is read.
async fn refuse_early_retry(request: &HttpRequest, user: &User) -> Result<(), ApiError> {
    if let Some(limits) = request.app_data::<Data<NodeLimits>>() {
        limits.admission.refuse_early_retry(user.id.as_str()).await?;
    }
    Ok(())
}

/// Waits for the user's turn, if the application limits requests.
async fn admitted(request: &HttpRequest, user: &User) -> Result<Option<Slot>, ApiError> {
    match request.app_data::<Data<NodeLimits>>() {
        Some(limits) => Ok(Some(limits.admission.enter(user.id.as_str()).await?)),
        None => Ok(None),
    }
}

async fn authenticate(state: &AppState, request: &HttpRequest) -> Result<Arc<User>, ApiError> {
    let token = bearer(request).ok_or(Reason::NoToken)?;
    let identity: Arc<Identity> = match state.auth.remembered(token) {
        Some(known) => known?,
        None => state.auth.verify(token).await?,
    };
    let user = match state.users.remembered(&identity) {
        Some(user) => user,
        None => state.users.find_or_create(&identity).await?,
    };
    if user.signed_out_at.is_some_and(|at| identity.is_not_newer_than(at)) {
        return Err(Reason::SignedOut.into());
    }
    Ok(user)
}

/// The problem of a query string, without the value that a client sent.
fn query_problem(error: &actix_web::error::QueryPayloadError) -> &'static str {
    match error {
        actix_web::error::QueryPayloadError::Deserialize(_) => {
            "a field is unknown or has a wrong value; /docs lists the fields"
        }
        _ => "it cannot be read",
    }
}
