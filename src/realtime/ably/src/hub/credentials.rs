//! The credentials of one app: keys, tokens and revocations.

use std::sync::Arc;

use super::Hub;
use crate::{
    auth::{
        ApiKey, AuthMethod, Capability, ClientId, Credentials, Grant, jwt,
        revocation::{Revocation, Target},
        token::{self, TokenDetails},
        token_request::TokenRequest,
    },
    connection::ConnectionState,
    protocol::{Action, ErrorInfo, Outbound},
    time::Timestamp,
};

impl Hub {
    pub fn key(&self, name: &str) -> Option<&ApiKey> {
        self.keys.get(name)
    }

    /// # Errors
    /// 40101 for a wrong secret, 40400 for an unknown key, 40141–40144 for a token that is not valid.
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Grant, ErrorInfo> {
        let now = self.services.now();
        let grant = match credentials {
            Credentials::Key { name, secret } => {
                let key = self.key(name).ok_or_else(ErrorInfo::unknown_key)?;
                if !key.has_secret(secret) {
                    return Err(ErrorInfo::invalid_credentials("the key's secret is wrong"));
                }
                return Ok(Grant {
                    auth_method: AuthMethod::Key,
                    key_name: key.name.clone(),
                    capability: key.capability.clone(),
                    client_id: ClientId::Any,
                    issued: 0,
                    expires: None,
                    revocation_key: None,
                    signed_by_app: false,
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

    /// Refuses a token whose request was signed before a revocation. Such a token would be issued after the
    /// revocation.
    ///
    /// # Errors
    /// 40141
    pub fn check_request(&self, key: &ApiKey, request: &TokenRequest, token: &TokenDetails) -> Result<(), ErrorInfo> {
        let Some(signed_at) = request.signed_at() else { return Ok(()) };
        let grant = Grant {
            auth_method: AuthMethod::Token,
            key_name: key.name.clone(),
            capability: Capability::parse(&token.capability)?.into(),
            client_id: ClientId::of_token(token.client_id.as_deref()),
            issued: signed_at,
            expires: None,
            revocation_key: None,
            signed_by_app: request.is_signed_by_app(),
        };
        self.revocations.check(&grant, self.services.now())
    }

    /// Adds a revocation, and returns the connections that it revokes. `done` hears when the revocation is as durable
    /// as the app is.
    pub fn revoke(
        &self,
        revocation: Revocation,
        done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static,
    ) -> Vec<Arc<ConnectionState>> {
        self.revocations.add(revocation.clone());
        let revoked = self
            .connections
            .iter()
            .filter(|connection| revocation.revokes(&connection.grant()))
            .map(|connection| connection.value().clone())
            .collect();
        match self.is_main {
            true => self.services.rows.keep_revocation(&self.app, &revocation, done),
            false => done(Ok(())),
        }
        revoked
    }

    /// Ends the connection of a revoked token: its socket, its resumption and its presence.
    pub fn end_revoked(self: &Arc<Self>, connection: &ConnectionState) {
        if let Some(outbox) = connection.transport() {
            let error = ErrorInfo::token_revoked("the token was revoked");
            outbox.end(Some(&Outbound { error: Some(&error), ..Outbound::new(Action::Disconnected) }));
        }
        self.forget(connection);
    }

    /// Revokes all tokens with this client id, of every key, and ends their connections. `done` hears for each key
    /// when that is durable.
    pub fn end_tokens_of(
        self: &Arc<Self>,
        client_id: &str,
        done: impl Fn(Result<(), ErrorInfo>) + Clone + Send + 'static,
    ) {
        let now = self.services.now().as_millis();
        for name in self.keys.keys() {
            let target = Target::ClientId(client_id.to_owned());
            // Includes tokens that were issued in this millisecond.
            let revocation = Revocation { key_name: name.clone(), target, issued_before: now + 1, applies_at: now };
            self.revoke(revocation, done.clone()).iter().for_each(|connection| self.end_revoked(connection));
        }
    }

    /// Reads the revocations from before the restart. Called before the first connection.
    pub fn restore_revocations(&self) {
        match self.services.rows.revocations(&self.app) {
            Ok(revocations) => revocations.into_iter().for_each(|revocation| self.revocations.add(revocation)),
            Err(error) => tracing::error!(%error, "revoked tokens could not be read"),
        }
    }

    /// Forgets revocations whose tokens have all expired. Called every few minutes.
    pub fn forget_revocations(&self) {
        let now = self.services.now();
        self.revocations.prune(now);
        if self.is_main
            && let Err(error) = self.services.rows.forget_revocations(&self.app, now)
        {
            tracing::error!(%error, "old revocations could not be deleted");
        }
    }
}
