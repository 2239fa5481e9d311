//! Channel names: templates with `{sessionId}` or `{userId}`, read in both directions.

use serde::{Deserialize, Serialize};
use tandem_actors::{
    domain::ids::{SessionId, UserId},
    ports::Channel,
};

const SESSION: &str = "{sessionId}";
const USER: &str = "{userId}";

/// The names of the coordinator's channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelNames {
    /// The session channel, to which both partners subscribe. Contains `{sessionId}`.
    pub session_channel: String,
    /// The channels whose presence sets count: a partner in any of them is present. Clients are told to enter the
    /// first. The app's generations enter the others. Each contains `{sessionId}`.
    pub presence_channels: Vec<String>,
    /// A user's own channel, for list screens. Contains `{userId}`.
    pub user_channel: String,
}

impl Default for ChannelNames {
    fn default() -> Self {
        Self {
            session_channel: "meetwithoutfear:session:{sessionId}".into(),
            presence_channels: vec![
                "meetwithoutfear:session:{sessionId}:presence".into(),
                "meetwithoutfear:presence:{sessionId}".into(),
                "meetwithoutfear:session:{sessionId}".into(),
            ],
            user_channel: "meetwithoutfear:user:{userId}".into(),
        }
    }
}

/// A template that gives no usable channel names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("realtime.{setting} is '{found}', but {expected}")]
pub struct InvalidTemplate {
    /// The setting below `realtime`.
    pub setting: &'static str,
    /// The template.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl ChannelNames {
    /// # Errors
    /// If a template lacks its placeholder or is a pattern, or if a user channel could have the name of a session's
    /// channel.
    pub fn validate(&self) -> Result<(), InvalidTemplate> {
        let check = |setting, template: &str, placeholder| {
            if template.matches(placeholder).count() == 1
                && !template.starts_with([':', '['])
                && !template.contains('*')
            {
                return Ok(());
            }
            let expected =
                format!("must contain {placeholder} exactly once, not begin with ':' or '[', and not hold '*'");
            Err(InvalidTemplate { setting, found: template.to_owned(), expected })
        };
        let sessions = || std::iter::once(&self.session_channel).chain(&self.presence_channels);
        if let Some(alike) = sessions().find(|template| may_be_called_alike(&self.user_channel, template)) {
            let expected = format!("must differ from '{alike}' in more than what stands for the placeholder");
            return Err(InvalidTemplate { setting: "user_channel", found: self.user_channel.clone(), expected });
        }
        check("session_channel", &self.session_channel, SESSION)?;
        check("user_channel", &self.user_channel, USER)?;
        self.presence_channels.iter().try_for_each(|template| check("presence_channels", template, SESSION))
    }

    /// The channel that both partners of a session hear.
    pub fn session(&self, session: &SessionId) -> String {
        self.session_channel.replace(SESSION, session.as_str())
    }

    /// The channel of one user, for lists of sessions.
    pub fn user(&self, user: &UserId) -> String {
        self.user_channel.replace(USER, user.as_str())
    }

    /// The session's presence channels, in the order of the setting.
    pub fn presence(&self, session: &SessionId) -> impl Iterator<Item = String> {
        self.presence_channels.iter().map(|template| template.replace(SESSION, session.as_str()))
    }

    /// The name of a channel.
    pub fn of(&self, channel: &Channel) -> String {
        match channel {
            Channel::Session(session) => self.session(session),
            Channel::User(user) => self.user(user),
        }
    }

    /// Whether the channel may be one of a session or of a user.
    pub fn is_coordinators(&self, channel: &str) -> bool {
        let is_users = self.user_channel.split_once(USER).is_some_and(|(before, after)| {
            channel.len() > before.len() + after.len() && channel.starts_with(before) && channel.ends_with(after)
        });
        is_users || self.parse_session(channel).is_some() || self.parse_presence(channel).is_some()
    }

    /// The session with this session channel.
    pub fn parse_session(&self, channel: &str) -> Option<SessionId> {
        session_in(&self.session_channel, channel)?.parse().ok()
    }

    /// The session with this presence channel, and the channel's number.
    pub fn parse_presence(&self, channel: &str) -> Option<(SessionId, usize)> {
        self.presence_channels.iter().enumerate().find_map(|(index, template)| {
            let session = session_in(template, channel)?.parse().ok()?;
            Some((session, index))
        })
    }
}

/// Whether the channel of some user could have the name of some session's channel. Ids of users may contain anything,
/// ids of sessions only lower-case letters and digits.
fn may_be_called_alike(user: &str, session: &str) -> bool {
    let (Some((user_front, user_back)), Some((front, back))) = (user.split_once(USER), session.split_once(SESSION))
    else {
        return false;
    };
    let is_of_an_id = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let begins = front.starts_with(user_front) || user_front.strip_prefix(front).is_some_and(is_of_an_id);
    let ends = back.ends_with(user_back) || user_back.strip_suffix(back).is_some_and(is_of_an_id);
    begins && ends
}

/// The session's id in a channel's name.
fn session_in<'c>(template: &str, channel: &'c str) -> Option<&'c str> {
    let (before, after) = template.split_once(SESSION)?;
    channel.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coordinators_channels_are_known_by_name() {
        let names = ChannelNames::default();
        for channel in
            ["meetwithoutfear:user:x:y", "meetwithoutfear:session:csession01", "meetwithoutfear:presence:csession01"]
        {
            assert!(names.is_coordinators(channel), "{channel}");
        }
        for channel in ["meetwithoutfear:user:", "meetwithoutfear:session:", "test", "my:user:x"] {
            assert!(!names.is_coordinators(channel), "{channel}");
        }
    }

    #[test]
    fn names_are_read_back() {
        let names = ChannelNames::default();
        let session: SessionId = "csession01".parse().unwrap();
        assert_eq!(names.parse_session(&names.session(&session)), Some(session.clone()));
        for (index, channel) in names.presence(&session).enumerate() {
            assert_eq!(names.parse_presence(&channel), Some((session.clone(), index)));
            let is_session = channel == names.session(&session);
            assert_eq!(names.parse_session(&channel).is_some(), is_session, "{channel}");
        }
        assert_eq!(names.presence(&session).next().as_deref(), Some("meetwithoutfear:session:csession01:presence"));
    }

    #[test]
    fn a_template_needs_its_placeholder() {
        assert_eq!(ChannelNames::default().validate(), Ok(()));
        let broken = ChannelNames { session_channel: "sessions".into(), ..ChannelNames::default() };
        assert_eq!(broken.validate().unwrap_err().setting, "session_channel");
        let pattern = ChannelNames { session_channel: "*:{sessionId}".into(), ..ChannelNames::default() };
        assert_eq!(pattern.validate().unwrap_err().setting, "session_channel");
    }

    #[test]
    fn no_user_has_a_channel_of_a_sessions_name() {
        let validated = |user: &str, session: &str| {
            let presence_channels = vec!["p:{sessionId}".into()];
            let names = ChannelNames { session_channel: session.into(), presence_channels, user_channel: user.into() };
            names.validate().map_err(|error| error.setting)
        };
        for (user, session) in
            [("a:{userId}", "a:{sessionId}"), ("{userId}", "s:{sessionId}"), ("a:c{userId}", "a:{sessionId}")]
        {
            assert_eq!(validated(user, session), Err("user_channel"), "{user} {session}");
        }
        for (user, session) in
            [("a:user:{userId}", "a:{sessionId}"), ("a:{userId}:u", "a:{sessionId}:s"), ("b:{userId}", "a:{sessionId}")]
        {
            assert_eq!(validated(user, session), Ok(()), "{user} {session}");
        }
    }
}
