//! The coordinator as the port of realtime providers, which report presence and deliveries, and of the push sender,
//! which asks whether a push is still wanted.

use tokio::sync::oneshot;

use super::Coordinator;
use crate::{
    domain::ids::{Seq, SessionId, UserId},
    messages::{PushNeed, SessionMessage},
    ports::{BoxFuture, PresenceChange, PresenceSink, PushCheck, PushVerdict},
};

impl PresenceSink for Coordinator {
    fn presence(&self, session: &SessionId, change: PresenceChange) {
        self.supervisor.send_if_awake(session, SessionMessage::Presence(change));
    }

    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq) {
        self.supervisor.send_if_awake(session, SessionMessage::Delivered { user: user.clone(), seq });
    }
}

impl PushCheck for Coordinator {
    fn check(&self, session: &SessionId, user: &UserId, seq: Seq) -> BoxFuture<PushVerdict> {
        let (coordinator, session, user) = (self.clone(), session.clone(), user.clone());
        Box::pin(async move {
            let (reply, need) = oneshot::channel();
            let ask = SessionMessage::CheckPush { user: user.clone(), seq, reply };
            if coordinator.supervisor.send(&session, ask).is_err() {
                return PushVerdict::Later;
            }
            match need.await {
                Ok(PushNeed::Wanted(request_id)) => match coordinator.unread_count(&user).await {
                    Ok(unread) => PushVerdict::Send { unread, request_id },
                    Err(_) => PushVerdict::Later,
                },
                Ok(PushNeed::NotWanted { reason }) => PushVerdict::Drop { reason },
                Ok(PushNeed::Unknown) | Err(_) => PushVerdict::Later,
            }
        })
    }
}
