//! Section `app`: how the product's own app is served.

use serde::Deserialize;
use tandem_actors::domain::app::{AppMode, AppSettings};

use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSection {
    /// Which members move to the next stage automatically.
    pub mode: AppMode,
    /// The topic of a session without context, until the AI service writes one.
    pub topic: String,
    /// The text that goes with an invitation, until the AI service writes one.
    pub invitation_message: String,
    /// Whether the app always offers a member in stage 1 to confirm feeling heard.
    pub offer_feel_heard: bool,
    /// The token of the AI service. Without it, the service's routes do not exist.
    pub service_token: Option<Secret>,
}

impl Default for AppSection {
    fn default() -> Self {
        let AppSettings { mode, topic, invitation_message, offer_feel_heard } = AppSettings::default();
        Self { mode, topic, invitation_message, offer_feel_heard, service_token: None }
    }
}

impl AppSection {
    pub(super) fn domain(&self) -> AppSettings {
        AppSettings {
            mode: self.mode,
            topic: self.topic.clone(),
            invitation_message: self.invitation_message.clone(),
            offer_feel_heard: self.offer_feel_heard,
        }
    }
}
