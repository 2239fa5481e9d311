//! Which way an event goes to a partner: a pure table of presence, push token and one setting. Every decision has a
//! reason in stable words, which is kept with the event.

use serde::{Deserialize, Serialize};

use super::event::{Announcement, Audience};

/// Whether a partner is in the session's presence set. An error on the way is `Unknown`, never `Absent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Present,
    Absent,
    Unknown,
}

/// `routing.when_absent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenAbsent {
    /// An absent partner with a push token is told by push alone.
    #[default]
    Push,
    /// … and over the channel, too.
    PushAndPublish,
}

/// Where a partner's presence stands in the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    Known(Presence),
    /// The provider was asked and did not say in time.
    Unresolved,
}

/// What is done for one event and one partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legs {
    Publish,
    Push,
    PublishAndPush,
    /// Ask the realtime provider first, then decide again.
    Resolve,
    Nothing,
}

impl Legs {
    pub const fn publishes(self) -> bool {
        matches!(self, Legs::Publish | Legs::PublishAndPush)
    }

    pub const fn pushes(self) -> bool {
        matches!(self, Legs::Push | Legs::PublishAndPush)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Legs::Publish => "publish",
            Legs::Push => "push",
            Legs::PublishAndPush => "publish_and_push",
            Legs::Resolve => "resolve",
            Legs::Nothing => "nothing",
        }
    }
}

/// What was decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub legs: Legs,
    pub reason: &'static str,
}

/// One partner, seen from one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Whose command the event came from.
    pub is_author: bool,
    pub knowledge: Knowledge,
    pub has_push_token: bool,
}

pub fn route(announcement: &Announcement, recipient: Recipient, when_absent: WhenAbsent) -> Decision {
    decide(announcement.audience, announcement.pushes, recipient, when_absent)
}

fn decide(audience: Audience, event_pushes: bool, recipient: Recipient, when_absent: WhenAbsent) -> Decision {
    let because = |legs, reason| Decision { legs, reason };
    match audience {
        Audience::Partner if recipient.is_author => return because(Legs::Nothing, "author"),
        // Its screen waits for the event; its phone does not ring for what it has done itself.
        Audience::Both | Audience::Each if recipient.is_author => return because(Legs::Publish, "author"),
        Audience::Partner | Audience::Both | Audience::Each => {}
    }
    if !event_pushes {
        return because(Legs::Publish, "event without push");
    }
    match (recipient.knowledge, recipient.has_push_token) {
        (Knowledge::Known(Presence::Present), _) => because(Legs::Publish, "present"),
        (Knowledge::Known(Presence::Absent), true) => match when_absent {
            WhenAbsent::Push => because(Legs::Push, "absent"),
            WhenAbsent::PushAndPublish => because(Legs::PublishAndPush, "absent"),
        },
        (Knowledge::Known(Presence::Absent), false) => because(Legs::Publish, "absent, no push token"),
        (Knowledge::Known(Presence::Unknown), true) => because(Legs::Resolve, "presence unknown"),
        (Knowledge::Known(Presence::Unknown), false) => because(Legs::Publish, "presence unknown, no push token"),
        (Knowledge::Unresolved, true) => because(Legs::PublishAndPush, "presence unresolved"),
        (Knowledge::Unresolved, false) => because(Legs::Publish, "presence unresolved, no push token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWLEDGE: [Knowledge; 4] = [
        Knowledge::Known(Presence::Present),
        Knowledge::Known(Presence::Absent),
        Knowledge::Known(Presence::Unknown),
        Knowledge::Unresolved,
    ];

    fn legs(knowledge: Knowledge, has_push_token: bool, when_absent: WhenAbsent) -> Legs {
        let recipient = Recipient { is_author: false, knowledge, has_push_token };
        decide(Audience::Partner, true, recipient, when_absent).legs
    }

    #[test]
    fn follows_the_table() {
        use Legs::*;
        let table = [
            // with a token                          without
            (WhenAbsent::Push, [Publish, Push, Resolve, PublishAndPush], [Publish; 4]),
            (WhenAbsent::PushAndPublish, [Publish, PublishAndPush, Resolve, PublishAndPush], [Publish; 4]),
        ];
        for (when_absent, with_token, without) in table {
            for (index, knowledge) in KNOWLEDGE.into_iter().enumerate() {
                assert_eq!(legs(knowledge, true, when_absent), with_token[index], "{knowledge:?} {when_absent:?}");
                assert_eq!(legs(knowledge, false, when_absent), without[index], "{knowledge:?} {when_absent:?}");
            }
        }
    }

    #[test]
    fn tells_an_author_of_its_own_event_only_where_both_are_meant() {
        for knowledge in KNOWLEDGE {
            let author = Recipient { is_author: true, knowledge, has_push_token: true };
            assert_eq!(decide(Audience::Partner, true, author, WhenAbsent::Push).legs, Legs::Nothing);
            for audience in [Audience::Both, Audience::Each] {
                let told = decide(audience, true, author, WhenAbsent::PushAndPublish);
                assert_eq!(told.legs, Legs::Publish, "on the channel, and never on its own phone");
            }
        }
    }

    #[test]
    fn never_pushes_an_event_that_is_not_for_pushing() {
        for knowledge in KNOWLEDGE {
            let partner = Recipient { is_author: false, knowledge, has_push_token: true };
            assert_eq!(decide(Audience::Partner, false, partner, WhenAbsent::PushAndPublish).legs, Legs::Publish);
        }
    }
}
