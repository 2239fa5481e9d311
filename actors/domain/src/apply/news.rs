//! What members have not seen yet, and when their view of the session changed.

use crate::{
    event::{Changes, Event},
    ids::UserId,
    session::Session,
    side::Side,
    time::Timestamp,
};

impl Session {
    /// Notes when each member's view of the session last changed. It orders the list of sessions.
    pub(super) fn note_changed(&mut self, at: Timestamp, changes: Changes, author: Option<Side>) {
        let concerned = match changes {
            Changes::Nothing => &[][..],
            Changes::Client | Changes::Author => author.as_slice(),
            Changes::Both => &Side::BOTH,
        };
        for side in concerned {
            self.update(Some(*side), |member| member.changed_at = at);
        }
    }

    /// Marks the event as news for each member whom it concerns, except its author. News is unread until it is viewed.
    pub(super) fn note_news(&mut self, event: &Event, author: Option<Side>) {
        let facts = event.consequences();
        if !facts.is_news {
            return;
        }
        let concerns = |user: &UserId| event.only().is_none_or(|only| only == user);
        for side in Side::BOTH {
            let member = self.member_mut(side).filter(|member| author != Some(side) && concerns(&member.id));
            if let Some(member) = member {
                member.news = event.seq;
            }
        }
    }
}
