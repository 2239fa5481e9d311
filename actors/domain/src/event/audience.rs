//! Who hears of an event, and by which kind of push.

/// For whom an event is news, and what its payload says of the acting user. Clients drop what names them as the author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The other partner. `excludeUserId` and `triggeredByUserId` name the author.
    Partner,
    /// Both, the author included: their screens change on this event only. Nobody is named.
    Both,
    /// Both, with a message for each: `forUserId` names the receiver, `triggeredByUserId` the author, nobody is excluded.
    Each,
}

/// The preference with which a user switches pushes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushKind {
    Invitation,
    FollowUp,
    PartnerAction,
}

/// What an absent partner gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Nothing: another event of the same command tells, or it is not worth a notification.
    Never,
    /// A notification with the general text.
    General(PushKind),
    /// A notification with a title and a body of its own, in English.
    Worded(PushKind, &'static str, &'static str),
}

impl Push {
    pub const fn kind(self) -> Option<PushKind> {
        match self {
            Push::Never => None,
            Push::General(kind) | Push::Worded(kind, ..) => Some(kind),
        }
    }
}
