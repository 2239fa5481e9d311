//! Partners who come and go. A partner who leaves within the leave-grace, before seeing a published event, gets a push
//! for it. Before a push is sent, the session is asked once more whether it is still wanted.

use std::{collections::BTreeSet, time::Duration};

use actix::{AsyncContext, Context};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{
    SessionActor,
    commit::CommitDraft,
    outbox::{Departure, PendingEvent},
};
use crate::{
    domain::{
        Rejection,
        ids::{Seq, UserId},
        routing::Presence,
        time::Timestamp,
    },
    messages::{PushNeed, ReplyTo},
    ports::{PresenceChange, PresenceSource, Uptime},
    rows::keys,
    trace::RequestId,
};

/// The time until which the caller counts as present.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Present)]
pub struct HeartbeatAnswer {
    present: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    // The last durable event. A client that has fewer catches up.
    seq: Seq,
}

impl SessionActor {
    pub(super) fn presence_changed(
        &mut self,
        change: PresenceChange,
        expires_at: Option<Uptime>,
        ctx: &mut Context<Self>,
    ) {
        if !self.session.as_ref().is_some_and(|session| session.is_member(&change.user)) {
            return;
        }
        let now = self.deps.clock.uptime();
        let (user, departure) = (change.user.clone(), Departure { at: now, vanished: change.vanished });
        if self.presence.change(change, expires_at, now) {
            self.left(&user, departure, ctx);
        }
    }

    pub(super) fn heartbeat(&mut self, user: UserId, active: bool, reply: ReplyTo<Bytes>, ctx: &mut Context<Self>) {
        if !self.session.as_ref().is_some_and(|session| session.members().any(|member| *member == user)) {
            return drop(reply.send(Err(Rejection::no_such_session().into())));
        }
        let now = self.now();
        let expires_at = active.then(|| now + self.deps.delivery.heartbeat_ttl);
        let change = PresenceChange {
            user,
            connection: String::new(),
            present: active,
            vanished: false,
            at: now,
            source: PresenceSource::Heartbeat,
        };
        let counts_until = active.then(|| self.deps.clock.uptime() + self.deps.delivery.heartbeat_ttl);
        self.presence_changed(change, counts_until, ctx);
        if active {
            self.sweep_later(ctx);
        }
        let answer =
            serde_json::to_vec(&HeartbeatAnswer { present: active, expires_at, seq: self.delivery.durable_seq() });
        let answer = answer.map(Bytes::from).map_err(|e| crate::messages::Refusal::Internal(e.to_string()));
        drop(reply.send(answer));
    }

    fn sweep_later(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.clock.uptime();
        let Some(expiry) = self.presence.next_expiry(now) else { return };
        ctx.run_later(expiry.saturating_sub(now) + Duration::from_millis(1), |actor, ctx| {
            let now = actor.deps.clock.uptime();
            let gone = actor.presence.sweep(now);
            gone.iter().for_each(|user| actor.left(user, Departure { at: now, vanished: true }, ctx));
        });
    }

    /// The partner has become absent.
    fn left(&mut self, user: &UserId, departure: Departure, ctx: &mut Context<Self>) {
        let missed = self.outbox.left(user, departure, self.deps.delivery.leave_grace);
        let Some(seq) = missed.filter(|seq| !self.has_seen(user, *seq)) else { return };
        if self.deps.devices.has_push_token(user) {
            self.push_after_all(&[(user.clone(), seq)], ctx);
        }
    }

    /// Partners may have left while no actor watched them: the previous actor crashed, or the node was stopped before
    /// the push was durable.
    pub(super) fn push_to_those_who_left_unnoticed(&mut self, ctx: &mut Context<Self>) {
        let watched: BTreeSet<_> = self.outbox.watched.iter().map(|watched| watched.user.clone()).collect();
        for user in watched {
            if self.presence_of(&user) == Presence::Absent {
                self.left(&user, Departure { at: self.deps.clock.uptime(), vanished: false }, ctx);
            }
        }
    }

    /// Answers the push sender, which asks right before it sends.
    pub(super) fn check_push(
        &mut self,
        user: UserId,
        seq: Seq,
        reply: oneshot::Sender<PushNeed>,
        ctx: &mut Context<Self>,
    ) {
        let visible = self.session.as_ref().is_some_and(|session| session.members().any(|member| *member == user));
        let need = if !visible {
            PushNeed::NotWanted { reason: "no longer a member" }
        } else if self.needs_no_push(&user, seq) {
            PushNeed::NotWanted { reason: "already seen" }
        } else if self.presence_of(&user) == Presence::Present {
            // The partner came back after the decision, perhaps with an older state: the event is published after all.
            // The push may only end once that is durable.
            let need = self.publish_late(user, seq, ctx);
            return self.after_flush(move || drop(reply.send(need)));
        } else {
            PushNeed::Wanted(self.request_of(seq))
        };
        drop(reply.send(need));
    }

    /// The id of the request that made an announced event. It is only for the log: an unreadable row is no reason to
    /// keep a push back.
    fn request_of(&self, seq: Seq) -> Option<RequestId> {
        self.read_announced(seq).ok().flatten().and_then(|announced| announced.row.request_id)
    }

    fn publish_late(&mut self, user: UserId, seq: Seq, ctx: &mut Context<Self>) -> PushNeed {
        let superfluous = PushNeed::NotWanted { reason: "present again" };
        match self.deps.store.get(&keys::event(self.inbox.session(), seq)) {
            Ok(Some(_)) if self.deps.journal.has_room() => {}
            Ok(None) => return superfluous,
            Ok(Some(_)) | Err(_) => return PushNeed::Unknown,
        }
        // An event that is still to be published is published for this partner, too. An event on its way is published
        // once more, which is harmless: clients know its id.
        let is_free = self.delivery.is_idle();
        if let Some(pending) = self.outbox.pending.iter_mut().find(|pending| is_free && pending.seq == seq) {
            pending.publish = true;
            if !pending.present.contains(&user) {
                pending.present.push(user);
            }
        } else {
            let late =
                PendingEvent { to: vec![user.clone()], present: vec![user], publish: true, ..PendingEvent::new(seq) };
            self.outbox.pending.push_back(late);
        }
        let row = self.outbox_row();
        self.commit_rows(CommitDraft::of_rows(vec![row]), ctx);
        self.deliver(ctx);
        superfluous
    }
}
