//! Who is calling. A caller shows a JWT: signed with the node's shared secret (`HS256`), or by an issuer whose public
//! keys are fetched from its JWKS address (`RS256`, `ES256`); both ways may be open at once, and a key of one way never
//! verifies a token of the other. What is refused is refused with a [`Reason`] that says what is wrong and nothing of
//! the token.

mod claims;
mod config;
mod jwk;
mod jwks;
mod reason;
mod sign;
mod verifier;

pub use crate::secret::Secret;

pub use self::{
    claims::Identity,
    config::{AuthSettings, AuthSettingsError},
    reason::Reason,
    sign::{SignError, sign},
    verifier::{SHORT_SECRET, Verifier, is_short},
};

#[cfg(test)]
mod tests;
