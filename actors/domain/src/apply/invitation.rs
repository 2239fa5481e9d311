//! How a session begins, and how its invitation changes.

use crate::{
    event::{Event, EventBody},
    history::History,
    ids::UserId,
    invitation::Invitation,
    member::Member,
    private_text::PrivateText,
    session::Session,
    stage::SessionStatus,
    strategy::Pool,
    tending::Tending,
    time::Timestamp,
};

impl Session {
    /// The session after its first event. None if that event is not a creation.
    pub fn start(event: &Event) -> Option<Session> {
        let by = event.by.as_ref()?;
        let EventBody::Created { session, invitation, salt, name, invite_name, person, context, expires_at } =
            &event.body
        else {
            return None;
        };
        Some(Session {
            id: session.clone(),
            seq: event.seq,
            status: SessionStatus::Created,
            salt: salt.clone(),
            created_at: event.at,
            updated_at: event.at,
            last_event_at: event.at,
            changed: event.seq,
            context: context.clone(),
            invitation: Invitation {
                id: invitation.clone(),
                invite_name: invite_name.clone(),
                person: person.clone(),
                created_at: event.at,
                confirmed_at: None,
                expires_at: *expires_at,
                expired: false,
                accepted_at: None,
                declined_at: None,
                resends: 0,
                resent_at: None,
                topic: None,
                topic_confirmed_at: None,
                message: None,
                sent_at: None,
            },
            creator: Member::new(by.clone(), name.clone(), event.at),
            invitee: None,
            pause: None,
            resolved_at: None,
            abandoned_at: None,
            archived_at: None,
            pool: Pool::default(),
            agreements: Vec::new(),
            closure: None,
            tending: Tending::default(),
            history: History::default(),
        })
    }

    pub(super) fn confirm_invitation(&mut self, expires_at: Timestamp, at: Timestamp) {
        self.move_to(SessionStatus::Invited);
        self.invitation.confirmed_at = Some(at);
        self.invitation.expires_at = expires_at;
    }

    pub(super) fn decline_invitation(&mut self, at: Timestamp) {
        self.abandon(at);
        self.invitation.declined_at = Some(at);
    }

    /// Only the first person who accepts becomes the partner.
    pub(super) fn join(&mut self, user: Option<&UserId>, name: Option<&PrivateText>, at: Timestamp) {
        if let (None, Some(user)) = (&self.invitee, user) {
            self.move_to(SessionStatus::Active);
            self.invitation.accepted_at = Some(at);
            self.invitee = Some(Member::new(user.clone(), name.cloned(), at));
        }
    }
}

impl Invitation {
    /// Replaces the texts that are given.
    pub(super) fn write(&mut self, topic: Option<&PrivateText>, message: Option<&PrivateText>) {
        self.topic = topic.cloned().or(self.topic.take());
        self.message = message.cloned().or(self.message.take());
    }

    pub(super) fn confirm_topic(&mut self, topic: &PrivateText, at: Timestamp) {
        self.topic = Some(topic.clone());
        self.topic_confirmed_at = Some(at);
    }

    pub(super) fn send(&mut self, message: Option<&PrivateText>, at: Timestamp) {
        self.write(None, message);
        self.sent_at = Some(at);
    }

    pub(super) fn resend(&mut self, expires_at: Timestamp, at: Timestamp) {
        self.expires_at = expires_at;
        self.expired = false;
        self.resends += 1;
        self.resent_at = Some(at);
    }
}
