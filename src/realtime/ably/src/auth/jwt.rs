//! JWTs as credentials, signed by HS256 with a key's secret. `kid` is the key's name.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use super::{ApiKey, AuthMethod, Capability, ClientId, Grant, token_request::MAX_TTL_MS};
use crate::protocol::ErrorInfo;

#[derive(Deserialize)]
struct Claims {
    iat: Option<f64>,
    exp: Option<f64>,
    #[serde(rename = "x-ably-capability")]
    capability: Option<String>,
    #[serde(rename = "x-ably-clientId")]
    client_id: Option<String>,
    #[serde(rename = "x-ably-revocation-key")]
    revocation_key: Option<String>,
}

pub fn looks_like(token: &str) -> bool {
    token.starts_with("eyJ") && token.split('.').count() == 3
}

/// The name of the key in a JWT's header.
///
/// # Errors
/// 40144 if the text is not a JWT, is not signed by HS256, or has no `kid`.
pub fn key_name(token: &str) -> Result<String, ErrorInfo> {
    let header = decode_header(token).map_err(|_| ErrorInfo::jwt_invalid("the JWT cannot be read"))?;
    if header.alg != Algorithm::HS256 {
        return Err(ErrorInfo::jwt_invalid("the JWT must be signed with HS256"));
    }
    header.kid.ok_or_else(|| ErrorInfo::jwt_invalid("the JWT's header must have the key name as kid"))
}

/// Verifies a JWT. The caller checks expiry and revocation.
///
/// # Errors
/// 40144 if the signature or a claim is wrong. 40160 if the key has none of the claimed operations.
pub fn verify(token: &str, key: &ApiKey) -> Result<Grant, ErrorInfo> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = decode::<Claims>(token, &DecodingKey::from_secret(key.secret_bytes()), &validation)
        .map_err(|_| ErrorInfo::jwt_invalid("the JWT's signature or claims are wrong"))?
        .claims;
    let missing = || ErrorInfo::jwt_invalid("the JWT must have an iat and an exp");
    let (issued, expires) =
        claims.iat.zip(claims.exp).map(|(iat, exp)| (millis(iat), millis(exp))).ok_or_else(missing)?;
    let capability = match &claims.capability {
        None => (*key.capability).clone(),
        Some(text) => key
            .capability
            .intersect(&Capability::parse(text)?)
            .ok_or_else(|| ErrorInfo::not_permitted("the JWT asks for no operation that its key has"))?,
    };
    Ok(Grant {
        auth_method: AuthMethod::Jwt,
        key_name: key.name.clone(),
        capability: capability.into(),
        client_id: ClientId::of_token(claims.client_id.as_deref()),
        issued,
        // Like all tokens, a JWT must not live longer than a revocation is kept.
        expires: Some(expires.min(issued.saturating_add(MAX_TTL_MS))),
        revocation_key: claims.revocation_key.map(Into::into),
        signed_by_app: false,
    })
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
