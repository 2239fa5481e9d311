//! What is kept between runs, readable for the node's user alone: the account, and the certificate with its key, which
//! are one file, so that they are always of each other.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
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

use super::AcmeError;
use crate::{http::AcmeSettings, tls};

const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A folder for each authority: an account and a certificate of one mean nothing to another.
pub(super) struct Kept(PathBuf);

impl Kept {
    pub fn new(settings: &AcmeSettings, data: &Path) -> Result<Self, AcmeError> {
        let authority = settings.directory.trim_start_matches("https://").trim_end_matches('/');
        let readable = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let within = if settings.path.as_os_str().is_empty() { data.join("acme") } else { settings.path.clone() };
        let folder = within.join(authority.chars().map(readable).collect::<String>());
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        Ok(Self(folder))
    }

    pub fn account(&self) -> Result<Option<AccountCredentials>, AcmeError> {
        let path = self.0.join(ACCOUNT);
        let Some(text) = read(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| failed(&path, &error))
    }

    pub fn keep_account(&self, account: &AccountCredentials) -> Result<(), AcmeError> {
        let text = serde_json::to_string(account).map_err(|error| failed(&self.0, &error))?;
        self.write(ACCOUNT, &text)
    }

    pub fn certificate(&self) -> Result<Option<Pem>, AcmeError> {
        Ok(read(&self.0.join(CERTIFICATE))?.map(Pem))
    }

    pub fn keep_certificate(&self, pem: &Pem) -> Result<(), AcmeError> {
        self.write(CERTIFICATE, &pem.0)
    }

    /// The old file stays until the new one is on the disk.
    fn write(&self, name: &str, text: &str) -> Result<(), AcmeError> {
        let path = self.0.join(name);
        let write = || -> io::Result<()> {
            let mut file = tempfile::Builder::new()
                .prefix(".unfinished.")
                .permissions(fs::Permissions::from_mode(0o600))
                .tempfile_in(&self.0)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            fs::File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, problem: &dyn std::error::Error) -> AcmeError {
    AcmeError::File { file: path.display().to_string(), problem: problem.to_string() }
}

fn read(path: &Path) -> Result<Option<String>, AcmeError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| failed(path, &error)),
    }
}

/// A private key and its certificate chain.
pub(super) struct Pem(String);

impl Pem {
    pub fn new(key: &str, chain: &str) -> Self {
        Self(format!("{key}{chain}"))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, AcmeError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.0.as_bytes()).collect();
        let chain = chain.map_err(|error| AcmeError::Unusable(error.to_string()))?;
        if chain.is_empty() { Err(AcmeError::Unusable("there is none".into())) } else { Ok(chain) }
    }

    pub fn key(&self) -> Result<Arc<CertifiedKey>, AcmeError> {
        let key = PrivateKeyDer::from_pem_slice(self.0.as_bytes());
        let key = key.map_err(|error| AcmeError::Unusable(error.to_string()))?;
        tls::certified(self.chain()?, key).map_err(AcmeError::Unusable)
    }

    /// When it is valid. Never, if it does not name all domains.
    pub fn validity(&self, domains: &[String]) -> Result<Validity, AcmeError> {
        let chain = self.chain()?;
        let unusable = |problem: &dyn std::fmt::Display| AcmeError::Unusable(problem.to_string());
        let parsed = ParsedCertificate::try_from(&chain[0]).map_err(|error| unusable(&error))?;
        let named = |domain: &String| {
            let name = ServerName::try_from(domain.as_str());
            name.is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
        };
        let (from, until) = times(&chain[0]).map_err(|error| unusable(&error))?;
        Ok(Validity { from, until: if domains.iter().all(named) { until } else { from } })
    }
}

/// `notBefore` and `notAfter` of a certificate.
fn times(certificate: &CertificateDer<'_>) -> yasna::ASN1Result<(SystemTime, SystemTime)> {
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

/// The time for which a certificate may be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    from: SystemTime,
    until: SystemTime,
}

impl Validity {
    /// How long until it is to be renewed: at the given age, but when a third of its life is left at the latest.
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
