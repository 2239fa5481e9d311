//! Reads certificates and their times of validity.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::provider;

/// Why a certificate cannot be used. Each is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read, or is no PEM file.
    #[error("{file}: {source}")]
    Unreadable {
        /// Where it is.
        file: String,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The file is there, and there is no certificate in it.
    #[error("{file}: holds no certificate; it must be a PEM file with the whole chain")]
    Empty {
        /// Where it is.
        file: String,
    },
    /// The key cannot be used, or belongs to another certificate.
    #[error("{file}: {source}")]
    Key {
        /// Where it is.
        file: String,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

fn named(file: &Path) -> String {
    file.display().to_string()
}

fn unreadable(file: &Path) -> impl FnOnce(pem::Error) -> CertificateError {
    |source| CertificateError::Unreadable { file: named(file), source }
}

pub(super) fn certified_key(chain_file: &Path, key_file: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = CertificateDer::pem_file_iter(chain_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(chain_file))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { file: named(chain_file) });
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(unreadable(key_file))?;
    certified(chain, key).map_err(|source| CertificateError::Key { file: named(key_file), source })
}

/// A chain and its key. It is not checked whether they belong together, because rustls does not know the extension in
/// an answer to a challenge.
pub(crate) fn certified_as_it_is(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let key = provider().key_provider.load_private_key(key)?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// A chain and its key, if they belong together.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    CertifiedKey::from_der(chain, key, &provider()).map(Arc::new)
}

/// Sets the metric of the time at which the node's certificate expires.
pub(super) fn note_expiry(certified: &CertifiedKey) {
    let times = certified.cert.first().and_then(|leaf| times(leaf).ok());
    if let Some((_, until)) = times {
        let seconds = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        metrics::gauge!("tandem_certificate_expiry_timestamp_seconds").set(seconds);
    }
}

/// `notBefore` and `notAfter` of a certificate.
pub(crate) fn times(certificate: &CertificateDer<'_>) -> yasna::ASN1Result<(SystemTime, SystemTime)> {
    use yasna::Tag;
    yasna::parse_der(certificate, |certificate| {
        certificate.read_sequence(|certificate| {
            let times = certificate.next().read_sequence(|body| {
                // Version, serial number, algorithm and issuer come first.
                body.read_optional(|version| version.read_tagged(Tag::context(0), |version| version.read_u8()))?;
                for _ in 0..3 {
                    body.next().read_der()?;
                }
                let times = body.next().read_sequence(|validity| {
                    let mut time = || {
                        let reader = validity.next();
                        let time = match reader.lookahead_tag()? {
                            yasna::tags::TAG_UTCTIME => *reader.read_utctime()?.datetime(),
                            _ => *reader.read_generalized_time()?.datetime(),
                        };
                        Ok(SystemTime::from(time))
                    };
                    Ok((time()?, time()?))
                })?;
                while body.read_optional(|part| part.read_der())?.is_some() {}
                Ok(times)
            })?;
            // The signature's algorithm, and the signature.
            for _ in 0..2 {
                certificate.next().read_der()?;
            }
            Ok(times)
        })
    })
}
