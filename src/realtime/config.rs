//! Settings of realtime, `[realtime]`.

use std::time::Duration;

use serde::Deserialize;

use super::{channels::ChannelNames, cloud};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The endpoint that is embedded in this node.
    #[default]
    Embedded,
    /// Ably's cloud.
    Ably,
}

impl ProviderKind {
    /// As written in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            ProviderKind::Embedded => "embedded",
            ProviderKind::Ably => "ably",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RealtimeSettings {
    /// `embedded` or `ably`.
    pub provider: ProviderKind,
    /// Whether partners' tokens let them publish on session channels.
    pub client_publish: bool,
    /// The session channel's name, with `{sessionId}`.
    pub session_channel: String,
    /// The channels whose presence sets count, each with `{sessionId}`. Clients are told to enter the first.
    pub presence_channels: Vec<String>,
    /// A user's own channel, with `{userId}`.
    pub user_channel: String,
    /// The lifetime of a client's token.
    #[serde(with = "humantime_serde")]
    pub token_ttl: Duration,
    /// The largest number of sessions of a token, those with the newest changes first.
    pub token_sessions: usize,
    /// A token covers a resolved session for this long, so that its screen still works.
    #[serde(with = "humantime_serde")]
    pub resolved_access: Duration,
    pub embedded: tandem_ably::Config,
    pub ably: cloud::CloudSettings,
}

impl Default for RealtimeSettings {
    fn default() -> Self {
        let names = ChannelNames::default();
        Self {
            provider: ProviderKind::Embedded,
            client_publish: true,
            session_channel: names.session_channel,
            presence_channels: names.presence_channels,
            user_channel: names.user_channel,
            token_ttl: Duration::from_secs(3600),
            token_sessions: 50,
            resolved_access: Duration::from_secs(7 * 24 * 3600),
            embedded: tandem_ably::Config::default(),
            ably: cloud::CloudSettings::default(),
        }
    }
}

impl RealtimeSettings {
    /// The channel names of these settings.
    pub fn names(&self) -> ChannelNames {
        ChannelNames {
            session_channel: self.session_channel.clone(),
            presence_channels: self.presence_channels.clone(),
            user_channel: self.user_channel.clone(),
        }
    }
}
