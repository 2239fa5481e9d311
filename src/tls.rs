//! TLS for outgoing and incoming connections goes through rustls with ring; the process has to say so once before the
//! first connection is made.

use std::{path::Path, sync::OnceLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Makes ring the process's provider. Call it before any HTTP client is built; calling it again has no effect.
pub fn install_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // An error means that the host application has chosen a provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

/// A client for services on the web. It trusts the system's roots and Mozilla's, so that it also works where no roots are
/// installed, as in an image that holds this binary alone.
pub fn http_client() -> reqwest::ClientBuilder {
    install_provider();
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let parsed = roots.filter_map(|root| reqwest::Certificate::from_der(root).ok());
    reqwest::Client::builder().tls_certs_merge(parsed)
}

/// For connections from outside: a certificate chain and its private key, both PEM.
///
/// # Errors
/// Which file, and what is wrong with it.
pub fn server_config(certificate: &Path, key: &Path) -> Result<rustls::ServerConfig, String> {
    let problem = |file: &Path, problem: String| format!("{}: {problem}", file.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| problem(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(problem(certificate, "holds no certificate; it must be a PEM file with the whole chain".into()));
    }
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| problem(key, error.to_string()))?;
    rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| problem(key, error.to_string()))
}
