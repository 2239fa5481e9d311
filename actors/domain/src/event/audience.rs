//! Who hears of an event, and by which kind of push.

/// Who hears of an event, and how its payload names the author. Clients drop messages that name them as the author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The other partner. `excludeUserId` and `triggeredByUserId` name the author.
    Partner,
    /// Both partners. The author's screen changes on this message only, so the payload names nobody.
    Both,
    /// Both partners, with a message for each. `forUserId` names the receiver and `triggeredByUserId` the author;
    /// nobody is excluded.
    Each,
}

/// The preference by which a user switches this kind of push off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushKind {
    /// The preference `newInvitations`.
    Invitation,
    /// The preference `followUpReminders`.
    FollowUp,
    /// The preference `partnerActions`.
    PartnerAction,
}

/// What an absent partner gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Nothing: another event of the same command causes the push, or the event is not worth one.
    Never,
    /// A notification with the general text.
    General(PushKind),
    /// A notification with a title and a body of its own, in English.
    Worded(PushKind, &'static str, &'static str),
}

impl Push {
    /// The preference that the push is subject to. None if there is no push.
    pub const fn kind(self) -> Option<PushKind> {
        match self {
            Push::Never => None,
            Push::General(kind) | Push::Worded(kind, ..) => Some(kind),
        }
    }
}
