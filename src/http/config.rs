//! Section `server` of the configuration.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::network::Network;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Worker threads; 0: one for each core.
    pub workers: usize,
    /// How long a graceful stop may take.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
    /// How long a connection may stay open between two requests.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long a client may take to send the head of a request.
    #[serde(with = "humantime_serde")]
    pub client_request_timeout: Duration,
    /// A request that takes longer has a line in the log at `info`.
    #[serde(with = "humantime_serde")]
    pub slow_request: Duration,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// The largest body of a webhook, in bytes. Webhooks are batches.
    pub webhook_body_limit: usize,
    /// Reverse proxies, as addresses or networks, whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<Network>,
    pub cors: CorsSettings,
    /// TLS by the node itself. Unset: plain HTTP, for a reverse proxy in front or a local network.
    pub tls: Option<TlsSettings>,
    pub limits: RateLimitSettings,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins whose pages may call, as `https://app.example`, or `*` for all. Empty: CORS is off.
    pub allowed_origins: Vec<String>,
    /// How long a browser may remember the answer to a preflight request.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Instead of files: certificates from an authority.
    pub acme: Option<AcmeSettings>,
}

/// Certificates by ACME.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeSettings {
    /// The names that clients use for the node.
    pub domains: Vec<String>,
    /// Mail addresses to which the authority may write.
    pub contact: Vec<String>,
    /// The address of the authority's directory.
    pub directory: String,
    /// Where account and certificate are kept. Empty: `acme` in the data directory.
    pub path: PathBuf,
    /// The age at which a certificate is renewed; but when a third of its life is left at the latest.
    #[serde(with = "humantime_serde")]
    pub renew_after: Duration,
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: Vec::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            path: PathBuf::new(),
            renew_after: Duration::from_secs(60 * 24 * 3600),
        }
    }
}

/// Requests per minute, of one user or one address. 0: unlimited.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitSettings {
    /// `GET /auth/ably-token`, of one user.
    pub ably_token: u32,
    /// `POST /sessions`, by user.
    pub create_session: u32,
    /// `POST` and `DELETE /auth/push-token`, of one user.
    pub push_token: u32,
    /// `GET /invitations/{id}`, from one address.
    pub invitation: u32,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 0,
            shutdown_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            client_request_timeout: Duration::from_secs(10),
            slow_request: Duration::from_secs(1),
            body_limit: 64 * 1024,
            webhook_body_limit: 1024 * 1024,
            trusted_proxies: Vec::new(),
            cors: CorsSettings::default(),
            tls: None,
            limits: RateLimitSettings::default(),
        }
    }
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self { allowed_origins: Vec::new(), max_age: Duration::from_secs(600) }
    }
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self { ably_token: 10, create_session: 300, push_token: 5, invitation: 10 }
    }
}
