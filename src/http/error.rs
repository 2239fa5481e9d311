//! Errors as clients see them: a code for programs, and a message that says what would be right. Details for the
//! operator are logged here and not sent.

use std::{borrow::Cow, fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;
use serde_json::{Value, json};
use tandem_actors::{
    Refusal, RequestId,
    domain::{Code, Rejection},
    journal::CommitError,
};
use tandem_intake::IntakeError;
use utoipa::ToSchema;

use crate::{
    auth::Reason,
    limits::Overload,
    push::DevicesError,
    realtime::{HistoryNotDeleted, TokensNotEnded},
    retry_after,
    users::UsersError,
};

/// The `Retry-After` of errors that name no time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct ApiError(Box<ErrorBody>);

#[derive(Debug)]
struct ErrorBody {
    status: StatusCode,
    code: Code,
    message: Cow<'static, str>,
    details: Option<Box<Value>>,
    retry_after: Option<Duration>,
    allow: Option<String>,
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    /// Always `false`.
    #[schema(default = false)]
    success: bool,
    error: FailureError,
}

#[derive(Serialize, ToSchema)]
struct FailureError {
    code: Code,
    /// For people. Its wording may change.
    #[schema(value_type = String)]
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<Box<Value>>,
}

/// The HTTP status of each error code.
pub const fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::ConsentRequired => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ValidationError
        | Code::GateNotSatisfied
        | Code::PartnerNotReady
        | Code::SessionNotActive
        | Code::InvalidStage => StatusCode::BAD_REQUEST,
        Code::Conflict => StatusCode::CONFLICT,
        Code::InvitationExpired => StatusCode::GONE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ApiError {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let status = status_of(code);
        let message = message.into();
        Self(Box::new(ErrorBody { status, code, message, details: None, retry_after: None, allow: None }))
    }

    pub fn no_such_route() -> Self {
        Self::new(Code::NotFound, "there is no such route; /docs lists them all")
    }

    pub fn wrong_method(allow: &str) -> Self {
        let mut error = Self::new(Code::NotFound, format!("this route answers to {allow} only"));
        error.0.status = StatusCode::METHOD_NOT_ALLOWED;
        error.0.allow = Some(allow.to_owned());
        error
    }

    /// Replaces the status of the code.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ValidationError, message)
    }

    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(Code::ServiceUnavailable, message).retry_after(retry_after)
    }

    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::new(Code::RateLimited, "too many requests of this kind").retry_after(retry_after)
    }

    pub fn internal() -> Self {
        Self::new(Code::InternalError, "something went wrong on the server's side")
    }

    pub fn details(mut self, details: Value) -> Self {
        self.0.details = Some(Box::new(details));
        self
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let error = &self.0;
        let mut response = HttpResponse::build(error.status);
        let needs_retry_after = matches!(error.code, Code::RateLimited | Code::ServiceUnavailable);
        if let Some(wait) = error.retry_after.or(needs_retry_after.then_some(RETRY_AFTER)) {
            response.insert_header((header::RETRY_AFTER, retry_after::whole_seconds(wait)));
        }
        if error.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"tandem\""));
        }
        if let Some(allow) = &error.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        response.json(Failure {
            success: false,
            error: FailureError { code: error.code, message: error.message.clone(), details: error.details.clone() },
        })
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let mut error = Self::new(rejection.code, rejection.message);
        error.0.details = rejection.details;
        error.0.retry_after = rejection.retry_after;
        error
    }
}

/// Of the request that is being answered.
fn request_id() -> Option<String> {
    RequestId::current().map(|id| id.to_string())
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(rejection) => (*rejection).into(),
            Refusal::Unavailable { reason, retry_after } => Self::unavailable(reason, retry_after),
            Refusal::Internal(problem) => {
                tracing::error!(request_id = request_id().as_deref(), problem, "a request failed");
                Self::internal()
            }
        }
    }
}

impl From<IntakeError> for ApiError {
    fn from(error: IntakeError) -> Self {
        if error == IntakeError::NoRoom {
            return Self::unavailable(error.to_string(), RETRY_AFTER);
        }
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::invalid(error.to_string()).with_status(status)
    }
}

impl From<Overload> for ApiError {
    fn from(overload: Overload) -> Self {
        match overload {
            Overload::Node => Self::unavailable("the node has as much to do as it can", RETRY_AFTER),
            Overload::User => Self::rate_limited(RETRY_AFTER),
        }
    }
}

impl From<Reason> for ApiError {
    fn from(reason: Reason) -> Self {
        let code = if reason == Reason::KeysUnavailable { Code::ServiceUnavailable } else { Code::Unauthorized };
        metrics::counter!("tandem_auth_refused_total", "reason" => reason.as_str()).increment(1);
        Self::new(code, reason.message()).details(json!({ "reason": reason.as_str() }))
    }
}

impl From<UsersError> for ApiError {
    fn from(error: UsersError) -> Self {
        match error {
            UsersError::Commit(error) => error.into(),
            UsersError::Store(error) if error.fault().passes() => Refusal::from(error).into(),
            UsersError::Store(error) => {
                tracing::error!(request_id = request_id().as_deref(), %error, "a user cannot be read");
                Self::internal()
            }
        }
    }
}

impl From<DevicesError> for ApiError {
    fn from(error: DevicesError) -> Self {
        Self::unavailable(error.to_string(), RETRY_AFTER)
    }
}

impl From<TokensNotEnded> for ApiError {
    fn from(error: TokensNotEnded) -> Self {
        Self::unavailable(error.to_string(), RETRY_AFTER)
    }
}

impl From<HistoryNotDeleted> for ApiError {
    fn from(error: HistoryNotDeleted) -> Self {
        Self::unavailable(error.to_string(), RETRY_AFTER)
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        tracing::warn!(request_id = request_id().as_deref(), %error, "a row was not written");
        Self::unavailable("the store takes no writes at the moment", RETRY_AFTER)
    }
}
