//! What a token says, and whether that is acceptable here and now.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Deserialize;
use tandem_actors::domain::{ids::UserId, time::Timestamp};

use super::{config::Config, reason::Reason};

const NAME_CHARACTERS: usize = 100;
const EMAIL_CHARACTERS: usize = 320;

#[derive(Deserialize)]
pub(super) struct Claims<'a> {
    #[serde(borrow)]
    sub: Option<Cow<'a, str>>,
    #[serde(borrow)]
    iss: Option<Cow<'a, str>>,
    aud: Option<Audience>,
    #[serde(borrow)]
    azp: Option<Cow<'a, str>>,
    /// Seconds, possibly with a fraction (RFC 7519, NumericDate).
    exp: Option<f64>,
    nbf: Option<f64>,
    name: Option<String>,
    email: Option<String>,
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

/// What the configuration demands of the claims.
pub(super) struct Demands {
    issuer: Option<String>,
    audience: Vec<String>,
    authorized_parties: Vec<String>,
    leeway: Duration,
}

impl From<&Config> for Demands {
    fn from(config: &Config) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            authorized_parties: config.authorized_parties.clone(),
            leeway: config.leeway,
        }
    }
}

impl Demands {
    /// Everything except the times, which are looked at on every use: [`Identity::check_times`].
    pub(super) fn accept(&self, claims: Claims<'_>) -> Result<Identity, Reason> {
        if self.issuer.as_deref().is_some_and(|issuer| claims.iss.as_deref() != Some(issuer)) {
            return Err(Reason::WrongIssuer);
        }
        if !self.audience.is_empty() && !claims.aud.is_some_and(|audience| audience.holds_one_of(&self.audience)) {
            return Err(Reason::WrongAudience);
        }
        if let Some(party) = claims.azp
            && !self.authorized_parties.is_empty()
            && !self.authorized_parties.iter().any(|accepted| *accepted == party)
        {
            return Err(Reason::WrongAuthorizedParty);
        }
        Ok(Identity {
            user: subject(&claims.sub.ok_or(Reason::InvalidSubject)?)?,
            name: claims.name.and_then(|name| presentable(&name, NAME_CHARACTERS)),
            email: claims.email.and_then(|email| presentable(&email, EMAIL_CHARACTERS)),
            expires: seconds(claims.exp.ok_or(Reason::NoExpiry)?),
            not_before: claims.nbf.map(seconds),
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

/// Users have channels that are called after them, and capabilities read `*` in a channel's name as any name.
fn subject(sub: &str) -> Result<UserId, Reason> {
    if sub.contains('*') {
        return Err(Reason::InvalidSubject);
    }
    sub.parse().map_err(|_| Reason::InvalidSubject)
}

/// A caller whose token was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    pub name: Option<String>,
    pub email: Option<String>,
    pub(super) expires: Timestamp,
    not_before: Option<Timestamp>,
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
