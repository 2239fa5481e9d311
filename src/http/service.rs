//! A request by the AI service. The service writes for one member of one session; the member then confirms, shares or
//! discards the text. The service has its own token. The path names the session and the member. The routes under
//! `/service` read nothing and give no consent. They answer 404 if the node has no service token.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use tandem_actors::domain::{
    Caller, Code, Command, Rejection,
    ids::{SessionId, UserId},
};
use tandem_intake::Sender;

use super::{
    AppState,
    body::{Body, Json},
    call::{HandlerResult, bearer, path},
    envelope::success_of,
    error::ApiError,
};

pub struct ServiceCall<B = ()> {
    state: Data<AppState>,
    session: SessionId,
    /// The member in the path, for whom the service writes.
    member: UserId,
    body: B,
    request: HttpRequest,
}

impl<B: Body> FromRequest for ServiceCall<B> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let state = AppState::of(&request)?;
            let token = state.service_token.as_ref().ok_or_else(ApiError::no_such_route)?;
            if !bearer(&request).is_some_and(|presented| token.matches(presented)) {
                return Err(ApiError::new(
                    Code::Unauthorized,
                    "this route is for the AI service; it takes the service token, not a token of a user",
                ));
            }
            let session = path(&request, "id").ok_or_else(Rejection::no_such_session)?;
            let member = path(&request, "userId").ok_or_else(Rejection::no_such_session)?;
            let bytes = tandem_intake::read(&request, &mut payload, state.config.body_limit, Sender::Known).await?;
            Ok(Self { state, session, member, body: B::parse(&bytes)?, request })
        })
    }
}

/// The answer to the service. It shows nothing of the session.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct Written {
    /// Always `true`.
    written: bool,
}

impl<B> ServiceCall<B> {
    /// Separates the call from its body.
    pub fn split(self) -> (ServiceCall, B) {
        let Self { state, session, member, body, request } = self;
        (ServiceCall { state, session, member, body: (), request }, body)
    }

    /// Executes a command for the member.
    pub async fn execute(self, command: Command) -> HandlerResult {
        let caller = Caller::nameless(self.member);
        self.state.coordinator.execute(&self.session, caller, command, None).await?;
        Ok(success_of(Written { written: true }))
    }
}

impl<T: DeserializeOwned> ServiceCall<Json<T>>
where
    Command: TryFrom<T, Error = Rejection>,
{
    /// Executes the command in the body.
    pub async fn execute_body(self) -> HandlerResult {
        let (call, Json(body)) = self.split();
        call.execute(Command::try_from(body)?).await
    }
}

impl<T: DeserializeOwned> ServiceCall<Json<T>> {
    /// Executes the command in the body on the item whose id is the path parameter `name`.
    pub async fn execute_on<I>(self, name: &str) -> HandlerResult
    where
        I: std::str::FromStr,
        Command: TryFrom<(I, T), Error = Rejection>,
    {
        let (call, Json(body)) = self.split();
        let id: I = path(&call.request, name)
            .ok_or_else(|| ApiError::new(Code::NotFound, "there is no such item in this session"))?;
        call.execute(Command::try_from((id, body))?).await
    }
}
