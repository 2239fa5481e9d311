//! Revoked tokens: all of a client, a revocation key or a channel that were issued before a moment. Kept until no token that they could
//! concern is valid any more.

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;

use super::{Grant, Operation, Proof};
use crate::realtime::embedded::protocol::ErrorInfo;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    ClientId(String),
    RevocationKey(String),
    Channel(String),
}

impl Target {
    /// # Errors
    /// 40000 for a specifier that is none of `clientId:…`, `revocationKey:…`, `channel:…`.
    pub fn parse(specifier: &str) -> Result<Self, ErrorInfo> {
        match specifier.split_once(':') {
            Some(("clientId", value)) if !value.is_empty() => Ok(Target::ClientId(value.to_owned())),
            Some(("revocationKey", value)) if !value.is_empty() => Ok(Target::RevocationKey(value.to_owned())),
            Some(("channel", value)) if !value.is_empty() => Ok(Target::Channel(value.to_owned())),
            _ => Err(ErrorInfo::bad_request("a target must be clientId:…, revocationKey:… or channel:…")),
        }
    }

    fn concerns(&self, grant: &Grant) -> bool {
        match self {
            Target::ClientId(id) => grant.client_id.concrete().is_some_and(|own| **own == **id),
            Target::RevocationKey(key) => grant.revocation_key.as_deref() == Some(key),
            Target::Channel(name) => {
                grant.capability.allows(name, Operation::Subscribe) || grant.capability.allows(name, Operation::Publish)
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    pub key_name: String,
    pub target: Target,
    pub issued_before: i64,
    pub applies_at: i64,
}

impl Revocation {
    /// Whether it concerns these credentials, now or once it applies.
    pub fn concerns(&self, grant: &Grant) -> bool {
        grant.proof != Proof::Key
            && *grant.key_name == *self.key_name
            && grant.issued < self.issued_before
            && self.target.concerns(grant)
    }
}

#[derive(Default)]
pub struct Revocations(RwLock<Vec<Revocation>>);

impl Revocations {
    /// The longest that a token can be valid.
    pub const KEPT_MS: i64 = 25 * 60 * 60 * 1000;

    pub fn add(&self, revocation: Revocation) {
        let mut list = self.0.write();
        list.retain(|old| revocation.applies_at - old.applies_at < Self::KEPT_MS);
        list.push(revocation);
    }

    /// # Errors
    /// 40141 for revoked credentials.
    pub fn check(&self, grant: &Grant, now: Timestamp) -> Result<(), ErrorInfo> {
        let list = self.0.read();
        if list.iter().any(|revocation| revocation.applies_at <= now.as_millis() && revocation.concerns(grant)) {
            return Err(ErrorInfo::token_revoked("the token was revoked"));
        }
        Ok(())
    }
}
