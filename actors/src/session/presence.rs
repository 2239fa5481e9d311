//! Who is present, as far as this actor knows.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::SessionActor;
use crate::{
    domain::{ids::UserId, routing::Presence},
    messages::PartnerPresence,
    ports::{PresenceMember, RealtimeError},
};

impl SessionActor {
    pub(super) fn presence_of(&self, user: &UserId) -> Presence {
        self.presence.state(user, self.deps.clock.uptime(), self.deps.delivery.presence_max_age)
    }

    /// Each member's presence, for the operator.
    pub(super) fn partners_present(&self) -> Vec<PartnerPresence> {
        let members = self.session.iter().flat_map(|session| session.members());
        let present = members.map(|user| {
            let presence = self.presence_of(user);
            let since = self.presence.since(user, presence == Presence::Present, self.deps.clock.uptime());
            PartnerPresence { user: user.clone(), presence, since }
        });
        present.collect()
    }

    /// Learns who is present: at once if the provider runs in this process, otherwise by asking it.
    pub(super) fn ask_presence(&mut self, ctx: &mut Context<Self>) {
        if self.session.is_none() || self.deps.delivery.presence_max_age.is_some() {
            return;
        }
        match self.deps.realtime.members_in_memory(self.inbox.session()) {
            Some(members) => self.take_members(Ok(members), ctx),
            None => {
                let asked = self.deps.realtime.members(self.inbox.session());
                ctx.spawn(asked.into_actor(self).map(|answer, actor, ctx| actor.take_members(answer, ctx)));
            }
        }
    }

    pub(super) fn take_members(&mut self, answer: Result<Vec<PresenceMember>, RealtimeError>, ctx: &mut Context<Self>) {
        match answer {
            Ok(members) => {
                self.presence.replace(members, self.deps.clock.uptime());
                self.push_to_those_who_left_unnoticed(ctx);
            }
            Err(error) => tracing::warn!(session = %self.inbox.session(), %error, "presence is unknown"),
        }
    }
}
