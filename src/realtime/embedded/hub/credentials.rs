//! Who may do what in the app: keys, tokens, and what was revoked.

use std::sync::Arc;

use tandem_actors::domain::time::Timestamp;

use super::{
    super::{
        auth::{ClientId, Credentials, Grant, Key, Proof, jwt, revocation::Revocation, token},
        peer::Peer,
        protocol::ErrorInfo,
    },
    Hub,
};

impl Hub {
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    /// # Errors
    /// 40101 for a wrong secret, 40400 for an unknown key; 40141–40144 for a token that is not good (any more).
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Grant, ErrorInfo> {
        let now = self.services.now();
        let grant = match credentials {
            Credentials::Key { name, secret } => {
                let key = self.key(name).ok_or_else(ErrorInfo::unknown_key)?;
                if !key.has_secret(secret) {
                    return Err(ErrorInfo::invalid_credentials("the key's secret is wrong"));
                }
                return Ok(Grant {
                    proof: Proof::Key,
                    key_name: key.name.clone(),
                    capability: key.capability.clone(),
                    client_id: ClientId::Any,
                    issued: 0,
                    expires: None,
                    revocation_key: None,
                });
            }
            Credentials::Token(text) if jwt::looks_like(text) => {
                let name = jwt::key_name(text)?;
                jwt::verify(text, self.key(&name).ok_or_else(ErrorInfo::unknown_key)?)?
            }
            Credentials::Token(text) => token::verify(text, |name| self.key(name))?,
        };
        self.check_current(&grant, now)?;
        Ok(grant)
    }

    /// # Errors
    /// 40142 expired, 40141 revoked.
    pub fn check_current(&self, grant: &Grant, now: Timestamp) -> Result<(), ErrorInfo> {
        if grant.expires.is_some_and(|expires| expires <= now.as_millis()) {
            return Err(ErrorInfo::token_expired("the token has expired"));
        }
        self.revocations.check(grant, now)
    }

    /// Takes a revocation in, and returns the connections that it concerns.
    pub fn revoke(&self, revocation: Revocation) -> Vec<Arc<Peer>> {
        if self.is_main {
            self.services.rows.keep_revocation(&self.app, &revocation);
        }
        let concerned = self
            .peers
            .iter()
            .filter(|peer| revocation.concerns(&peer.grant()))
            .map(|peer| peer.value().clone())
            .collect();
        self.revocations.add(revocation);
        concerned
    }

    pub fn restore_revocation(&self, revocation: Revocation) {
        self.revocations.add(revocation);
    }
}
