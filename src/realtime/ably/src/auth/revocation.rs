//! Revocations. Each revokes the tokens of a client id, a revocation key or a channel that were issued before a time.
//! It is kept until no token that it revokes can still be valid.

use std::collections::HashMap;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::{AuthMethod, Grant, Operation, token_request::MAX_TTL_MS};
use crate::{protocol::ErrorInfo, time::Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    ClientId(String),
    RevocationKey(String),
    Channel(String),
}

impl Target {
    /// # Errors
    /// 40000 unless the specifier is `clientId:…`, `revocationKey:…` or `channel:…`.
    pub fn parse(specifier: &str) -> Result<Self, ErrorInfo> {
        match specifier.split_once(':') {
            Some(("clientId", value)) if !value.is_empty() => Ok(Target::ClientId(value.to_owned())),
            Some(("revocationKey", value)) if !value.is_empty() => Ok(Target::RevocationKey(value.to_owned())),
            Some(("channel", value)) if !value.is_empty() => Ok(Target::Channel(value.to_owned())),
            _ => Err(ErrorInfo::bad_request("a target must be clientId:…, revocationKey:… or channel:…")),
        }
    }

    fn revokes(&self, grant: &Grant) -> bool {
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
    /// Whether it revokes these credentials, now or when it applies.
    pub fn revokes(&self, grant: &Grant) -> bool {
        grant.auth_method != AuthMethod::Key
            && *grant.key_name == *self.key_name
            && grant.issued < self.issued_before
            && self.target.revokes(grant)
    }

    /// Whether it applies at once: all tokens from before `issued_before` are already revoked.
    pub fn applies_at_once(&self) -> bool {
        self.applies_at <= self.issued_before
    }

    /// Whether it revokes everything that an earlier one revokes.
    fn replaces(&self, earlier: &Revocation) -> bool {
        let same = self.key_name == earlier.key_name && self.target == earlier.target;
        same && self.applies_at_once() && self.issued_before >= earlier.issued_before
    }

    /// Whether no token that it revokes can still be valid.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.as_millis() - self.issued_before.max(self.applies_at) > Revocations::KEPT_MS
    }
}

const _: () = assert!(Revocations::KEPT_MS > MAX_TTL_MS, "revocations outlive tokens");

/// Revocations of client ids, of which there may be many, and all others.
#[derive(Default)]
struct ByTarget {
    clients: HashMap<String, Vec<Revocation>>,
    others: Vec<Revocation>,
}

#[derive(Default)]
pub struct Revocations(RwLock<ByTarget>);

impl Revocations {
    /// Longer than the longest lifetime of a token.
    pub const KEPT_MS: i64 = 25 * 60 * 60 * 1000;

    pub fn add(&self, revocation: Revocation) {
        let known = &mut *self.0.write();
        let list = match &revocation.target {
            Target::ClientId(id) => known.clients.entry(id.clone()).or_default(),
            Target::RevocationKey(_) | Target::Channel(_) => &mut known.others,
        };
        list.retain(|old| !revocation.replaces(old));
        list.push(revocation);
    }

    /// Forgets revocations whose tokens have all expired.
    pub fn prune(&self, now: Timestamp) {
        let known = &mut *self.0.write();
        known.others.retain(|revocation| !revocation.is_over(now));
        known.clients.retain(|_, list| {
            list.retain(|revocation| !revocation.is_over(now));
            !list.is_empty()
        });
    }

    /// # Errors
    /// 40141 for revoked credentials.
    pub fn check(&self, grant: &Grant, now: Timestamp) -> Result<(), ErrorInfo> {
        let known = self.0.read();
        let of_client = grant.client_id.concrete().and_then(|id| known.clients.get(&**id));
        let mut all = known.others.iter().chain(of_client.into_iter().flatten());
        if all.any(|revocation| revocation.applies_at <= now.as_millis() && revocation.revokes(grant)) {
            return Err(ErrorInfo::token_revoked("the token was revoked"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Capability, ClientId};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn grant(client_id: &str, issued: i64) -> Grant {
        Grant {
            auth_method: AuthMethod::Token,
            key_name: "app.key".into(),
            capability: Capability::everything().into(),
            client_id: ClientId::of_token(Some(client_id)),
            issued,
            expires: Some(i64::MAX),
            revocation_key: None,
            signed_by_app: false,
        }
    }

    fn of_client(id: &str, issued_before: i64, applies_at: i64) -> Revocation {
        Revocation { key_name: "app.key".into(), target: Target::ClientId(id.into()), issued_before, applies_at }
    }

    #[test]
    fn earlier_tokens_are_revoked_and_later_ones_are_not() {
        let revocations = Revocations::default();
        let now = NOW.as_millis();
        revocations.add(of_client("alice", now, now));
        assert_eq!(revocations.check(&grant("alice", now - 1), NOW).unwrap_err().code, 40141);
        for (client_id, issued) in [("alice", now), ("bob", now - 1), ("*", now - 1), ("", now - 1)] {
            assert_eq!(revocations.check(&grant(client_id, issued), NOW), Ok(()), "{client_id} {issued}");
        }
        revocations.add(of_client("*", now, now));
        assert_eq!(revocations.check(&grant("*", now - 1), NOW), Ok(()), "it names nobody");
    }

    #[test]
    fn a_revocation_is_kept_as_long_as_a_token_lives_and_once() {
        let revocations = Revocations::default();
        let now = NOW.as_millis();
        for later in 0..100 {
            revocations.add(of_client("alice", now + later, now + later));
        }
        assert_eq!(revocations.0.read().clients["alice"].len(), 1);
        // A revocation that revokes less does not replace one that revokes more.
        revocations.add(of_client("alice", now - 5, now + 200));
        assert!(revocations.check(&grant("alice", now + 98), NOW + std::time::Duration::from_secs(1)).is_err());
        revocations.prune(Timestamp::from_millis(now + Revocations::KEPT_MS - 1));
        assert_eq!(revocations.0.read().clients.len(), 1);
        revocations.prune(Timestamp::from_millis(now + Revocations::KEPT_MS + 300));
        assert_eq!(revocations.0.read().clients.len(), 0);
    }
}
