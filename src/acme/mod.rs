//! Certificates by ACME (RFC 8555): the node gets its certificate from a certificate authority, and renews it. It
//! proves that it answers for its domains in the TLS handshake itself (TLS-ALPN-01, RFC 8737), so it needs no other
//! port.

mod client;
mod kept;
mod order;

use std::{path::Path, sync::Arc, time::Duration};

use instant_acme::{Account, NewAccount};
use tandem_actors::backoff::Backoff;

use self::{
    client::Client,
    kept::{Kept, Validity},
};
use crate::{http::AcmeSettings, tls::ServerCertificate};

/// The waits after failures. Authorities allow few failures in an hour.
const RETRY: Backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(6 * 3600));
/// The wait after a success, if the new certificate is due for renewal already. Debug builds wait less, for tests.
const AT_LEAST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 1 } else { 60 });
/// The machine's clock may jump, so a renewal that is far away is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// Why there is no new certificate. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    #[error("the authority does not accept that this node answers for {0}")]
    Refused(String),
    #[error("{file}: {problem}")]
    File { file: String, problem: String },
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

/// Gets and renews the node's certificate.
pub struct Acme {
    settings: AcmeSettings,
    kept: Kept,
    certificate: Arc<ServerCertificate>,
    validity: Option<Validity>,
}

impl Acme {
    /// Reads the certificate that an earlier run got. Without one, the node shows one that it has signed itself, until
    /// the authority gives one.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn open(settings: &AcmeSettings, data: &Path) -> Result<Self, AcmeError> {
        let kept = Kept::new(settings, data)?;
        let (certificate, validity) = match kept.certificate()? {
            Some(pem) => (pem.key()?, Some(pem.validity(&settings.domains)?)),
            None => (order::self_signed(&settings.domains)?, None),
        };
        let certificate = ServerCertificate::renewed_by_acme(certificate);
        Ok(Self { settings: settings.clone(), kept, certificate, validity })
    }

    /// What the node shows.
    pub fn certificate(&self) -> Arc<ServerCertificate> {
        self.certificate.clone()
    }

    /// Never returns. The node must listen.
    pub async fn keep_valid(mut self) {
        let mut failures = 0;
        loop {
            let wait = self.until_renewal();
            if !wait.is_zero() {
                tokio::time::sleep(wait.min(LOOK_AGAIN)).await;
                continue;
            }
            match self.renew().await {
                Ok(()) => {
                    failures = 0;
                    if self.until_renewal() < AT_LEAST {
                        tracing::warn!(
                            pause = ?AT_LEAST,
                            "the new certificate is due for renewal already: the machine's clock or \
                             server.tls.acme.renew_after is off"
                        );
                        tokio::time::sleep(AT_LEAST).await;
                    }
                }
                Err(error) => {
                    failures += 1;
                    let pause = RETRY.upper_half(failures);
                    let days_left = self.validity.as_ref().map(Validity::days_left);
                    tracing::error!(%error, ?pause, days_left, "no certificate from the authority, trying again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Zero if there is no certificate.
    fn until_renewal(&self) -> Duration {
        self.validity.as_ref().map_or(Duration::ZERO, |validity| validity.until_renewal(self.settings.renew_after))
    }

    async fn renew(&mut self) -> Result<(), AcmeError> {
        let account = self.account().await?;
        let pem = order::certificate(&account, &self.settings.domains, &self.certificate).await?;
        let (key, validity) = (pem.key()?, pem.validity(&self.settings.domains)?);
        self.kept.keep_certificate(&pem)?;
        self.certificate.replace(key);
        let (domains, days) = (self.settings.domains.join(" "), validity.days_left());
        tracing::info!(domains, days, "the authority gave a certificate");
        self.validity = Some(validity);
        Ok(())
    }

    /// The account of an earlier run, or a fresh one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let account = Account::builder_with_http(Box::new(Client::new()?));
        if let Some(credentials) = self.kept.account()? {
            return Ok(account.from_credentials(credentials).await?);
        }
        let contact: Vec<_> = self.settings.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let fresh = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = account.create(&fresh, self.settings.directory.clone(), None).await?;
        self.kept.keep_account(&credentials)?;
        Ok(account)
    }
}
