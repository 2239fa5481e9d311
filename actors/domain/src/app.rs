//! App mode: how the product's own app is served. Neither generation of the app ever advances by itself, and both begin a
//! session before the partner has joined. So a member in app mode is taken on by the coordinator at the moment at which an
//! advance would succeed; everybody else keeps the explicit contract. The mode belongs to one member of one session, and is an
//! event: replaying gives the same moves.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `app.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppMode {
    /// Members whose client calls what only the app calls.
    #[default]
    Auto,
    /// Every member.
    On,
    /// Nobody further. Those in app mode stay in it.
    Off,
}

/// What a call tells of the client that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// Only the app makes it.
    App,
    /// Only the app from June on makes it.
    June,
}

/// What is known of a member's client. A member with one is in app mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub since: Timestamp,
    /// The app from June on. False if that is not known.
    pub june: bool,
}

/// What the app is told while no AI service has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    pub mode: AppMode,
    /// The topic of a session without context. Empty: there is none, and it cannot be confirmed.
    pub topic: String,
    /// The invitation's text. Empty: there is none.
    pub invitation_message: String,
    /// Whether every partner in stage 1 may confirm to feel heard. If not, the AI service offers it.
    pub offer_feel_heard: bool,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            mode: AppMode::Auto,
            topic: "Something that matters to both of us".into(),
            invitation_message: "I would like us to understand each other better. Will you join me?".into(),
            offer_feel_heard: true,
        }
    }
}
