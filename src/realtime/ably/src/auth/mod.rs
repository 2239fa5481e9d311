//! Who may do what: keys, tokens and their capabilities. No I/O; the clock is given.

pub(crate) mod capability;
pub(crate) mod credentials;
pub(crate) mod jwt;
pub(crate) mod key;
pub(crate) mod nonces;
pub(crate) mod revocation;
pub(crate) mod token;
pub(crate) mod token_request;

use std::sync::Arc;

pub use capability::{Capability, Operation};
pub use credentials::Credentials;
pub use key::{Key, hmac_sha256};
pub use token_request::APP_NONCE_PREFIX;

use crate::protocol::ErrorInfo;

/// How a client proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Key,
    Token,
    Jwt,
}

/// Whose name a client may speak in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// Nobody's: an anonymous token.
    None,
    /// Anybody's: a key, or a token for `*`.
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

    /// The id that a message or presence event carries.
    ///
    /// # Errors
    /// 40012 if it claims an id that the connection may not speak for.
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

/// What a client was found to be allowed.
#[derive(Clone, Debug)]
pub struct Grant {
    pub proof: Proof,
    pub key_name: Arc<str>,
    pub capability: Arc<Capability>,
    pub client_id: ClientId,
    /// Milliseconds; 0 for keys.
    pub issued: i64,
    /// Milliseconds; none for keys.
    pub expires: Option<i64>,
    pub revocation_key: Option<Arc<str>>,
    /// The coordinator gave it to one of its users: it stands for whatever the user may do, beside what it lists.
    pub of_app: bool,
}
