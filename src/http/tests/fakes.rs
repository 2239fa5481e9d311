//! What stands behind the routes in these tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_web::http::header::{HeaderMap, HeaderValue};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tandem_actors::{
    domain::{
        Caller, Command, CreateSession, Query,
        command::Rename,
        ids::{InvitationId, Seq, SessionId, UserId},
        private_text::PrivateText,
        time::Timestamp,
    },
    keys::Key,
    ports::{BoxFuture, Change, Claim, Clock, Commit, Direction, Store, StoreError, Verdict},
};

use super::super::{
    coordinator::{Coordinator, Erasure, IdempotencyKey, ListFilter, PeopleFilter, Refusal, Reply, WithPerson},
    ports::*,
};
use crate::{
    auth::{self, Secret},
    push::{Preferences, PreferencesPatch, PushToken, Registration},
    realtime::token::TokenRequest,
};

pub struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

pub fn secret() -> Secret {
    Secret::new("a secret that is long enough to be one")
}

pub fn token(user: &str) -> String {
    named_token(user, None)
}

pub fn named_token(user: &str, name: Option<&str>) -> String {
    let (config, user) = (auth::Config::default(), user.parse().unwrap());
    auth::sign(&secret(), &config, &user, name, Duration::from_secs(60), TestClock.now()).unwrap()
}

/// Rows in memory.
#[derive(Default)]
pub struct MemoryStore(RwLock<BTreeMap<Key, Bytes>>);

impl MemoryStore {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn rows(&self) -> usize {
        self.0.read().len()
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.read().get(key).cloned())
    }

    fn scan(&self, _: &Key, _: Option<&Key>, _: Direction, _: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        Ok(Vec::new())
    }

    fn claim(&self, _: &SessionId) -> Result<Claim, StoreError> {
        Ok(Claim { epoch: 1, head: 0 })
    }

    fn release(&self, _: &SessionId, _: u64) {}

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        let mut rows = self.0.write();
        for change in group.iter().flat_map(|commit| &commit.changes) {
            match change {
                Change::Put(key, value) => drop(rows.insert(key.clone(), value.clone())),
                Change::Delete(key) => drop(rows.remove(key)),
            }
        }
        Ok(vec![Verdict::Written; group.len()])
    }
}

/// Answers everything with what was asked, or refuses it.
#[derive(Default)]
pub struct Fakes {
    /// What was asked, one line each.
    pub asked: Mutex<Vec<String>>,
    pub keys: Mutex<Vec<Option<IdempotencyKey>>>,
    pub refusal: Mutex<Option<Refusal>>,
    pub replies: Mutex<Vec<Reply>>,
    pub broken: AtomicBool,
}

impl Fakes {
    fn asked<T: Send + 'static>(&self, line: String, answer: T) -> BoxFuture<Result<T, Refusal>> {
        self.asked.lock().push(line);
        let answer = match self.refusal.lock().take() {
            Some(refusal) => Err(refusal),
            None => Ok(answer),
        };
        Box::pin(async move { answer })
    }

    fn reply(&self, key: Option<IdempotencyKey>) -> Reply {
        self.keys.lock().push(key);
        self.replies.lock().pop().unwrap_or(Reply { created: false, data: data(), replayed: false })
    }

    pub fn last(&self) -> String {
        self.asked.lock().last().cloned().unwrap_or_default()
    }
}

fn data() -> Bytes {
    Bytes::from_static(b"{\"seq\":7}")
}

impl Coordinator for Fakes {
    fn create(
        &self,
        caller: Caller,
        _: CreateSession,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<Result<Reply, Refusal>> {
        let reply = Reply { created: true, ..self.reply(key) };
        self.asked(format!("create by {}", caller.id), reply)
    }

    fn execute(
        &self,
        session: SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<Result<Reply, Refusal>> {
        let reply = self.reply(key);
        self.asked(format!("{command:?} in {session} by {}", caller.id), reply)
    }

    fn query(&self, session: SessionId, viewer: UserId, query: Query) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("{query:?} in {session} by {viewer}"), data())
    }

    fn events(
        &self,
        session: SessionId,
        viewer: UserId,
        after: Seq,
        limit: usize,
    ) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("events after {after}, {limit}, in {session} by {viewer}"), data())
    }

    fn session_of_invitation(&self, invitation: InvitationId) -> BoxFuture<Result<SessionId, Refusal>> {
        self.asked(format!("session of {invitation}"), super::SESSION.parse().unwrap())
    }

    fn invitation(&self, invitation: InvitationId) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("invitation {invitation}"), data())
    }

    fn acknowledge(&self, invitation: InvitationId, viewer: UserId) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("{invitation} acknowledged by {viewer}"), data())
    }

    fn list(&self, user: UserId, filter: ListFilter) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("{filter:?} by {user}"), data())
    }

    fn people(&self, user: UserId, filter: PeopleFilter) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("{filter:?} by {user}"), data())
    }

    fn person(&self, user: UserId, person: UserId) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("{person:?} by {user}"), data())
    }

    fn sessions_with(&self, user: UserId, person: UserId, which: WithPerson) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("{which:?} sessions of {user} with {person:?}"), data())
    }

    fn set_nickname(
        &self,
        user: UserId,
        relationship: String,
        nickname: Option<PrivateText>,
    ) -> BoxFuture<Result<(), Refusal>> {
        self.asked(format!("{nickname:?} for {relationship} by {user}"), ())
    }

    fn badge(&self, user: UserId) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("badge of {user}"), data())
    }

    fn unread_count(&self, user: UserId) -> BoxFuture<Result<u32, Refusal>> {
        self.asked(format!("unread by {user}"), 3)
    }

    fn active_sessions(&self, user: UserId) -> BoxFuture<Result<Vec<SessionId>, Refusal>> {
        self.asked(format!("active by {user}"), vec![super::SESSION.parse().unwrap()])
    }

    fn heartbeat(&self, session: SessionId, user: UserId, active: bool) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("heartbeat {active} in {session} by {user}"), data())
    }

    fn rename(&self, user: UserId, _: Rename) -> BoxFuture<Result<(), Refusal>> {
        self.asked(format!("rename {user}"), ())
    }

    fn show_activity(&self, user: UserId, shown: bool) -> BoxFuture<Result<(), Refusal>> {
        self.asked(format!("show activity of {user}: {shown}"), ())
    }

    fn erase(&self, user: UserId) -> BoxFuture<Result<Erasure, Refusal>> {
        self.asked(format!("erase {user} from sessions"), Erasure::default())
    }

    fn why(&self, session: SessionId, seq: Option<Seq>) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("why {session} {seq:?}"), data())
    }

    fn live_sessions(&self, user: UserId) -> BoxFuture<Result<usize, Refusal>> {
        self.asked(format!("live_sessions {user}"), 1)
    }

    fn quarantined(&self) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked("quarantined".into(), data())
    }

    fn release(&self, session: SessionId) -> BoxFuture<Result<Bytes, Refusal>> {
        self.asked(format!("release {session}"), data())
    }
}

impl PushAccounts for Fakes {
    fn register(&self, user: UserId, device: Registration) -> BoxFuture<Result<(), Refusal>> {
        self.asked(format!("register {:?} of {user}", device.platform), ())
    }

    fn remove(&self, user: UserId, token: Option<PushToken>) -> BoxFuture<Result<(), Refusal>> {
        self.asked(format!("remove {token:?} of {user}"), ())
    }

    fn preferences(&self, user: UserId) -> BoxFuture<Result<Preferences, Refusal>> {
        self.asked(format!("preferences of {user}"), Preferences::default())
    }

    fn change_preferences(&self, user: UserId, patch: PreferencesPatch) -> BoxFuture<Result<Preferences, Refusal>> {
        let mut preferences = Preferences::default();
        preferences.patch(patch.clone());
        self.asked(format!("{patch:?} of {user}"), preferences)
    }

    fn push_enabled(&self, _: &UserId) -> bool {
        true
    }

    fn erase(&self, user: UserId) -> BoxFuture<Result<(), Refusal>> {
        self.asked(format!("erase devices of {user}"), ())
    }
}

impl RealtimeAccess for Fakes {
    fn token_request(&self, user: &UserId, sessions: &[SessionId]) -> TokenRequest {
        TokenRequest {
            key_name: "app.key".into(),
            ttl: 3_600_000,
            timestamp: 1_800_000_000_000,
            capability: format!("{{\"{}\":[\"subscribe\"]}}", sessions[0]),
            client_id: user.to_string(),
            nonce: "0123456789abcdef".into(),
            mac: "bWFj".into(),
        }
    }

    fn end_tokens(&self, _: UserId) -> BoxFuture<Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn describe(&self, host: &str, secure: bool, user: &UserId, session: Option<&SessionId>) -> RealtimeDescription {
        RealtimeDescription {
            provider: "embedded",
            host: Some(host.into()),
            port: Some(80),
            tls: secure,
            channels: Channels {
                session: session.map(|session| format!("s:{session}")),
                presence: session.map(|session| format!("s:{session}:presence")),
                user: format!("u:{user}"),
            },
        }
    }
}

impl Webhooks for Fakes {
    fn refuses(&self, _: &HeaderMap) -> Option<WebhookOutcome> {
        None
    }

    fn ably(&self, headers: &HeaderMap, body: &Bytes) -> WebhookOutcome {
        let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let (key, signature) = (header("x-ably-key"), header("x-ably-signature"));
        match (key, signature, &body[..]) {
            (Some("key"), Some("signature"), b"{}") => WebhookOutcome::Accepted(2),
            (Some("key"), Some("signature"), _) => WebhookOutcome::Malformed("items must be a list".into()),
            _ => WebhookOutcome::Unsigned,
        }
    }
}

impl Readiness for Fakes {
    fn checks(&self) -> Vec<Check> {
        let ok = !self.broken.load(std::sync::atomic::Ordering::SeqCst);
        vec![Check { name: "store", ok, problem: (!ok).then(|| "it cannot be written".into()) }]
    }
}
