//! What types cannot say: values that are well-formed but cannot be meant.

use std::time::Duration;

use super::Settings;
use crate::realtime::ProviderKind;

/// A setting that cannot be meant. `problem` continues a sentence that begins with the key, and says what would be right.
#[derive(Debug)]
pub(super) struct Wrong {
    pub key: String,
    pub problem: String,
}

fn require(holds: bool, key: &str, problem: impl Into<String>) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong { key: key.into(), problem: problem.into() }) }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        self.check_numbers()?;
        self.check_addresses()?;
        self.check_realtime()?;
        let filter = tracing_subscriber::EnvFilter::try_new(&self.telemetry.filter);
        require(filter.is_ok(), "telemetry.filter", "must be a filter, as \"info\" or \"warn,tandem=debug\"")?;
        let secret = self.auth.hs256_secret.as_ref();
        require(
            secret.is_none_or(|secret| !secret.reveal().is_empty()),
            "auth.hs256_secret",
            "is empty; give at least 32 characters, or leave it out to have one generated",
        )
    }

    fn check_numbers(&self) -> Result<(), Wrong> {
        for (key, number) in [
            ("server.body_limit", self.server.body_limit as u64),
            ("store.cache_mib", self.store.cache_mib),
            ("journal.queue", self.journal.queue as u64),
            ("journal.group", self.journal.group as u64),
            ("sessions.snapshot_every", self.sessions.snapshot_every),
            ("sessions.mailbox", self.sessions.mailbox as u64),
        ] {
            require(number > 0, key, "is 0, but must be at least 1")?;
        }
        for (key, duration) in [
            ("sessions.idle_after", self.sessions.idle_after),
            ("sessions.answer_timeout", self.sessions.answer_timeout),
            ("invitations.ttl", self.invitations.ttl),
            ("realtime.token_ttl", self.realtime.token_ttl),
            ("routing.retry_min", self.routing.retry_min),
        ] {
            require(duration > Duration::ZERO, key, "is 0s, but must be longer")?;
        }
        require(
            self.routing.retry_min <= self.routing.retry_max,
            "routing.retry_max",
            "is shorter than routing.retry_min, but must not be",
        )
    }

    fn check_addresses(&self) -> Result<(), Wrong> {
        let jwks = self.auth.jwks_url.iter().map(|url| ("auth.jwks_url", url));
        let others = [("realtime.ably.rest_url", &self.realtime.ably.rest_url), ("push.base_url", &self.push.base_url)];
        for (key, text) in jwks.chain(others) {
            let url = url::Url::parse(text);
            let valid = url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            require(valid, key, format!("is {text:?}, but must be an http or https address"))?;
        }
        Ok(())
    }

    fn check_realtime(&self) -> Result<(), Wrong> {
        let realtime = &self.realtime;
        let sessions = std::iter::once(("realtime.session_channel", &realtime.session_channel))
            .chain(realtime.presence_channels.iter().map(|name| ("realtime.presence_channels", name)))
            .map(|(key, name)| (key, name, "{sessionId}"));
        for (key, name, part) in sessions.chain([("realtime.user_channel", &realtime.user_channel, "{userId}")]) {
            require(
                name.matches(part).count() == 1,
                key,
                format!("is {name:?}, but must contain {part} exactly once"),
            )?;
        }
        require(
            !realtime.presence_channels.is_empty(),
            "realtime.presence_channels",
            "is empty, but must name a channel",
        )?;
        let well_formed = |key: &str| {
            key.split_once(':').is_some_and(|(name, secret)| {
                name.split_once('.').is_some_and(|(app, id)| !app.is_empty() && !id.is_empty()) && !secret.is_empty()
            })
        };
        let right = "must be given as appId.keyId:secret, with realtime.provider = \"ably\"";
        let key = realtime.ably.key.as_ref().map(|key| well_formed(key.reveal()));
        require(realtime.provider != ProviderKind::Ably || key == Some(true), "realtime.ably.key", right)?;
        for key in &realtime.embedded.keys {
            let whole = format!("{}:{}", key.name, key.secret);
            let problem = format!(
                "has a key named {:?}, but a name must be as app.key, with a secret that is not empty",
                key.name
            );
            require(well_formed(&whole), "realtime.embedded.keys", problem)?;
        }
        Ok(())
    }
}
