//! Authentication and authorization: keys, tokens and capabilities. No I/O; callers pass the time.

pub(crate) mod capability;
pub(crate) mod credentials;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
pub(crate) mod jwt;
pub(crate) mod key;
pub(crate) mod nonces;
mod operation;
pub(crate) mod revocation;
pub(crate) mod token;
pub(crate) mod token_request;

use std::sync::Arc;

pub use capability::Capability;
pub use credentials::Credentials;
pub use key::{ApiKey, hmac_sha256};
pub use operation::Operation;
pub use token_request::APP_NONCE_PREFIX;

use crate::protocol::ErrorInfo;

/// How a client authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    Key,
    Token,
    Jwt,
}

/// The client ids that a client may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// None: an anonymous token.
    None,
    /// Any: a key, or a token for `*`.
    Any,
    Is(Arc<str>),
}

impl ClientId {
    pub fn of_token(client_id: Option<&str>) -> Self {
        match client_id {
            None | Some("") => ClientId::None,
            Some("*") => ClientId::Any,
            Some(concrete) => ClientId::Is(concrete.into()),
        }
    }

    pub fn concrete(&self) -> Option<&Arc<str>> {
        match self {
            ClientId::Is(id) => Some(id),
            _ => None,
        }
    }

    /// Narrows to the id that a connection or request claims.
    ///
    /// # Errors
    /// 40102 if the credentials do not allow that id.
    pub fn claim(&self, claimed: Option<&str>) -> Result<ClientId, ErrorInfo> {
        let Some(claimed) = claimed.filter(|id| !id.is_empty()) else { return Ok(self.clone()) };
        match self {
            ClientId::Any if claimed == "*" => Ok(ClientId::Any),
            ClientId::Any => Ok(ClientId::Is(claimed.into())),
            ClientId::Is(id) if **id == *claimed => Ok(self.clone()),
            _ => Err(ErrorInfo::incompatible_client_id(
                "the clientId is not the one that the credentials were issued for",
            )),
        }
    }

    /// The client id of a message or presence event.
    ///
    /// # Errors
    /// 40012 if the client must not use the claimed id.
    pub fn for_message(&self, claimed: Option<Arc<str>>) -> Result<Option<Arc<str>>, ErrorInfo> {
        match (self, claimed) {
            (_, Some(claimed)) if &*claimed == "*" => Err(ErrorInfo::client_id_mismatch("a clientId must not be '*'")),
            (_, Some(claimed)) if claimed.is_empty() => {
                Err(ErrorInfo::client_id_mismatch("a clientId must not be empty"))
            }
            (ClientId::Is(id), None) => Ok(Some(id.clone())),
            (ClientId::Is(id), Some(claimed)) if *id == claimed => Ok(Some(claimed)),
            (ClientId::Any, claimed) => Ok(claimed),
            (ClientId::None, None) => Ok(None),
            _ => Err(ErrorInfo::client_id_mismatch("the clientId of a message must be the connection's own")),
        }
    }
}

/// What a client is allowed to do, after its credentials were verified.
#[derive(Clone, Debug)]
pub struct Grant {
    pub auth_method: AuthMethod,
    pub key_name: Arc<str>,
    pub capability: Arc<Capability>,
    pub client_id: ClientId,
    /// In milliseconds; 0 for keys.
    pub issued: i64,
    /// In milliseconds; none for keys.
    pub expires: Option<i64>,
    pub revocation_key: Option<Arc<str>>,
    /// The application signed the token's request for one of its users. See [`crate::Rights::AtLeast`].
    pub signed_by_app: bool,
}
