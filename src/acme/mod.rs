//! Certificates by ACME (RFC 8555). The node gets its certificate from a certificate authority, and renews it. It
//! proves in the TLS handshake that it serves its domains (TLS-ALPN-01, RFC 8737). So it needs no other port.

mod client;
mod kept;
mod order;

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use instant_acme::{Account, AccountBuilder, NewAccount};
use tandem_actors::backoff::Backoff;
use tokio::time::Instant;

use self::{
    client::AcmeClient,
    kept::{AcmeFolder, Pem, Validity},
};
use crate::{http::AcmeSettings, tls::ServerCertificate};

/// The waits after a failure, and after a new certificate that is due for renewal at once. Authorities allow few
/// failures an hour and few certificates a week. Debug builds begin with a shorter wait, for tests.
const RETRY: Backoff =
    Backoff::new(Duration::from_secs(if cfg!(debug_assertions) { 1 } else { 60 }), Duration::from_secs(6 * 3600));
/// A new certificate that is due for renewal within this time counts as a failure.
const AT_ONCE: Duration = Duration::from_secs(3600);
/// How often the time of renewal is computed again. The machine's clock may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// The wait before a failed write is tried again. Debug builds wait less, for tests.
const WRITE_AGAIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 1 } else { 60 });
/// The type of the error for an account that the authority does not know: RFC 8555, section 6.7.
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

type AnyError = Box<dyn Error + Send + Sync>;

/// Why there is no new certificate. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    #[error("the authority does not accept that this node answers for {0}")]
    Refused(String),
    #[error("{file}: {source}")]
    File { file: String, source: AnyError },
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[source] AnyError),
}

impl AcmeError {
    fn unusable(problem: impl Into<AnyError>) -> Self {
        Self::Unusable(problem.into())
    }

    /// Whether the order may succeed with another account.
    fn is_about_account(&self) -> bool {
        match self {
            Self::Authority(instant_acme::Error::Api(problem)) => problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT),
            Self::Authority(instant_acme::Error::KeyRejected) => true,
            _ => false,
        }
    }
}

/// Gets and renews the node's certificate.
pub struct Acme {
    settings: AcmeSettings,
    kept: AcmeFolder,
    certificate: Arc<ServerCertificate>,
    validity: Option<Validity>,
}

impl Acme {
    /// Reads the certificate of an earlier run. Without a usable one, the node uses a self-signed certificate until the
    /// authority issues one.
    ///
    /// # Errors
    /// If the directory for the files cannot be made.
    pub fn open(settings: &AcmeSettings, data: &Path) -> Result<Self, AcmeError> {
        let kept = AcmeFolder::new(settings, data)?;
        let found = kept.certificate().and_then(|pem| pem.map(|pem| pem.read(&settings.domains)).transpose());
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the certificate of an earlier run cannot be used; the node orders another one");
            None
        });
        let (certificate, validity) = match found {
            Some((certificate, validity)) => (certificate, Some(validity)),
            None => (order::self_signed(&settings.domains)?, None),
        };
        let certificate = ServerCertificate::renewed_by_acme(certificate);
        Ok(Self { settings: settings.clone(), kept, certificate, validity })
    }

    /// The certificate for TLS handshakes.
    pub fn certificate(&self) -> Arc<ServerCertificate> {
        self.certificate.clone()
    }

    /// Renews the certificate in time. Never returns. The node must listen, because the authority connects to it.
    pub async fn keep_valid(mut self) {
        // How many orders in a row have failed.
        let mut in_vain = 0;
        loop {
            let wait = self.until_renewal();
            if !wait.is_zero() {
                self.rest(wait.min(LOOK_AGAIN)).await;
                continue;
            }
            let outcome = self.renew().await;
            if outcome.is_ok() && self.until_renewal() >= AT_ONCE {
                in_vain = 0;
                continue;
            }
            in_vain += 1;
            let pause = RETRY.upper_half(in_vain);
            let days_left = self.validity.as_ref().map(Validity::days_left);
            match outcome {
                Ok(()) => tracing::warn!(
                    ?pause,
                    days_left,
                    "the new certificate is due for renewal already: the machine's clock is off, or the authority's \
                     certificates are very short"
                ),
                Err(error) => {
                    tracing::error!(%error, ?pause, days_left, "the authority gave no certificate; the node tries again");
                }
            }
            self.rest(pause).await;
        }
    }

    /// Sleeps, and meanwhile retries failed writes.
    async fn rest(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while self.kept.is_behind() && Instant::now() + WRITE_AGAIN < until {
            tokio::time::sleep(WRITE_AGAIN).await;
            self.kept.write();
        }
        tokio::time::sleep_until(until).await;
    }

    /// The time until the next order. Zero if there is no certificate.
    fn until_renewal(&self) -> Duration {
        self.validity.as_ref().map_or(Duration::ZERO, |validity| validity.until_renewal(self.settings.renew_after))
    }

    /// Orders a certificate and uses it, even if it cannot be written. The authority issues only a few a week.
    async fn renew(&mut self) -> Result<(), AcmeError> {
        let pem = self.ordered().await?;
        let (certificate, validity) = pem.read(&self.settings.domains)?;
        self.certificate.replace(certificate);
        let (domains, days) = (self.settings.domains.join(" "), validity.days_left());
        tracing::info!(domains, days, "the authority gave a certificate");
        self.validity = Some(validity);
        self.kept.keep_certificate(pem);
        Ok(())
    }

    /// Orders with the account of an earlier run, or with a new one if the authority does not know that account.
    async fn ordered(&mut self) -> Result<Pem, AcmeError> {
        if let Some(credentials) = self.kept.account() {
            let ordered = match self.client()?.from_credentials(credentials).await {
                Ok(account) => self.order(&account).await,
                Err(error) => Err(error.into()),
            };
            match ordered {
                Err(error) if error.is_about_account() => {
                    tracing::warn!(%error, "the authority does not know the account; the node makes another one");
                }
                ordered => return ordered,
            }
        }
        let account = self.fresh_account().await?;
        self.order(&account).await
    }

    async fn order(&self, account: &Account) -> Result<Pem, AcmeError> {
        order::certificate(account, &self.settings.domains, &self.certificate).await
    }

    async fn fresh_account(&mut self) -> Result<Account, AcmeError> {
        let contact: Vec<_> = self.settings.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let fresh = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = self.client()?.create(&fresh, self.settings.directory.clone(), None).await?;
        self.kept.keep_account(&credentials)?;
        Ok(account)
    }

    fn client(&self) -> Result<AccountBuilder, AcmeError> {
        Ok(Account::builder_with_http(Box::new(AcmeClient::new()?)))
    }
}
