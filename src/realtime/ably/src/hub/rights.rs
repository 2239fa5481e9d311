//! The rights of a client on a channel *now*. A token lists rights from the time of its issue. The application knows
//! what has changed since, and [`Rights`] is its answer.
//!
//! The application is asked for tokens with a client id. Keys, and tokens without a client id, belong to the
//! operator: their rights never change.

use std::sync::Arc;

use super::Hub;
use crate::{
    application::Rights,
    auth::{AuthMethod, Capability, Grant, Operation},
    protocol::{ErrorInfo, Modes},
};

impl Hub {
    /// Checks an operation on a channel.
    ///
    /// # Errors
    /// 40160 if the operation is not allowed on the channel, 50000 if the store cannot be read.
    pub fn permit(&self, grant: &Grant, channel: &str, operation: Operation) -> Result<(), ErrorInfo> {
        if self.capability_on(grant, channel)?.is_some_and(|capability| capability.allows(channel, operation)) {
            return Ok(());
        }
        let message = format!("operation not permitted with the provided capability: {}", operation.name());
        Err(ErrorInfo::not_permitted(message))
    }

    /// The granted channel modes.
    ///
    /// # Errors
    /// 50000 if the store cannot be read.
    pub fn modes(&self, grant: &Grant, channel: &str) -> Result<Modes, ErrorInfo> {
        Ok(self.capability_on(grant, channel)?.map_or(Modes::NONE, |capability| capability.modes(channel)))
    }

    /// The capability that counts on this channel. None if the client's rights there have ended.
    fn capability_on(&self, grant: &Grant, channel: &str) -> Result<Option<Arc<Capability>>, ErrorInfo> {
        let as_issued = || Ok(Some(grant.capability.clone()));
        let Some(client_id) = self.user_of(grant) else { return as_issued() };
        let rights = self.services.application.rights(client_id, channel).map_err(|error| {
            tracing::error!(%error, "a client's rights could not be read");
            ErrorInfo::internal("the server cannot check what is allowed here; try again")
        })?;
        match rights {
            Rights::Ended => Ok(None),
            Rights::AtLeast(text) if grant.signed_by_app => {
                let own = Capability::parse(&text)?;
                // A token never has more rights than its key.
                let own = self.key(&grant.key_name).and_then(|key| key.capability.intersect(&own));
                Ok(Some(own.map_or_else(
                    || grant.capability.clone(),
                    |own| (*grant.capability).clone().united_with(own).into(),
                )))
            }
            Rights::AtLeast(_) | Rights::AsIssued => as_issued(),
        }
    }

    /// The client id of a token, which names a user of the application.
    fn user_of<'g>(&self, grant: &'g Grant) -> Option<&'g Arc<str>> {
        grant.client_id.concrete().filter(|_| self.is_main && grant.auth_method != AuthMethod::Key)
    }

    /// A client's rights on these channels have ended: its sockets check their attachments again, and its members
    /// leave, also those of connections without a socket.
    pub fn rights_ended(&self, client_id: &str, channels: &[String]) {
        let is_of_client = |grant: &Grant| self.user_of(grant).is_some_and(|own| **own == *client_id);
        for connection in self.connections.iter().filter(|connection| is_of_client(&connection.grant())) {
            if let Some(outbox) = connection.transport() {
                outbox.note_rights_changed();
            }
        }
        for name in channels {
            let Some(channel) = self.known_channel(name) else { continue };
            let mut connections = Vec::new();
            channel.each_member(&mut |member| {
                if *member.client_id == *client_id {
                    connections.push(member.connection_id.clone());
                }
            });
            for connection_id in connections {
                self.remove_members(&channel, &connection_id, Some(client_id));
            }
        }
    }
}
