//! Authentication. A client sends a JWT that is signed with the node's shared secret (`HS256`), or by an issuer whose
//! public keys are fetched from its JWKS address (`RS256`, `ES256`). Both may be configured; a key of one kind never
//! verifies a token of the other. A rejected token has a [`Reason`], which says what is wrong without showing the
//! token.

mod claims;
mod config;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
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
    sign::sign,
    verifier::{SHORT_SECRET, Verifier, is_short},
};

#[cfg(test)]
mod tests;
