//! What realtime providers and the push sender report and ask.

use tokio::sync::oneshot;

use super::Coordinator;
use crate::{
    domain::ids::{Seq, SessionId, UserId},
    messages::Message,
    ports::{BoxFuture, PresenceChange, PresenceSink, PushCheck, PushVerdict},
};

impl PresenceSink for Coordinator {
    fn presence(&self, session: &SessionId, change: PresenceChange) {
        self.supervisor.send_if_awake(session, Message::Presence(change));
    }

    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq) {
        self.supervisor.send_if_awake(session, Message::Delivered { user: user.clone(), seq });
    }
}

impl PushCheck for Coordinator {
    fn check(&self, session: &SessionId, user: &UserId, seq: Seq) -> BoxFuture<PushVerdict> {
        let (coordinator, session, user) = (self.clone(), session.clone(), user.clone());
        Box::pin(async move {
            let (reply, verdict) = oneshot::channel();
            let ask = Message::CheckPush { user: user.clone(), seq, reply };
            if coordinator.supervisor.send(&session, ask).is_err() {
                return PushVerdict::Later;
            }
            match verdict.await {
                Ok(PushVerdict::Send { .. }) => match coordinator.unread_count(&user) {
                    Ok(unread) => PushVerdict::Send { unread },
                    Err(_) => PushVerdict::Later,
                },
                Ok(verdict) => verdict,
                Err(_) => PushVerdict::Later,
            }
        })
    }
}
