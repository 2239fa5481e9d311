//! Checks that types cannot make: values of the right form that cannot work, and are most likely mistakes.

use url::Url;

use super::Settings;
use crate::{
    realtime::ProviderKind,
    secret::Secret,
    store::{Password, StoreKind},
};

/// Characters that the AI service's token has at least.
const SERVICE_TOKEN: usize = 16;
/// Characters of a text that the app shows, at most; the limit for partners' own texts is the same.
const APP_TEXT: usize = 500;

/// A setting that is refused. `problem` continues a sentence that begins with the key, and says what would be right.
#[derive(Debug)]
pub(super) struct InvalidSetting {
    pub key: String,
    pub problem: String,
}

fn require(holds: bool, key: &str, problem: impl Into<String>) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting { key: key.into(), problem: problem.into() }) }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        require(
            self.routing.retry_min <= self.routing.retry_max,
            "routing.retry_max",
            "is shorter than routing.retry_min, but must not be",
        )?;
        require(
            self.journal.max_bytes >= self.journal.segment_bytes.saturating_mul(8),
            "journal.max_bytes",
            "is too little: at least eight times journal.segment_bytes",
        )?;
        require(
            self.journal.recent_bytes >= self.journal.checkpoint_bytes,
            "journal.recent_bytes",
            "is less than journal.checkpoint_bytes, but must not be",
        )?;
        require(
            self.backup.schedule.is_none() || self.backup.to.is_some(),
            "backup.schedule",
            "needs backup.to, the directory of backups",
        )?;
        // `tandem backup` and the node run in different working directories, and mean the same directory.
        require(
            self.backup.to.as_ref().is_none_or(|to| to.is_absolute()),
            "backup.to",
            "is a relative path, but must be absolute, as \"/var/backups/tandem\"",
        )?;
        // A repeated request must not create a removed session again.
        require(
            self.retention.ended.is_none_or(|ended| ended >= self.retention.answers),
            "retention.ended",
            "is shorter than retention.answers, but must not be",
        )?;
        self.check_store()?;
        self.check_fleet()?;
        self.check_texts()?;
        self.check_tls()?;
        self.check_app()?;
        self.check_addresses()?;
        self.check_channels()?;
        self.check_realtime_keys()?;
        self.push.validate().map_err(|error| InvalidSetting {
            key: format!("push.{}", error.key),
            problem: format!("is {}, but must be {}", error.found, error.expected),
        })?;
        let filter = tracing_subscriber::EnvFilter::try_new(&self.telemetry.filter);
        require(filter.is_ok(), "telemetry.filter", "must be a filter, as \"info\" or \"warn,tandem=debug\"")
    }

    fn check_store(&self) -> Result<(), InvalidSetting> {
        let has_address = self.store.engine != StoreKind::Postgres || self.store.url.is_some();
        let right = "must be set with store.engine = \"postgres\", as \"postgres://USER@HOST:5432/DATABASE\"";
        require(has_address, "store.url", right)?;
        let is_encrypted = !self.store.encryption_key_file.as_os_str().is_empty();
        let instead = "is not for store.engine = \"postgres\": encrypt the disk of the database, and leave it out";
        require(self.store.engine != StoreKind::Postgres || !is_encrypted, "store.encryption_key_file", instead)?;
        let is_blank = self.store.password.as_ref().is_some_and(Password::is_blank);
        require(!is_blank, "store.password", "is empty; give a value, or leave the setting out")
    }

    /// Each node of a fleet must be able to take over: no node has anything that the others lack.
    fn check_fleet(&self) -> Result<(), InvalidSetting> {
        if !self.fleet.enabled {
            return Ok(());
        }
        let right = "needs store.engine = \"postgres\": the nodes of a fleet share one database";
        require(self.store.engine == StoreKind::Postgres, "fleet.enabled", right)?;
        if let Some(problem) = self.fleet.problem_with_address() {
            return Err(InvalidSetting { key: "fleet.address".into(), problem });
        }
        let has_key = self.auth.hs256_secret.is_some() || self.auth.jwks_url.is_some();
        require(has_key, "fleet.enabled", "needs auth.hs256_secret or auth.jwks_url, the same for all nodes")?;
        let has_key = self.realtime.provider != ProviderKind::Embedded || !self.realtime.embedded.keys.is_empty();
        require(has_key, "fleet.enabled", "needs realtime.embedded.keys, the same for all nodes")?;
        let has_files = self.server.tls.as_ref().is_none_or(|tls| tls.acme.is_none());
        require(
            has_files,
            "fleet.enabled",
            "needs a certificate in files, or TLS at a proxy in front, and no server.tls.acme",
        )
    }

    /// Refuses texts that are set but empty: often an environment variable without a value.
    fn check_texts(&self) -> Result<(), InvalidSetting> {
        let is_empty =
            |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| secret.reveal().trim().is_empty());
        require(
            !is_empty(&self.auth.hs256_secret),
            "auth.hs256_secret",
            "is empty; give at least 32 characters, or leave it out to have one generated",
        )?;
        for (key, empty) in [
            ("push.access_token", is_empty(&self.push.access_token)),
            ("app.service_token", is_empty(&self.app.service_token)),
            ("auth.issuer", self.auth.issuer.as_deref().is_some_and(str::is_empty)),
            ("auth.audience", self.auth.audience.iter().any(String::is_empty)),
            ("auth.authorized_parties", self.auth.authorized_parties.iter().any(String::is_empty)),
            ("push.channel_id", self.push.channel_id.as_deref().is_some_and(str::is_empty)),
        ] {
            require(!empty, key, "is empty; give a value, or leave the setting out")?;
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), InvalidSetting> {
        let Some(tls) = &self.server.tls else { return Ok(()) };
        let Some(acme) = &tls.acme else {
            require(tls.certificate.is_some(), "server.tls", "has no certificate, which it must have")?;
            return require(tls.key.is_some(), "server.tls", "has no key, which it must have");
        };
        let alone = tls.certificate.is_none() && tls.key.is_none();
        require(alone, "server.tls", "has a certificate and acme, but must have one of them")?;
        require(!acme.domains.is_empty(), "server.tls.acme.domains", "is empty, but must name a domain")?;
        for domain in &acme.domains {
            let problem =
                "but must be a domain in lower case, as \"tandem.example.org\", without '*' and without a port";
            require(is_domain(domain), "server.tls.acme.domains", format!("has {domain:?}, {problem}"))?;
        }
        for address in &acme.contact {
            let right = address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && is_domain(host));
            let problem = "but must be a mail address, as \"operator@example.org\"";
            require(right, "server.tls.acme.contact", format!("has {address:?}, {problem}"))?;
        }
        let right = web_address(&acme.directory).is_some_and(|url| url.scheme() == "https");
        let problem = format!("is {:?}, but must be an https address", acme.directory);
        require(right, "server.tls.acme.directory", problem)
    }

    fn check_app(&self) -> Result<(), InvalidSetting> {
        let guessable = self.app.service_token.as_ref().is_some_and(|token| token.reveal().len() < SERVICE_TOKEN);
        let right = format!("must have at least {SERVICE_TOKEN} characters, as `openssl rand -hex 32` makes them");
        require(!guessable, "app.service_token", right)?;
        for (key, text) in [("app.topic", &self.app.topic), ("app.invitation_message", &self.app.invitation_message)] {
            let length = text.chars().count();
            let problem = format!("has {length} characters, but must have at most {APP_TEXT}");
            require(length <= APP_TEXT, key, problem)?;
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), InvalidSetting> {
        if let Some(text) = &self.auth.jwks_url {
            require(
                web_address(text).is_some(),
                "auth.jwks_url",
                format!("is {text:?}, but must be an http or https address"),
            )?;
        }
        let fallbacks = self.realtime.ably.fallback_urls.iter().flatten();
        let services =
            [("realtime.ably.rest_url", &self.realtime.ably.rest_url), ("push.base_url", &self.push.base_url)];
        for (key, text) in services.into_iter().chain(fallbacks.map(|text| ("realtime.ably.fallback_urls", text))) {
            let problem = "but must be an http or https address of scheme, host and port, without a path";
            let bare = web_address(text).is_some_and(|url| is_bare(&url));
            require(bare, key, format!("is {text:?}, {problem}"))?;
        }
        for origin in &self.server.cors.allowed_origins {
            let exact = web_address(origin).is_some_and(|url| url.origin().ascii_serialization() == *origin);
            let problem = "but a browser sends an origin as \"https://app.example\": scheme, host, and port if it is not \
                           the usual one, without a slash at the end";
            require(origin == "*" || exact, "server.cors.allowed_origins", format!("has {origin:?}, {problem}"))?;
        }
        if let Some(text) = &self.telemetry.otlp_endpoint {
            // The error does not show the refused address, because it may hold a password or a key.
            let plain = |url: &Url| url.query().is_none() && url.fragment().is_none() && !has_credentials(url);
            let right = "must be the http or https address of a collector, as \"http://127.0.0.1:4318\", without name, \
                         password and query; /v1/traces is appended, and OTEL_EXPORTER_OTLP_HEADERS gives an authorization";
            require(web_address(text).is_some_and(|url| plain(&url)), "telemetry.otlp_endpoint", right)?;
        }
        exactly_one("invitations.url", &self.invitations.url, "{invitationId}")
    }

    fn check_channels(&self) -> Result<(), InvalidSetting> {
        let realtime = &self.realtime;
        exactly_one("realtime.session_channel", &realtime.session_channel, "{sessionId}")?;
        exactly_one("realtime.user_channel", &realtime.user_channel, "{userId}")?;
        for name in &realtime.presence_channels {
            exactly_one("realtime.presence_channels", name, "{sessionId}")?;
        }
        require(
            !realtime.presence_channels.is_empty(),
            "realtime.presence_channels",
            "is empty, but must name a channel",
        )?;
        let names = [
            ("realtime.session_channel", &realtime.session_channel),
            ("realtime.user_channel", &realtime.user_channel),
        ];
        let presence = realtime.presence_channels.iter().map(|name| ("realtime.presence_channels", name));
        for (key, name) in names.into_iter().chain(presence) {
            let usable = !name.starts_with([':', '[', '{']) && !name.contains(['*', ',']) && name.trim() == *name;
            let problem = "but a channel's name begins with a namespace, as \"app:session:{sessionId}\", and holds no '*' and no ','";
            require(usable, key, format!("is {name:?}, {problem}"))?;
        }
        Ok(())
    }

    fn check_realtime_keys(&self) -> Result<(), InvalidSetting> {
        let well_formed = |key: &str| {
            key.split_once(':').is_some_and(|(name, secret)| {
                name.split_once('.').is_some_and(|(app, id)| !app.is_empty() && !id.is_empty()) && !secret.is_empty()
            })
        };
        let right = "must be given as appId.keyId:secret, with realtime.provider = \"ably\"";
        let key = self.realtime.ably.key.as_ref().map(|key| well_formed(key.reveal()));
        require(self.realtime.provider != ProviderKind::Ably || key == Some(true), "realtime.ably.key", right)?;
        self.realtime.embedded.read_keys().map(drop).map_err(|error| InvalidSetting {
            key: format!("realtime.embedded.{}", error.setting),
            problem: error.problem,
        })
    }
}

fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether a certificate authority takes it as a name, as far as its form tells.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(allowed)
    };
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    text.contains('.') && text.len() <= 253 && !is_address && text.split('.').all(is_label)
}

/// Whether the address has only scheme, host and port.
fn is_bare(url: &Url) -> bool {
    url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !has_credentials(url)
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn exactly_one(key: &str, text: &str, part: &str) -> Result<(), InvalidSetting> {
    require(text.matches(part).count() == 1, key, format!("is {text:?}, but must contain {part} exactly once"))
}
