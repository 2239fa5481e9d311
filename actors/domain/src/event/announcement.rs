//! The payload of an event on the session's channel: ids, stages and times. The only text is the reason of a pause,
//! which one partner writes for the other.

use serde_json::{Map, Value, json};

use super::{Audience, Consequences, Event, EventName, Push};
use crate::{
    consents::ConsentKind,
    ids::{AgreementId, SessionId, UserId},
    private_text::PrivateText,
    stage::Stage,
    stage4::{ClosedAgreement, ClosureKind},
};

/// A message for the session's channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// A name of [`EventName`].
    pub name: &'static str,
    /// At least `sessionId`, `seq` and `timestamp` (in milliseconds).
    pub payload: Map<String, Value>,
    /// Who hears of it.
    pub audience: Audience,
    /// The only member whom it concerns. If there is one, the session's channel, which both hear, is not used.
    pub only: Option<UserId>,
    /// Whether an absent member gets a push.
    pub pushes: bool,
}

impl Announcement {
    /// The payload for one member. It is the same for both, unless each gets a message of their own.
    pub fn payload_for(&self, member: &UserId) -> Map<String, Value> {
        let mut payload = self.payload.clone();
        if self.audience == Audience::Each {
            payload.insert("forUserId".into(), member.as_str().into());
        }
        payload
    }
}

impl Event {
    /// The message that decides who is told, and how. None if nobody is told.
    pub fn announcement(&self, session: &SessionId) -> Option<Announcement> {
        let Consequences { names, fields, .. } = self.consequences();
        names.first().map(|name| self.announce(*name, fields, session))
    }

    /// Further messages, for screens that wait for other names. They are published and never pushed.
    pub fn hints(&self, session: &SessionId) -> Vec<Announcement> {
        let Consequences { names, fields, .. } = self.consequences();
        let hint = |name: &EventName| Announcement { pushes: false, ..self.announce(*name, fields, session) };
        names.iter().skip(1).map(hint).collect()
    }

    /// Whether the event is published under any name.
    pub fn is_announced(&self) -> bool {
        !self.consequences().names.is_empty()
    }

    /// The only member whom the event concerns. None if it concerns both.
    pub fn only(&self) -> Option<&UserId> {
        self.consequences().only
    }

    /// The name of the message that decides who is told.
    pub fn name(&self) -> Option<&'static str> {
        self.consequences().names.first().map(|name| name.as_str())
    }

    fn announce(&self, name: EventName, fields: Fields<'_>, session: &SessionId) -> Announcement {
        let mut payload = self.payload(fields);
        let by = self.by.as_ref().map_or(Value::Null, |user| user.as_str().into());
        payload.insert("sessionId".into(), session.as_str().into());
        payload.insert("seq".into(), self.seq.into());
        payload.insert("timestamp".into(), self.at.as_millis().into());
        // An event without an author is news for both.
        let for_both = name.audience() == Audience::Partner && self.by.is_none();
        let audience = if for_both { Audience::Both } else { name.audience() };
        match name.audience() {
            Audience::Partner => {
                payload.insert("excludeUserId".into(), by.clone());
                payload.insert("triggeredByUserId".into(), by);
            }
            Audience::Each => {
                payload.insert("triggeredByUserId".into(), by);
            }
            Audience::Both => {}
        }
        let Consequences { is_news, only, .. } = self.consequences();
        let pushes = name.push() != Push::Never && is_news;
        let only = only.cloned();
        Announcement { name: name.as_str(), payload, audience, only, pushes }
    }

    fn payload(&self, fields: Fields<'_>) -> Map<String, Value> {
        let fields = match fields {
            Fields::Common => json!({}),
            Fields::SignedAt => json!({ "signedAt": self.at }),
            Fields::Completed(stage, None) => json!({ "stage": stage, "completedAt": self.at }),
            Fields::Completed(stage, Some(next)) => {
                json!({ "stage": stage, "completedAt": self.at, "previousStage": stage, "currentStage": next })
            }
            Fields::ToStage(stage) => json!({ "toStage": stage }),
            Fields::Willing(willing) => json!({ "willingToAccept": willing }),
            Fields::Consent(kind) => json!({ "kind": kind }),
            Fields::Agreement(id) => json!({ "agreementId": id }),
            Fields::Agreements(ids) => json!({ "agreementIds": ids }),
            Fields::Selections(change) => {
                json!({ "change": format!("stage4_selection_{change}"), "submittedBy": self.by })
            }
            // The author is left out, as with the proposals that the sub-chat has created.
            Fields::SubChatResolved => json!({ "change": "stage4_subchat_resolved" }),
            Fields::Closed(kind, agreements) => {
                let ids: Vec<_> = agreements.iter().map(|agreement| &agreement.id).collect();
                json!({ "closedBy": self.by, "kind": kind, "agreementIds": ids })
            }
            Fields::Action(action) => json!({ "actionType": action }),
            Fields::Pause(reason) => json!({ "by": self.by, "reason": reason }),
        };
        if let Value::Object(payload) = fields { payload } else { Map::new() }
    }
}

/// What the messages of an event say beyond the fields that all messages have.
#[derive(Clone, Copy)]
pub(super) enum Fields<'a> {
    Common,
    SignedAt,
    Completed(Stage, Option<Stage>),
    ToStage(Stage),
    Willing(bool),
    Consent(ConsentKind),
    Agreement(&'a AgreementId),
    Agreements(&'a [AgreementId]),
    Selections(&'static str),
    SubChatResolved,
    Action(&'static str),
    Closed(ClosureKind, &'a [ClosedAgreement]),
    Pause(Option<&'a PrivateText>),
}
