//! One order: for each domain the authority connects to the node, and looks for a certificate that only the holder of
//! the account can make. Then it signs.

use std::{fmt::Display, sync::Arc};

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{AcmeError, kept::Pem};
use crate::tls::{self, ServerCertificate};

fn unusable(problem: impl Display) -> AcmeError {
    AcmeError::Unusable(problem.to_string())
}

pub(super) async fn certificate(
    account: &Account,
    domains: &[String],
    shown: &ServerCertificate,
) -> Result<Pem, AcmeError> {
    let outcome = ordered(account, domains, shown).await;
    shown.end_challenges();
    outcome
}

async fn ordered(account: &Account, domains: &[String], shown: &ServerCertificate) -> Result<Pem, AcmeError> {
    let identifiers: Vec<_> = domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    answer_challenges(&mut order, shown).await?;
    let ready = order.poll_ready(&RetryPolicy::default()).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        return Err(refusal(&mut order, ready.err()).await);
    }
    let key = KeyPair::generate().map_err(unusable)?;
    let request =
        CertificateParams::new(domains).and_then(|params| params.serialize_request(&key)).map_err(unusable)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&RetryPolicy::default()).await?;
    Ok(Pem::new(&key.serialize_pem(), &chain))
}

async fn answer_challenges(order: &mut Order, shown: &ServerCertificate) -> Result<(), AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(AcmeError::Refused(format!("{domain}: it does not offer the challenge tls-alpn-01")));
        };
        let answer = CustomExtension::new_acme_identifier(challenge.key_authorization().digest().as_ref());
        shown.answer_challenge(domain.clone(), self_signed_with(&[domain], vec![answer])?);
        challenge.set_ready().await?;
    }
    Ok(())
}

/// Says for which domains the authority was not convinced, and why. `error` is what it says of the whole order.
async fn refusal(order: &mut Order, error: Option<instant_acme::Error>) -> AcmeError {
    let mut refused = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let domain = state.identifier().to_string();
        let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        refused.extend(problems.map(|problem| format!("{domain}: {problem}")));
    }
    match error {
        Some(error) if refused.is_empty() => error.into(),
        _ => AcmeError::Refused(refused.join("; ")),
    }
}

/// A certificate that nobody trusts.
pub(super) fn self_signed(domains: &[String]) -> Result<Arc<CertifiedKey>, AcmeError> {
    self_signed_with(domains, Vec::new())
}

fn self_signed_with(domains: &[String], extensions: Vec<CustomExtension>) -> Result<Arc<CertifiedKey>, AcmeError> {
    let key = KeyPair::generate().map_err(unusable)?;
    let mut params = CertificateParams::new(domains).map_err(unusable)?;
    params.custom_extensions = extensions;
    let certificate = params.self_signed(&key).map_err(unusable)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    tls::certified_as_it_is(vec![certificate.der().clone()], key).map_err(AcmeError::Unusable)
}
