//! The claims of a token, and whether this node accepts them now.

use std::{fmt, time::Duration};

use serde::{Deserialize, de::IgnoredAny};
use tandem_actors::domain::{ids::UserId, time::Timestamp};

use super::{config::AuthSettings, reason::Reason};

const NAME_CHARACTERS: usize = 100;
const EMAIL_CHARACTERS: usize = 320;

/// The claims that are read. A claim of a wrong type counts as absent.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<Given<String>>,
    iss: Option<Given<String>>,
    aud: Option<Given<Audience>>,
    azp: Option<Given<String>>,
    /// Seconds, possibly with a fraction (RFC 7519, NumericDate).
    exp: Option<Given<f64>>,
    nbf: Option<Given<f64>>,
    iat: Option<Given<f64>>,
    name: Option<Given<String>>,
    email: Option<Given<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given<T> {
    Valid(T),
    WrongType(IgnoredAny),
}

impl<T> Given<T> {
    fn value(self) -> Option<T> {
        match self {
            Given::Valid(value) => Some(value),
            Given::WrongType(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn holds_one_of(&self, accepted: &[String]) -> bool {
        match self {
            Audience::One(audience) => accepted.contains(audience),
            Audience::Many(audiences) => audiences.iter().any(|audience| accepted.contains(audience)),
        }
    }
}

/// What the settings require of the claims.
pub(super) struct ClaimRules {
    issuer: Option<String>,
    audience: Vec<String>,
    authorized_parties: Vec<String>,
    leeway: Duration,
}

impl From<&AuthSettings> for ClaimRules {
    fn from(config: &AuthSettings) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            authorized_parties: config.authorized_parties.clone(),
            leeway: config.leeway,
        }
    }
}

impl ClaimRules {
    /// Everything except the times, which are looked at on every use: [`ClaimRules::check_times`].
    pub(super) fn accept(&self, claims: Claims) -> Result<Identity, Reason> {
        if let Some(issuer) = &self.issuer
            && claims.iss.and_then(Given::value).as_ref() != Some(issuer)
        {
            return Err(Reason::WrongIssuer);
        }
        let audience = claims.aud.and_then(Given::value);
        if !self.audience.is_empty() && !audience.is_some_and(|audience| audience.holds_one_of(&self.audience)) {
            return Err(Reason::WrongAudience);
        }
        // A token without a party is for all parties. A token with an unreadable party is for none.
        if let (Some(party), false) = (claims.azp, self.authorized_parties.is_empty())
            && !party.value().is_some_and(|party| self.authorized_parties.contains(&party))
        {
            return Err(Reason::WrongAuthorizedParty);
        }
        let not_before = match claims.nbf {
            Some(given) => Some(seconds(given.value().ok_or(Reason::UnreadableNotBefore)?)),
            None => None,
        };
        let claimed = claims.sub.and_then(Given::value).ok_or(Reason::InvalidSubject)?;
        let text = |claim: Option<Given<String>>| claim.and_then(Given::value);
        Ok(Identity {
            user: subject(&claimed)?,
            name: text(claims.name).and_then(|name| presentable(&name, NAME_CHARACTERS)),
            email: text(claims.email).and_then(|email| presentable(&email, EMAIL_CHARACTERS)),
            issued: claims.iat.and_then(Given::value).map(seconds),
            expires: seconds(claims.exp.and_then(Given::value).ok_or(Reason::NoExpiry)?),
            not_before,
        })
    }

    pub(super) fn check_times(&self, identity: &Identity, now: Timestamp) -> Result<(), Reason> {
        if now >= identity.expires + self.leeway {
            return Err(Reason::Expired);
        }
        if identity.not_before.is_some_and(|not_before| now + self.leeway < not_before) {
            return Err(Reason::NotYetValid);
        }
        Ok(())
    }
}

/// A user's channel contains the user's id, and a capability reads `*` in a channel's name as any name.
fn subject(sub: &str) -> Result<UserId, Reason> {
    if sub.contains('*') {
        return Err(Reason::InvalidSubject);
    }
    sub.parse().map_err(|_| Reason::InvalidSubject)
}

/// A user whose token was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    pub name: Option<String>,
    pub email: Option<String>,
    issued: Option<Timestamp>,
    pub(super) expires: Timestamp,
    not_before: Option<Timestamp>,
}

impl Identity {
    /// Whether the token was issued at this time or before, as far as it tells: issuers write whole seconds.
    pub fn is_not_newer_than(&self, time: Timestamp) -> bool {
        self.issued.is_none_or(|issued| issued <= time)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).field("expires", &self.expires).finish_non_exhaustive()
    }
}

fn seconds(numeric_date: f64) -> Timestamp {
    // A cast from f64 saturates.
    Timestamp::from_millis((numeric_date * 1000.0) as i64)
}

fn presentable(text: &str, longest: usize) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(longest).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
