//! App mode: how the coordinator serves the product's own app. No generation of the app calls "advance", and each
//! begins a session before the partner has joined. So the coordinator advances a member in app mode as soon as an
//! advance would succeed. Other members call "advance" themselves. The mode belongs to one member of one session. It is
//! set by an event, so that a replay makes the same moves.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The setting `app.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppMode {
    /// Members whose client makes a call that only the app makes.
    #[default]
    Auto,
    /// Every member.
    On,
    /// No further members. Members in app mode stay in it.
    Off,
}

/// What a call reveals about the client that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// Only the app makes the call.
    App,
    /// Only the June generation of the app makes the call.
    June,
}

/// What is known about the client of a member in app mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppClient {
    pub(crate) since: Timestamp,
    /// The client is the June generation of the app. False if that is unknown.
    pub(crate) june: bool,
}

/// Texts for the app that apply until the AI service has written others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// Which members are in app mode.
    pub mode: AppMode,
    /// The topic of a session without context. If empty, there is no topic, and it cannot be confirmed.
    pub topic: String,
    /// The text of the invitation. If empty, there is none.
    pub invitation_message: String,
    /// Whether every partner in stage 1 may confirm that they feel heard. If not, the AI service has to offer it first.
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
