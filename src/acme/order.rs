//! One order of a certificate. For each domain the authority connects to the node, and expects a certificate that only
//! the holder of the account can make. Then it signs the node's key.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use instant_acme::{
    Account, AuthorizationState, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CertificateSigningRequest, CustomExtension, DistinguishedName, KeyPair};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{AcmeError, kept::Pem};
use crate::tls::{self, ServerCertificate};

/// How long the authority may take to issue the certificate. A certificate that is issued later is lost, and still
/// counts against the authority's weekly limit.
const ISSUED_WITHIN: Duration = Duration::from_secs(600);
const SELF_SIGNED_LIFE: Duration = Duration::from_secs(24 * 3600);

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
        return Err(refusal(&mut order, domains, ready.err()).await);
    }
    let key = KeyPair::generate().map_err(AcmeError::unusable)?;
    order.finalize_csr(request(domains, &key)?.der()).await?;
    let chain = order.poll_certificate(&RetryPolicy::default().timeout(ISSUED_WITHIN)).await?;
    Ok(Pem::new(&key.serialize_pem(), &chain))
}

/// Asks for a certificate without a subject. An authority would take the subject's name for one more domain.
fn request(domains: &[String], key: &KeyPair) -> Result<CertificateSigningRequest, AcmeError> {
    let mut params = CertificateParams::new(domains).map_err(AcmeError::unusable)?;
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).map_err(AcmeError::unusable)
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

/// The error for an order that the authority refused: the refused domains, each with the reason. `error` is the error
/// of the whole order.
async fn refusal(order: &mut Order, domains: &[String], error: Option<instant_acme::Error>) -> AcmeError {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        reasons.extend(reasons_of(state));
    }
    refused(domains, reasons, error)
}

/// The reasons for which the authority did not authorize a domain.
fn reasons_of(state: &AuthorizationState) -> Vec<String> {
    let domain = state.identifier().to_string();
    let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
    problems.map(|problem| format!("{domain}: {problem}")).collect()
}

fn refused(domains: &[String], reasons: Vec<String>, error: Option<instant_acme::Error>) -> AcmeError {
    match error {
        Some(error) if reasons.is_empty() => error.into(),
        None if reasons.is_empty() => AcmeError::Refused(format!("{}, and gives no reason", domains.join(" "))),
        _ => AcmeError::Refused(reasons.join("; ")),
    }
}

/// A certificate that no client trusts. It expires within a day, so that monitoring reports it.
pub(super) fn self_signed(domains: &[String]) -> Result<Arc<CertifiedKey>, AcmeError> {
    self_signed_with(domains, Vec::new())
}

fn self_signed_with(domains: &[String], extensions: Vec<CustomExtension>) -> Result<Arc<CertifiedKey>, AcmeError> {
    let key = KeyPair::generate().map_err(AcmeError::unusable)?;
    let mut params = CertificateParams::new(domains).map_err(AcmeError::unusable)?;
    params.custom_extensions = extensions;
    params.not_after = (SystemTime::now() + SELF_SIGNED_LIFE).into();
    let certificate = params.self_signed(&key).map_err(AcmeError::unusable)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    tls::certified_as_it_is(vec![certificate.der().clone()], key).map_err(AcmeError::unusable)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(error: serde_json::Value) -> AuthorizationState {
        let challenge = json!({
            "type": "tls-alpn-01", "url": "https://ca.example/1", "token": "t", "status": "invalid", "error": error,
        });
        let identifier = json!({ "type": "dns", "value": "tandem.example.org" });
        let state = json!({ "identifier": identifier, "status": "invalid", "challenges": [challenge] });
        serde_json::from_value(state).expect("an authorization")
    }

    #[test]
    fn a_certificate_is_asked_for_domains_and_for_no_other_name() {
        // Version 0, an empty subject, and the key (RFC 2986, section 4.1).
        const EMPTY_SUBJECT: [u8; 6] = [2, 1, 0, 0x30, 0, 0x30];
        let domains = ["tandem.example.org", "two.example.org"].map(str::to_owned);
        let key = KeyPair::generate().expect("a key");
        let request = request(&domains, &key).expect("a request");
        let holds = |part: &[u8]| request.der().windows(part.len()).any(|window| window == part);
        assert!(domains.iter().all(|domain| holds(domain.as_bytes())));
        assert!(holds(&EMPTY_SUBJECT));
    }

    #[test]
    fn a_refusal_names_its_domains_also_without_a_reason() {
        let domains = ["tandem.example.org".to_owned()];
        let said = |state: &AuthorizationState| refused(&domains, reasons_of(state), None).to_string();
        let refusal = "the authority does not accept that this node answers for tandem.example.org";
        assert_eq!(said(&state(json!(null))), format!("{refusal}, and gives no reason"));
        let problem = json!({ "type": "urn:ietf:params:acme:error:connection", "detail": "no route" });
        let words = said(&state(problem));
        assert!(words.starts_with(&format!("{refusal}: ")) && words.contains("no route"), "{words}");
    }
}
