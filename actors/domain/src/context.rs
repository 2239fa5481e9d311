//! What a decision depends on besides the session and the command: who acts, when, fresh identifiers, and limits.

use std::{str::FromStr, time::Duration};

use crate::{
    app::{AppMode, AppSettings},
    ids::UserId,
    private_text::PrivateText,
    time::Timestamp,
};

/// Fresh identifiers: `c` and 24 characters of `[a-z0-9]`, unguessable.
pub trait Ids: Send + Sync + 'static {
    fn fresh(&self) -> String;
}

/// Who calls: the subject of the token, and the name that the user goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub id: UserId,
    pub name: Option<PrivateText>,
    pub privacy: Privacy,
    /// Has called what only the product's own app calls.
    pub app: bool,
}

impl Caller {
    /// Somebody of whom nothing is known but the id.
    pub fn nameless(id: UserId) -> Self {
        Self { id, name: None, privacy: Privacy::default(), app: false }
    }
}

/// What a user has asked for by the privacy preferences; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// The user accepts no invitations.
    pub refuses_invitations: bool,
    /// Partners do not see when the user was last there.
    pub hides_activity: bool,
}

/// Who causes a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    User(Caller),
    /// A timer of the coordinator.
    System,
}

pub struct Context<'a> {
    pub by: Actor,
    pub now: Timestamp,
    pub ids: &'a dyn Ids,
    pub settings: &'a Settings,
}

impl Context<'_> {
    /// Whether a moment that was noted lies no further ahead than `allowance`. If it does, the clock was wrong when it was noted, and nothing
    /// may be made to wait for it.
    pub(super) fn is_credible(&self, at: Timestamp, allowance: Duration) -> bool {
        at <= self.now + allowance
    }

    /// A fresh identifier of any coordinator kind.
    pub(super) fn fresh<T: FromStr>(&self) -> T {
        let Ok(id) = self.ids.fresh().parse() else { unreachable!("the Ids port makes coordinator ids") };
        id
    }
}

/// The limits that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Least time between two nudges of one partner.
    pub nudge_min_interval: Duration,
    /// How long an invitation can be accepted.
    pub invitation_ttl: Duration,
    /// How often an invitation may be sent again.
    pub invitation_max_resends: u32,
    /// Least time between two resends.
    pub invitation_resend_interval: Duration,
    /// A live session without any event for so long is abandoned.
    pub abandon_after: Duration,
    /// Where an invitation is opened; `{invitationId}` is replaced.
    pub invitation_url: String,
    pub app: AppSettings,
}

impl Settings {
    /// Whether somebody who becomes a member is in app mode from the beginning.
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

impl Default for Settings {
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
