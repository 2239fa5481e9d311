//! TLS for outgoing and incoming connections: rustls with AWS-LC. The process must install the provider once before the
//! first connection.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::RwLock;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

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

/// The same for a thread of its own. It must not be built or dropped by an async task.
pub(crate) fn blocking_http_client() -> reqwest::blocking::ClientBuilder {
    install_provider();
    reqwest::blocking::Client::builder().tls_certs_merge(mozillas_roots())
}

fn mozillas_roots() -> impl Iterator<Item = reqwest::Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| reqwest::Certificate::from_der(root).ok())
}

/// The node's certificate. It can be replaced while the node runs; later handshakes use the new one.
#[derive(Debug)]
pub struct ServerCertificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServerCertificate {
    /// Reads a certificate chain and its private key, both PEM.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Self>, String> {
        let current = RwLock::new(certified_key(chain, key)?);
        Ok(Arc::new(Self { chain: chain.to_owned(), key: key.to_owned(), current }))
    }

    /// Reads both files again.
    ///
    /// # Errors
    /// Like [`ServerCertificate::read`]. The old certificate stays.
    pub fn read_again(&self) -> Result<(), String> {
        let renewed = certified_key(&self.chain, &self.key)?;
        *self.current.write() = renewed;
        Ok(())
    }

    /// For connections from outside, with HTTP/1.1.
    ///
    /// # Errors
    /// If the crypto provider lacks the usual protocol versions.
    pub fn server_config(self: &Arc<Self>) -> Result<rustls::ServerConfig, rustls::Error> {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

fn certified_key(chain_file: &Path, key_file: &Path) -> Result<Arc<CertifiedKey>, String> {
    let problem = |file: &Path, problem: String| format!("{}: {problem}", file.display());
    let chain = CertificateDer::pem_file_iter(chain_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| problem(chain_file, error.to_string()))?;
    if chain.is_empty() {
        return Err(problem(chain_file, "holds no certificate; it must be a PEM file with the whole chain".into()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| problem(key_file, error.to_string()))?;
    let certified = CertifiedKey::from_der(chain, key, &provider());
    certified.map(Arc::new).map_err(|error| problem(key_file, error.to_string()))
}
