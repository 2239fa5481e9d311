//! TLS for outgoing and incoming connections: rustls with AWS-LC. The process must install the provider once before the
//! first connection.

mod certificate;

use std::{
    collections::HashMap,
    error::Error as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::RwLock;
use rustls::{
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

pub use self::certificate::CertificateError;
pub(crate) use self::certificate::{certified, certified_as_it_is, times};
use self::certificate::{certified_key, note_expiry};

/// Installs AWS-LC as the process's provider, before any HTTP client is built. Repeated calls have no effect.
pub fn install_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // An error means that a provider is installed already, which works too.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    });
}

fn provider() -> Arc<CryptoProvider> {
    install_provider();
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// A client for web services. It trusts the system's roots and Mozilla's, so that it also works in an image without
/// installed roots.
pub fn http_client() -> reqwest::ClientBuilder {
    install_provider();
    reqwest::Client::builder().tls_certs_merge(mozillas_roots())
}

/// As [`http_client`], for a thread of its own. An async task must not build or drop it.
pub(crate) fn blocking_http_client() -> reqwest::blocking::ClientBuilder {
    install_provider();
    reqwest::blocking::Client::builder().tls_certs_merge(mozillas_roots())
}

/// The text of an error with its sources, without the address. The outermost error ("error sending request") says too
/// little.
pub(crate) fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn mozillas_roots() -> impl Iterator<Item = reqwest::Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| reqwest::Certificate::from_der(root).ok())
}

/// The protocol of the handshake by which a certificate authority checks a challenge (RFC 8737).
pub(crate) const ACME_CHALLENGE: &[u8] = b"acme-tls/1";

/// The node's certificate. It can be replaced while the node runs; later handshakes use the new one.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The files that it is read from: chain and key. `None` if it comes from a certificate authority.
    files: Option<(PathBuf, PathBuf)>,
    current: RwLock<Arc<CertifiedKey>>,
    /// The answers to a certificate authority's challenges, by domain.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl ServerCertificate {
    /// Reads a certificate chain and its private key, both PEM.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let files = Some((chain.to_owned(), key.to_owned()));
        Ok(Self::new(files, certified_key(chain, key)?))
    }

    /// A certificate that [`ServerCertificate::replace`] renews.
    pub(crate) fn renewed_by_acme(current: Arc<CertifiedKey>) -> Arc<Self> {
        Self::new(None, current)
    }

    fn new(files: Option<(PathBuf, PathBuf)>, current: Arc<CertifiedKey>) -> Arc<Self> {
        note_expiry(&current);
        Arc::new(Self { files, current: RwLock::new(current), challenges: RwLock::default() })
    }

    /// Reads both files again. Returns false if it does not come from files.
    ///
    /// # Errors
    /// Like [`ServerCertificate::read`]. The old certificate stays.
    pub fn read_again(&self) -> Result<bool, CertificateError> {
        let Some((chain, key)) = &self.files else { return Ok(false) };
        self.replace(certified_key(chain, key)?);
        Ok(true)
    }

    /// Uses this certificate for later handshakes.
    pub(crate) fn replace(&self, renewed: Arc<CertifiedKey>) {
        note_expiry(&renewed);
        *self.current.write() = renewed;
    }

    /// Sets the certificate that answers an authority's challenge for this domain.
    pub(crate) fn answer_challenge(&self, domain: String, answer: Arc<CertifiedKey>) {
        self.challenges.write().insert(domain, answer);
    }

    pub(crate) fn end_challenges(&self) {
        self.challenges.write().clear();
    }

    /// The configuration for incoming connections, with HTTP/1.1.
    ///
    /// # Errors
    /// If the crypto provider lacks the usual protocol versions.
    pub fn server_config(self: &Arc<Self>) -> Result<rustls::ServerConfig, rustls::Error> {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.files.is_none() {
            config.alpn_protocols.push(ACME_CHALLENGE.to_vec());
        }
        Ok(config)
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_CHALLENGE)) {
            return self.challenges.read().get(hello.server_name()?).cloned();
        }
        Some(self.current.read().clone())
    }
}
