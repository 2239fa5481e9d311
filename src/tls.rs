//! TLS for outgoing and incoming connections goes through rustls with ring; the process has to say so once before the
//! first connection is made.

use std::sync::OnceLock;

/// Makes ring the process's provider. Call it before any HTTP client is built; calling it again has no effect.
pub fn install_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // An error means that the host application has chosen a provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}
