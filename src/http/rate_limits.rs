//! How often one user, or one address, may ask for what is costly or can be guessed.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use actix_web::{HttpRequest, http::header};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use parking_lot::RwLock;
use tandem_actors::domain::ids::UserId;

use super::{
    config::{RateLimitSettings, ServerSettings},
    error::ApiError,
};
use crate::network::{Network, subscriber};

/// After this many checks, keys with a full quota are forgotten.
const CLEARANCE: u32 = 4096;

pub struct RateLimits {
    pub ably_token: PerMinute<UserId>,
    pub create_session: PerMinute<UserId>,
    pub push_token: PerMinute<UserId>,
    pub invitation: PerMinute<IpAddr>,
}

impl RateLimits {
    pub fn new(config: &RateLimitSettings) -> Self {
        Self {
            ably_token: PerMinute::new(config.ably_token),
            create_session: PerMinute::new(config.create_session),
            push_token: PerMinute::new(config.push_token),
            invitation: PerMinute::new(config.invitation),
        }
    }

    /// Replaces the limits. Where one is the same as before, what was counted stays.
    pub fn change(&self, config: &RateLimitSettings) {
        self.ably_token.change(config.ably_token);
        self.create_session.change(config.create_session);
        self.push_token.change(config.push_token);
        self.invitation.change(config.invitation);
    }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// A quota for each key: this many requests at once, and as many again in each minute.
pub struct PerMinute<K: Hash + Eq + Clone> {
    /// With the requests per minute that it allows. `None`: unlimited.
    limiter: RwLock<(u32, Option<Limiter<K>>)>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> PerMinute<K> {
    /// 0: unlimited.
    fn new(requests: u32) -> Self {
        let limiter = RwLock::new((requests, Self::limiter(requests)));
        Self { limiter, clock: DefaultClock::default(), checks: AtomicU32::new(0) }
    }

    fn limiter(requests: u32) -> Option<Limiter<K>> {
        NonZeroU32::new(requests).map(|requests| RateLimiter::dashmap(Quota::per_minute(requests)))
    }

    fn change(&self, requests: u32) {
        let mut current = self.limiter.write();
        if current.0 != requests {
            *current = (requests, Self::limiter(requests));
        }
    }

    pub fn check(&self, key: &K) -> Result<(), ApiError> {
        let current = self.limiter.read();
        let Some(limiter) = &current.1 else { return Ok(()) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % CLEARANCE == CLEARANCE - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(key).map_err(|early| ApiError::rate_limited(early.wait_time_from(self.clock.now())))
    }
}

/// The address that a request comes from: the peer's, or the one that trusted proxies report. That is the last address
/// in `X-Forwarded-For` that is not a trusted proxy: clients can forge only the addresses before it.
pub fn client_address(request: &HttpRequest, config: &ServerSettings) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
    let forwarded = request.headers().get_all(header::X_FORWARDED_FOR).filter_map(|value| value.to_str().ok());
    from_proxies(peer, forwarded, &config.trusted_proxies)
}

pub(super) fn from_proxies<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for claim in forwarded.flat_map(|list| list.split(',')).rev() {
        if !is_trusted(client) {
            break;
        }
        let Ok(address) = claim.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    subscriber(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<_> = trusted.iter().map(|text| Network::try_from(text.to_string()).unwrap()).collect();
        from_proxies(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        assert_eq!(client("198.51.100.1", &["203.0.113.9"], &[]), "198.51.100.1");
        assert_eq!(client("10.0.0.2", &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.2", &["1.1.1.1, 203.0.113.9"], &["10.0.0.2"]), "203.0.113.9");
        assert_eq!(client("10.0.0.2", &["203.0.113.9, 10.1.1.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.2", &["1.1.1.1", "203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.2", &["rubbish"], &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(client("::ffff:10.0.0.2", &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("2001:db8::1:2:3:4", &[], &[]), "2001:db8::");
    }

    #[test]
    fn each_key_has_a_quota_of_its_own() {
        let limit = PerMinute::new(2);
        assert!(limit.check(&"anna").is_ok() && limit.check(&"anna").is_ok());
        assert!(limit.check(&"anna").is_err());
        assert!(limit.check(&"ben").is_ok());
        let none = PerMinute::new(0);
        assert!((0..100).all(|_| none.check(&"anna").is_ok()));
    }
}
