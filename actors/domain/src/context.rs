//! What a decision depends on besides the session and the command: actor, time, fresh identifiers and limits.

use std::{str::FromStr, time::Duration};

use crate::{
    app::{AppMode, AppSettings},
    ids::UserId,
    private_text::PrivateText,
    time::Timestamp,
};

/// Fresh identifiers: `c` and 24 characters of `[a-z0-9]`, unguessable.
pub trait Ids: Send + Sync + 'static {
    /// Another identifier with each call.
    fn fresh(&self) -> String;
}

/// Who calls: the subject of the token, and the name that the user goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The `sub` of the token.
    pub id: UserId,
    /// What partners see; none if neither the token nor the user gave one.
    pub name: Option<PrivateText>,
    /// As the user has set it.
    pub privacy: Privacy,
    /// The user's client has made a call that only the product's own app makes.
    pub app: bool,
}

impl Caller {
    /// A caller of whom only the id is known.
    pub fn nameless(id: UserId) -> Self {
        Self { id, name: None, privacy: Privacy::default(), app: false }
    }
}

/// The privacy preferences of a user. The default hides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// The user accepts no invitations.
    pub refuses_invitations: bool,
    /// Partners do not see when the user was last there.
    pub hides_activity: bool,
}

/// The origin of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A partner, or the AI service in the name of one.
    User(Caller),
    /// A timer of the coordinator.
    System,
}

/// What [`crate::Session::decide`] gets besides the command.
pub struct Context<'a> {
    /// Who causes the events.
    pub by: Actor,
    /// The time of the decision. The events have it, unless the clock went back.
    pub now: Timestamp,
    /// For what the events create.
    pub ids: &'a dyn Ids,
    /// The operator's limits.
    pub settings: &'a DomainSettings,
}

impl Context<'_> {
    /// Whether a stored time lies at most `allowance` in the future. If it lies further ahead, the clock was wrong when
    /// the time was stored, and nothing may wait for it.
    pub(super) fn is_credible(&self, at: Timestamp, allowance: Duration) -> bool {
        at <= self.now + allowance
    }

    /// A fresh identifier.
    pub(super) fn fresh<T: FromStr>(&self) -> T {
        let Ok(id) = self.ids.fresh().parse() else { unreachable!("the Ids port makes coordinator ids") };
        id
    }
}

/// The limits that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainSettings {
    /// Least time between two nudges of one partner.
    pub nudge_min_interval: Duration,
    /// How long an invitation can be accepted after it was sent.
    pub invitation_ttl: Duration,
    /// How often an invitation may be sent again.
    pub invitation_max_resends: u32,
    /// Least time between two resends.
    pub invitation_resend_interval: Duration,
    /// A live session is abandoned after this time without an event.
    pub abandon_after: Duration,
    /// The link of an invitation. `{invitationId}` is replaced.
    pub invitation_url: String,
    /// How the product's own app is served.
    pub app: AppSettings,
}

impl DomainSettings {
    /// Whether the caller is in app mode as soon as the caller is a member.
    pub fn serves_app(&self, caller: &Caller) -> bool {
        match self.app.mode {
            AppMode::Auto => caller.app,
            AppMode::On => true,
            AppMode::Off => false,
        }
    }
}

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

impl Default for DomainSettings {
    fn default() -> Self {
        Self {
            nudge_min_interval: Duration::from_secs(6 * HOUR),
            invitation_ttl: Duration::from_secs(7 * DAY),
            invitation_max_resends: 3,
            invitation_resend_interval: Duration::from_secs(DAY),
            abandon_after: Duration::from_secs(90 * DAY),
            invitation_url: "meetwithoutfear://invitation/{invitationId}".into(),
            app: AppSettings::default(),
        }
    }
}
