//! Token expiry: the client is asked for a new token in time, and the socket ends with the token.

use std::time::Duration;

use actix::AsyncContext;

use super::{Ctx, client::ConnectedClient};
use crate::protocol::{Action, ErrorInfo, Outbound};

impl ConnectedClient {
    /// Sets timers that ask for a new token, and end the socket at expiry.
    pub(super) fn watch_expiry(&mut self, ctx: &mut Ctx) {
        for timer in self.expiry.drain(..) {
            ctx.cancel_future(timer);
        }
        let grant = self.connection.grant();
        let Some(expires) = grant.expires else { return };
        let left = expires.saturating_sub(self.hub.services.now().as_millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        let lifetime = Duration::from_millis(u64::try_from(expires.saturating_sub(grant.issued)).unwrap_or(0));
        if let Some(notice) = notice_before_expiry(lifetime, left) {
            self.expiry.push(ctx.run_later(left - notice, |actor, _| {
                if let Some(client) = actor.client() {
                    client.outbox.send(&Outbound::new(Action::Auth));
                }
            }));
        }
        self.expiry.push(ctx.run_later(left, |actor, _| {
            if let Some(client) = actor.client() {
                client.disconnect(&ErrorInfo::token_expired("the token has expired"));
            }
        }));
    }
}

/// How long before expiry the client is asked: 5 minutes for a lifetime of more than 10 minutes, else 30 s. None if
/// less time is left.
fn notice_before_expiry(lifetime: Duration, left: Duration) -> Option<Duration> {
    let lifetime = lifetime.max(left);
    let notice = if lifetime > Duration::from_secs(600) { Duration::from_secs(300) } else { Duration::from_secs(30) };
    if left > notice { Some(notice) } else { Some(Duration::from_secs(30)).filter(|notice| left > *notice) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_asked_for_in_time() {
        let seconds = Duration::from_secs;
        for (lifetime, left, notice) in [
            (3600, 3600, Some(300)),
            (3600, 200, Some(30)),
            (600, 600, Some(30)),
            (35, 35, Some(30)),
            (29, 29, None),
            (5, 5, None),
        ] {
            assert_eq!(
                notice_before_expiry(seconds(lifetime), seconds(left)),
                notice.map(seconds),
                "{lifetime} {left}"
            );
        }
    }
}
