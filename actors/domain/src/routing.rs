//! How an event reaches a partner: over the channel, by push, or both. The decision depends on presence, push token and
//! one setting. Each decision has a reason in a fixed wording, which is stored with the event.

use serde::{Deserialize, Serialize};

use crate::event::{Announcement, Audience};

/// Whether a partner is in the presence set of the session. A failed look-up is `Unknown`, never `Absent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// A device of the partner is on the session's channel.
    Present,
    /// No device of the partner is there.
    Absent,
    /// Nobody has asked yet, or the look-up failed.
    Unknown,
}

/// `routing.when_absent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenAbsent {
    /// An absent partner with a push token gets a push only.
    #[default]
    Push,
    /// An absent partner with a push token gets a push, and the event is published as well.
    PushAndPublish,
}

/// What the decision knows of the partner's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceKnowledge {
    /// What the presence set said.
    Known(Presence),
    /// The realtime provider did not answer in time.
    Unresolved,
}

/// How one event is delivered to one partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryRoute {
    /// On the channel only.
    Publish,
    /// Send a push only.
    Push,
    /// Publish, and send a push.
    PublishAndPush,
    /// Ask the realtime provider first, then decide again.
    Resolve,
    /// Neither publish nor send a push.
    Nothing,
}

impl DeliveryRoute {
    /// Whether the event goes to the channel.
    pub const fn publishes(self) -> bool {
        matches!(self, DeliveryRoute::Publish | DeliveryRoute::PublishAndPush)
    }

    /// Whether the event becomes a push.
    pub const fn pushes(self) -> bool {
        matches!(self, DeliveryRoute::Push | DeliveryRoute::PublishAndPush)
    }

    /// The name in metrics and stored decisions.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The route that was chosen, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingDecision {
    /// How the event is delivered.
    pub route: DeliveryRoute,
    /// A fixed wording, without anything personal.
    pub reason: &'static str,
}

/// What the decision needs to know of one partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The event comes from a command of this partner.
    pub is_author: bool,
    /// Of this partner, when the decision is made.
    pub knowledge: PresenceKnowledge,
    /// Any device of this partner can get pushes.
    pub has_push_token: bool,
}

/// Decides how one announcement reaches one partner.
pub fn route(announcement: &Announcement, recipient: Recipient, when_absent: WhenAbsent) -> RoutingDecision {
    decide(announcement.audience, announcement.pushes, recipient, when_absent)
}

fn decide(audience: Audience, event_pushes: bool, recipient: Recipient, when_absent: WhenAbsent) -> RoutingDecision {
    let because = |route, reason| RoutingDecision { route, reason };
    match audience {
        Audience::Partner if recipient.is_author => return because(DeliveryRoute::Nothing, "author"),
        // The author's screen waits for the event. A push to the author about its own deed would be noise.
        Audience::Both | Audience::Each if recipient.is_author => return because(DeliveryRoute::Publish, "author"),
        Audience::Partner | Audience::Both | Audience::Each => {}
    }
    if !event_pushes {
        return because(DeliveryRoute::Publish, "event without push");
    }
    match (recipient.knowledge, recipient.has_push_token) {
        (PresenceKnowledge::Known(Presence::Present), _) => because(DeliveryRoute::Publish, "present"),
        (PresenceKnowledge::Known(Presence::Absent), true) => match when_absent {
            WhenAbsent::Push => because(DeliveryRoute::Push, "absent"),
            WhenAbsent::PushAndPublish => because(DeliveryRoute::PublishAndPush, "absent"),
        },
        (PresenceKnowledge::Known(Presence::Absent), false) => because(DeliveryRoute::Publish, "absent, no push token"),
        (PresenceKnowledge::Known(Presence::Unknown), true) => because(DeliveryRoute::Resolve, "presence unknown"),
        (PresenceKnowledge::Known(Presence::Unknown), false) => {
            because(DeliveryRoute::Publish, "presence unknown, no push token")
        }
        (PresenceKnowledge::Unresolved, true) => because(DeliveryRoute::PublishAndPush, "presence unresolved"),
        (PresenceKnowledge::Unresolved, false) => because(DeliveryRoute::Publish, "presence unresolved, no push token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWLEDGE: [PresenceKnowledge; 4] = [
        PresenceKnowledge::Known(Presence::Present),
        PresenceKnowledge::Known(Presence::Absent),
        PresenceKnowledge::Known(Presence::Unknown),
        PresenceKnowledge::Unresolved,
    ];

    fn route_of(knowledge: PresenceKnowledge, has_push_token: bool, when_absent: WhenAbsent) -> DeliveryRoute {
        let recipient = Recipient { is_author: false, knowledge, has_push_token };
        decide(Audience::Partner, true, recipient, when_absent).route
    }

    #[test]
    fn follows_the_table() {
        use DeliveryRoute::*;
        let table = [
            // with a token                          without
            (WhenAbsent::Push, [Publish, Push, Resolve, PublishAndPush], [Publish; 4]),
            (WhenAbsent::PushAndPublish, [Publish, PublishAndPush, Resolve, PublishAndPush], [Publish; 4]),
        ];
        for (when_absent, with_token, without) in table {
            for (index, knowledge) in KNOWLEDGE.into_iter().enumerate() {
                assert_eq!(route_of(knowledge, true, when_absent), with_token[index], "{knowledge:?} {when_absent:?}");
                assert_eq!(route_of(knowledge, false, when_absent), without[index], "{knowledge:?} {when_absent:?}");
            }
        }
    }

    #[test]
    fn publishes_to_the_author_only_events_for_both() {
        for knowledge in KNOWLEDGE {
            let author = Recipient { is_author: true, knowledge, has_push_token: true };
            assert_eq!(decide(Audience::Partner, true, author, WhenAbsent::Push).route, DeliveryRoute::Nothing);
            for audience in [Audience::Both, Audience::Each] {
                let told = decide(audience, true, author, WhenAbsent::PushAndPublish);
                assert_eq!(told.route, DeliveryRoute::Publish, "on the channel, and never on its own phone");
            }
        }
    }

    #[test]
    fn never_pushes_an_event_without_a_push() {
        for knowledge in KNOWLEDGE {
            let partner = Recipient { is_author: false, knowledge, has_push_token: true };
            assert_eq!(
                decide(Audience::Partner, false, partner, WhenAbsent::PushAndPublish).route,
                DeliveryRoute::Publish
            );
        }
    }
}
