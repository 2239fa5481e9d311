//! Ably's error codes, by which SDKs decide what to do.

use std::borrow::Cow;

use serde::Serialize;

/// An error in the form that SDKs read, in frames and in REST responses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message} (code {code}, status {status_code})")]
pub struct ErrorInfo {
    /// Ably's code. SDKs decide by it.
    pub code: u32,
    /// The HTTP status.
    pub status_code: u16,
    /// An explanation for developers, which clients do not parse.
    pub message: Cow<'static, str>,
    /// Ably's page about the code.
    pub href: String,
}

impl ErrorInfo {
    /// An error with Ably's page about its code.
    pub fn new(code: u32, status_code: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status_code, message: message.into(), href: format!("https://help.ably.io/error/{code}") }
    }

    /// 401: unknown key. The code is that of "not found".
    pub fn unknown_key() -> Self {
        Self::new(40400, 401, "the app has no key of this name")
    }
}

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal / $status:literal;)*) => {
        impl ErrorInfo {
            $(#[doc = concat!("Code ", $code, ", HTTP status ", $status, ".")]
            $(#[$doc])*
            pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Self::new($code, $status, message)
            })*
        }
    };
}

errors! {
    bad_request = 40000 / 400;
    invalid_parameter = 40003 / 400;
    too_large = 40009 / 400;
    invalid_channel = 40010 / 400;
    client_id_mismatch = 40012 / 400;
    invalid_data = 40013 / 400;
    invalid_ids = 40031 / 400;
    invalid_credentials = 40101 / 401;
    incompatible_client_id = 40102 / 401;
    timestamp_not_current = 40104 / 401;
    nonce_replayed = 40105 / 401;
    token_unrecognised = 40143 / 401;
    token_revoked = 40141 / 401;
    token_expired = 40142 / 401;
    jwt_invalid = 40144 / 401;
    not_permitted = 40160 / 401;
    key_required = 40162 / 401;
    not_found = 40400 / 404;
    method_not_allowed = 40500 / 405;
    rate_exceeded = 42910 / 429;
    internal = 50000 / 500;
    unavailable = 50003 / 503;
    /// For features that this server does not support.
    unsupported = 40300 / 403;
    disconnected = 80003 / 503;
    connection_expired = 80008 / 400;
    connection_id_invalid = 80018 / 400;
    continuity_lost = 90003 / 404;
    presence_client_id = 91000 / 400;
    presence_members = 91003 / 400;
}
