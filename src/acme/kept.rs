//! The files of the account, and of the certificate with its key. Only the node's user can read them. Certificate and
//! key are one file, so that they always match.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use instant_acme::AccountCredentials;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};

use super::{AcmeError, AnyError};
use crate::{http::AcmeSettings, store, tls};

const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The folder of one authority. Another authority cannot use its account and its certificate.
pub(super) struct AcmeFolder {
    folder: PathBuf,
    /// The contents of files that could not be written yet, by name.
    unwritten: BTreeMap<&'static str, Vec<u8>>,
}

impl AcmeFolder {
    pub fn new(settings: &AcmeSettings, data: &Path) -> Result<Self, AcmeError> {
        let authority = settings.directory.trim_start_matches("https://").trim_end_matches('/');
        let readable = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let within = if settings.path.as_os_str().is_empty() { data.join("acme") } else { settings.path.clone() };
        let folder = within.join(authority.chars().map(readable).collect::<String>());
        store::create_directory(&folder).map_err(|error| failed(&folder, error))?;
        Ok(Self { folder, unwritten: BTreeMap::new() })
    }

    /// The account of an earlier run. `None` if there is none, or it cannot be read.
    pub fn account(&self) -> Option<AccountCredentials> {
        let account = self.read(ACCOUNT).and_then(|text| text.as_deref().map(|text| self.parsed(text)).transpose());
        account.unwrap_or_else(|error| {
            tracing::warn!(%error, "the account of an earlier run cannot be used; the node makes another one");
            None
        })
    }

    /// Parses an account. The error leaves out the parser's message, which might contain a part of the key.
    fn parsed(&self, account: &[u8]) -> Result<AccountCredentials, AcmeError> {
        serde_json::from_slice(account).map_err(|error| {
            let place = format!("is not an account, in line {}, column {}", error.line(), error.column());
            failed(&self.folder.join(ACCOUNT), place)
        })
    }

    pub fn keep_account(&mut self, account: &AccountCredentials) -> Result<(), AcmeError> {
        let text = serde_json::to_vec(account).map_err(|error| failed(&self.folder.join(ACCOUNT), error))?;
        self.keep(ACCOUNT, text);
        Ok(())
    }

    pub fn certificate(&self) -> Result<Option<Pem>, AcmeError> {
        Ok(self.read(CERTIFICATE)?.map(Pem))
    }

    pub fn keep_certificate(&mut self, pem: Pem) {
        self.keep(CERTIFICATE, pem.0);
    }

    fn keep(&mut self, name: &'static str, content: Vec<u8>) {
        self.unwritten.insert(name, content);
        self.write();
    }

    /// Whether something is not written yet.
    pub fn is_behind(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Tries to write what is not written yet.
    pub fn write(&mut self) {
        let folder = &self.folder;
        self.unwritten.retain(|name, content| {
            let file = folder.join(name);
            store::replace_file(&file, content)
                .inspect_err(|error| tracing::warn!(%error, file = %file.display(), "the account or the certificate cannot be written; the node tries again"))
                .is_err()
        });
    }

    /// The content of a file, if there is one.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AcmeError> {
        let path = self.folder.join(name);
        match self.unwritten.get(name).cloned().map_or_else(|| fs::read(&path), Ok) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| failed(&path, error)),
        }
    }
}

fn failed(path: &Path, problem: impl Into<AnyError>) -> AcmeError {
    AcmeError::File { file: path.display().to_string(), source: problem.into() }
}

/// A private key and its certificate chain.
pub(super) struct Pem(Vec<u8>);

impl Pem {
    pub fn new(key: &str, chain: &str) -> Self {
        Self(format!("{key}{chain}").into_bytes())
    }

    /// The certificate with its key, and the time for which it may be used. The time is empty if it does not name all
    /// domains.
    pub fn read(&self, domains: &[String]) -> Result<(Arc<CertifiedKey>, Validity), AcmeError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.0).collect();
        let chain = chain.map_err(AcmeError::unusable)?;
        let Some(leaf) = chain.first() else { return Err(AcmeError::unusable("there is none")) };
        let validity = validity(leaf, domains)?;
        let key = PrivateKeyDer::from_pem_slice(&self.0).map_err(AcmeError::unusable)?;
        Ok((tls::certified(chain, key).map_err(AcmeError::unusable)?, validity))
    }
}

fn validity(certificate: &CertificateDer<'_>, domains: &[String]) -> Result<Validity, AcmeError> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(AcmeError::unusable)?;
    let named = |domain: &String| {
        let name = ServerName::try_from(domain.as_str());
        name.is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
    };
    let (from, until) = tls::times(certificate).map_err(AcmeError::unusable)?;
    Ok(Validity { from, until: if domains.iter().all(named) { until } else { from } })
}

/// The time for which a certificate may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    from: SystemTime,
    until: SystemTime,
}

impl Validity {
    /// The time until renewal. A certificate is renewed at the given age, or when a third of its life is left if that
    /// is earlier.
    pub fn until_renewal(&self, age: Duration) -> Duration {
        let life = self.until.duration_since(self.from).unwrap_or_default();
        let renewal = self.from + age.min(life * 2 / 3);
        renewal.duration_since(SystemTime::now()).unwrap_or_default()
    }

    pub fn days_left(&self) -> u64 {
        let left = self.until.duration_since(SystemTime::now()).unwrap_or_default();
        left.as_secs() / DAY.as_secs()
    }
}
