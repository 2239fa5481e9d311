//! Decides who may see the console. `tandem console` sends the operator's token and gets a ticket for its link. A
//! ticket is valid once, for five minutes. It is exchanged for a cookie. Tickets and cookies are random, and only their
//! digests are in memory. So a restart of the node ends all sign-ins.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long a link can be used.
pub const TICKET_TTL: Duration = Duration::from_secs(5 * 60);
/// How long a browser stays signed in.
pub const COOKIE_TTL: Duration = Duration::from_secs(12 * 60 * 60);
/// The largest number of unused tickets, and of sign-ins. The oldest are removed first.
const MOST: usize = 64;

type Digest = [u8; 32];

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The name that `tandem console` has given.
    pub name: String,
    /// The key in each form. Other sites do not know it, so they cannot send a form.
    pub form_key: String,
}

#[derive(Default)]
pub struct SignIns {
    tickets: Mutex<HashMap<Digest, (Instant, String)>>,
    signed_in: Mutex<HashMap<Digest, SignedIn>>,
}

struct SignedIn {
    since: Instant,
    operator: Operator,
    notice: Option<Notice>,
}

/// The outcome of the last action, to be shown on the next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub is_failure: bool,
    pub words: String,
}

impl SignIns {
    /// A new ticket for somebody of this name.
    pub fn ticket(&self, name: &str) -> String {
        let ticket = random();
        let mut tickets = self.tickets.lock();
        tickets.retain(|_, (since, _)| since.elapsed() < TICKET_TTL);
        make_room(&mut tickets, |(since, _)| *since);
        tickets.insert(digest(&ticket), (Instant::now(), name.to_owned()));
        ticket
    }

    /// Exchanges a ticket for the value of a cookie.
    pub fn enter(&self, ticket: &str) -> Option<String> {
        let (since, name) = self.tickets.lock().remove(&digest(ticket))?;
        if since.elapsed() >= TICKET_TTL {
            return None;
        }
        let cookie = random();
        let mut signed_in = self.signed_in.lock();
        signed_in.retain(|_, one| one.since.elapsed() < COOKIE_TTL);
        make_room(&mut signed_in, |one| one.since);
        let operator = Operator { name, form_key: random() };
        signed_in.insert(digest(&cookie), SignedIn { since: Instant::now(), operator, notice: None });
        Some(cookie)
    }

    /// Who has this cookie.
    pub fn operator_of(&self, cookie: &str) -> Option<Operator> {
        let signed_in = self.signed_in.lock();
        let one = signed_in.get(&digest(cookie)).filter(|one| one.since.elapsed() < COOKIE_TTL)?;
        Some(one.operator.clone())
    }

    pub fn leave(&self, cookie: &str) {
        self.signed_in.lock().remove(&digest(cookie));
    }

    /// Leaves a notice for the next page.
    pub fn notify(&self, cookie: &str, notice: Notice) {
        if let Some(one) = self.signed_in.lock().get_mut(&digest(cookie)) {
            one.notice = Some(notice);
        }
    }

    pub fn take_notice(&self, cookie: &str) -> Option<Notice> {
        self.signed_in.lock().get_mut(&digest(cookie))?.notice.take()
    }
}

impl Operator {
    /// Whether a form carries the right key.
    pub fn sent(&self, form_key: &str) -> bool {
        self.form_key.as_bytes().ct_eq(form_key.as_bytes()).into()
    }
}

fn make_room<T>(all: &mut HashMap<Digest, T>, since: impl Fn(&T) -> Instant) {
    let oldest = all.iter().min_by_key(|(_, one)| since(one)).map(|(digest, _)| *digest);
    if let (true, Some(oldest)) = (all.len() >= MOST, oldest) {
        all.remove(&oldest);
    }
}

fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

fn random() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_valid_once() {
        let sign_ins = SignIns::default();
        let ticket = sign_ins.ticket("kim");
        let cookie = sign_ins.enter(&ticket).unwrap();
        assert!(sign_ins.enter(&ticket).is_none());
        assert_eq!(sign_ins.operator_of(&cookie).unwrap().name, "kim");
        assert!(sign_ins.operator_of(&ticket).is_none());
        sign_ins.leave(&cookie);
        assert!(sign_ins.operator_of(&cookie).is_none());
    }

    #[test]
    fn an_old_ticket_is_not_valid() {
        let sign_ins = SignIns::default();
        let ticket = sign_ins.ticket("kim");
        let past = Instant::now().checked_sub(TICKET_TTL).unwrap();
        sign_ins.tickets.lock().values_mut().for_each(|(since, _)| *since = past);
        assert!(sign_ins.enter(&ticket).is_none());
    }

    #[test]
    fn many_tickets_make_room_for_new_ones() {
        let sign_ins = SignIns::default();
        (0..2 * MOST).for_each(|_| drop(sign_ins.ticket("kim")));
        assert_eq!(sign_ins.tickets.lock().len(), MOST);
    }
}
