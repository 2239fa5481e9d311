//! Sessions for the operator of the node. It reads what is durable and wakes no session, so that looking changes
//! nothing and works in quarantine, too.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::Coordinator;
use crate::{
    domain::{
        ids::{SessionId, UserId},
        routing::Presence,
        view::Oversight,
    },
    messages::{PartnerPresence, SessionMessage},
    ports::{PresenceMember, StoreError},
    rows::{keys, records::Membership},
    stored,
    supervisor::Quarantine,
};

/// How long an awake session may take to say who is present.
const PRESENCE_WITHIN: Duration = Duration::from_millis(300);

/// A session, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOverview {
    /// The session's durable state.
    pub state: Oversight,
    /// The unreadable record, if there is one. The state is the last one before it.
    pub damage: Option<String>,
    /// Whether its actor is in memory.
    pub awake: bool,
    /// Why it is in quarantine, if it is.
    pub quarantine: Option<Arc<Quarantine>>,
    /// The presence of each partner. Empty if it is unknown.
    pub presence: Vec<PartnerPresence>,
    /// Whether an event waits to be published.
    pub outbox_waits: bool,
}

impl Coordinator {
    /// A session for the operator. `None` if there is none, or if nothing of it can be read.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn oversee(&self, session: &SessionId) -> Result<Option<SessionOverview>, StoreError> {
        let stored = stored::read(self.store(), session)?;
        let Some(state) = stored.session.map(|session| session.oversight()) else { return Ok(None) };
        Ok(Some(SessionOverview {
            damage: stored.damage.map(|damage| damage.to_string()),
            awake: self.supervisor.is_awake(session),
            quarantine: self.quarantine(session),
            presence: self.presence(session, &state).await,
            outbox_waits: self.store().get(&keys::outbox(session))?.is_some(),
            state,
        }))
    }

    /// An awake session also knows heartbeats. For a sleeping session the provider is asked.
    async fn presence(&self, session: &SessionId, state: &Oversight) -> Vec<PartnerPresence> {
        if self.supervisor.is_awake(session) {
            let (reply, answer) = oneshot::channel();
            // The inbox may be full. Then presence stays unknown.
            drop(self.supervisor.send(session, SessionMessage::WhoIsPresent { reply }));
            return match tokio::time::timeout(PRESENCE_WITHIN, answer).await {
                Ok(Ok(known)) => known,
                Ok(Err(_)) | Err(_) => Vec::new(),
            };
        }
        let Some(members) = self.deps.realtime.members_in_memory(session) else { return Vec::new() };
        state.partners.iter().map(|partner| partner_among(&members, &partner.user)).collect()
    }

    /// Some sessions that are in memory, at most `limit`, in no order.
    pub fn awake(&self, limit: usize) -> Vec<SessionId> {
        self.supervisor.awake(limit)
    }

    /// The user's sessions for the operator, the newest change first, at most a thousand.
    ///
    /// # Errors
    /// If the store fails.
    pub fn sessions_of(&self, user: &UserId) -> Result<Vec<(SessionId, Membership)>, StoreError> {
        Ok(self.in_order(user)?.into_iter().map(|((_, session), membership)| (session, membership)).collect())
    }
}

fn partner_among(members: &[PresenceMember], user: &UserId) -> PartnerPresence {
    let since = members.iter().filter(|member| member.user == *user).map(|member| member.at).min();
    let presence = if since.is_some() { Presence::Present } else { Presence::Absent };
    PartnerPresence { user: user.clone(), presence, since }
}
