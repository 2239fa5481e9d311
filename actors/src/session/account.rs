//! Account operations that waited for this session, such as a new name or an erasure. They are carried out first when
//! the session works again.

use actix::Context;
use tokio::sync::oneshot;

use super::SessionActor;
use crate::{
    domain::{Caller, Command, ids::UserId},
    messages::Order,
    ports::Change,
    rows::keys,
    stored,
    trace::Trace,
};

impl SessionActor {
    /// Carries out the waiting account operations.
    pub(super) fn account_work(&mut self, ctx: &mut Context<Self>) {
        match stored::account_work(&*self.deps.store, self.inbox.session()) {
            Ok(work) => {
                for (user, work) in work {
                    tracing::info!(session = %self.inbox.session(), "waiting account work is done");
                    for command in work.commands() {
                        let (reply, _) = oneshot::channel();
                        let trace = Trace::of_command(self.inbox.session(), (&command).into());
                        let order = Order { caller: Caller::nameless(user.clone()), key: None, trace, reply };
                        self.command(command, order, ctx);
                    }
                }
            }
            Err(error) => tracing::error!(session = %self.inbox.session(), %error, "account work cannot be read"),
        }
    }

    /// The deletion of the waiting account operation that this command carries out.
    pub(super) fn account_work_done(&self, user: &UserId, command: &Command) -> Option<Change> {
        let is_account_work =
            matches!(command, Command::EraseAccount | Command::Rename(_) | Command::ShowActivity { .. });
        is_account_work.then(|| Change::Delete(keys::account_work(self.inbox.session(), user)))
    }
}
