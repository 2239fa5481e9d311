//! Why a token was rejected. The names are stable, so that clients can act on them.

/// Answered as `error.details.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    NoToken,
    Malformed,
    AlgNone,
    AlgorithmNotAllowed,
    UnknownKid,
    BadSignature,
    NoExpiry,
    Expired,
    NotYetValid,
    UnreadableNotBefore,
    WrongIssuer,
    WrongAudience,
    WrongAuthorizedParty,
    InvalidSubject,
    /// The user was signed out after the token was issued.
    SignedOut,
    /// The issuer's keys could not be fetched, so the token could not be checked.
    KeysUnavailable,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoToken => "no_token",
            Reason::Malformed => "malformed",
            Reason::AlgNone => "alg_none",
            Reason::AlgorithmNotAllowed => "algorithm_not_allowed",
            Reason::UnknownKid => "unknown_kid",
            Reason::BadSignature => "bad_signature",
            Reason::NoExpiry => "no_expiry",
            Reason::Expired => "expired",
            Reason::NotYetValid => "not_yet_valid",
            Reason::UnreadableNotBefore => "unreadable_not_before",
            Reason::WrongIssuer => "wrong_issuer",
            Reason::WrongAudience => "wrong_audience",
            Reason::WrongAuthorizedParty => "wrong_authorized_party",
            Reason::InvalidSubject => "invalid_subject",
            Reason::SignedOut => "signed_out",
            Reason::KeysUnavailable => "keys_unavailable",
        }
    }

    pub fn message(self) -> &'static str {
        match self {
            Reason::NoToken => "a bearer token is needed, as 'Authorization: Bearer <token>'",
            Reason::Malformed => "the bearer token is not a JWT",
            Reason::AlgNone => "the token is not signed",
            Reason::AlgorithmNotAllowed => "the token is signed with an algorithm that this server has no key for",
            Reason::UnknownKid => "the token names a key that its issuer does not publish",
            Reason::BadSignature => "the token's signature does not verify",
            Reason::NoExpiry => "the token has no expiry ('exp', a number)",
            Reason::Expired => "the token has expired",
            Reason::NotYetValid => "the token is not valid yet",
            Reason::UnreadableNotBefore => "the token's beginning ('nbf') is not a number",
            Reason::WrongIssuer => "the token is from another issuer",
            Reason::WrongAudience => "the token is meant for another audience",
            Reason::WrongAuthorizedParty => "the token was made for an application that is not allowed here",
            Reason::InvalidSubject => {
                "the token's subject is not a user id: 1 to 128 characters, no control characters, no '*'"
            }
            Reason::SignedOut => {
                "the user was signed out everywhere after this token was issued ('iat'); it takes a newer one"
            }
            Reason::KeysUnavailable => "the issuer's keys cannot be fetched at the moment",
        }
    }
}
