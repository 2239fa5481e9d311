//! The clients. Clumsy ones retry with and without keys, tap twice, break off, retry late, and use two devices at once.

mod choice;
mod presence;

use std::{collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::Value;
use tandem_actors::{
    CommandReply, IdempotencyKey, Refusal,
    domain::{
        Caller, CreateSession, Query,
        command::CreateSessionRequest,
        ids::{SessionId, UserId},
    },
};
use tokio::time::{sleep, timeout};

use crate::{
    actions::Action,
    node::Node,
    oracle::{Outcome, Sent},
    plan::{Chance, Fault, Plan},
    world::World,
};

/// How long a client waits for an answer. The oracle fails the world earlier.
const LONGEST: Duration = Duration::from_secs(90);

/// A command, as its client keeps it until it knows the outcome.
#[derive(Clone, Debug)]
struct Request {
    number: u64,
    action: Action,
    session: Option<SessionId>,
    body: Value,
    key: Option<IdempotencyKey>,
}

struct Memory {
    chance: Chance,
    /// The command whose outcome is unknown.
    pending: Option<Request>,
    /// Commands that were answered. The client may retry them late.
    done: VecDeque<Request>,
    connected: Vec<SessionId>,
}

/// One device of a user. It remembers a command with an unknown outcome, also over a restart of the node.
pub struct Client {
    number: u64,
    user: UserId,
    is_clumsy: bool,
    memory: Mutex<Memory>,
}

#[derive(Clone)]
struct Call {
    world: Arc<World>,
    node: Rc<Node>,
}

impl Client {
    pub fn new(plan: &Plan, number: u64, user: UserId) -> Self {
        let memory = Memory {
            chance: plan.chance("client", number),
            pending: None,
            done: VecDeque::new(),
            connected: Vec::new(),
        };
        Self { number, user, is_clumsy: plan.has(Fault::Clients), memory: Mutex::new(memory) }
    }

    /// Sends commands until the plan has no more and none is pending.
    pub async fn run(self: Arc<Self>, world: Arc<World>, node: Rc<Node>) {
        let call = Call { world: world.clone(), node };
        self.reconnect(&call);
        loop {
            let again = self.with(|memory| memory.pending.clone());
            let usual = if again.is_some() { 3_000 } else { 250 };
            let pause = self.with(|memory| memory.chance.pause(usual, 90_000));
            sleep(if world.is_over() { pause.min(Duration::from_millis(usual)) } else { pause }).await;
            match again {
                Some(request) => self.retry(&call, request).await,
                None if world.one_more() => self.act(&call).await,
                None => return,
            }
            if world.has_failed() {
                return;
            }
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.memory.lock())
    }

    fn chance(&self, mille: u32) -> bool {
        self.is_clumsy && self.with(|memory| memory.chance.mille(mille))
    }

    fn connection(&self, session: &SessionId) -> (String, String, String) {
        (session.to_string(), self.user.to_string(), format!("device{}", self.number))
    }

    /// After a restart of the node some connections come back. The others leave after a while.
    fn reconnect(self: &Arc<Self>, call: &Call) {
        let connected = self.with(|memory| memory.connected.clone());
        for session in connected {
            if !call.world.provider.is_cloud && self.with(|memory| memory.chance.mille(500)) {
                let late = self.with(|memory| memory.chance.between(500, 15_000));
                let (client, call) = (self.clone(), call.clone());
                actix::spawn(async move {
                    sleep(Duration::from_millis(late)).await;
                    client.presence(&call, &session, false);
                });
            }
        }
    }

    async fn act(self: &Arc<Self>, call: &Call) {
        match self.with(|memory| memory.chance.below(100)) {
            0..=13 => self.query(call).await,
            14..=21 => self.toggle_presence(call),
            22..=25 if self.is_clumsy => self.late_retry(call).await,
            26..=27 if self.is_clumsy => self.misuse_key(call).await,
            _ => self.command(call).await,
        }
    }

    async fn command(self: &Arc<Self>, call: &Call) {
        let Some(request) = self.choose(call) else { return };
        self.with(|memory| memory.pending = Some(request.clone()));
        if self.chance(60) {
            // A double tap: two equal requests at the same time.
            let (one, other) = tokio::join!(self.send(call, &request), self.send(call, &request));
            self.learn(&request, one);
            return self.learn(&request, other);
        }
        let outcome = self.send(call, &request).await;
        self.learn(&request, outcome);
    }

    async fn retry(self: &Arc<Self>, call: &Call, request: Request) {
        if request.key.is_none() && !self.with(|memory| memory.chance.mille(500)) {
            return self.with(|memory| memory.pending = None);
        }
        let outcome = self.send(call, &request).await;
        self.learn(&request, outcome);
    }

    fn learn(&self, request: &Request, outcome: Outcome) {
        self.with(|memory| match outcome {
            Outcome::Done { .. } => {
                memory.pending = None;
                memory.done.push_back(request.clone());
                if memory.done.len() > 6 {
                    memory.done.pop_front();
                }
            }
            Outcome::Rejected(_) => memory.pending = None,
            Outcome::Unavailable(_) | Outcome::Internal(_) | Outcome::Broken => {}
        });
    }

    /// Repeats a request that was answered long ago.
    async fn late_retry(self: &Arc<Self>, call: &Call) {
        let old = self.with(|memory| memory.done.pop_front());
        if let Some(request) = old.filter(|request| request.key.is_some()) {
            self.send(call, &request).await;
        }
    }

    /// Uses a key again for another request.
    async fn misuse_key(self: &Arc<Self>, call: &Call) {
        let old = self.with(|memory| memory.done.back().cloned());
        let Some(request) = old.filter(|request| request.key.is_some() && request.action.has_marker()) else { return };
        let other = Request { key: Some(key_of(request.number, 1)), ..request.clone() };
        let sent = call.world.oracle.lock().send(None, None, call.world.truth());
        let outcome = self.execute(call, &other).await;
        let checked = call.world.oracle.lock().misused_key(request.number, &outcome);
        self.trace(call, &other, sent, &outcome);
        call.world.check(checked);
    }

    /// Sends a command, and reports it to the oracle.
    async fn send(self: &Arc<Self>, call: &Call, request: &Request) -> Outcome {
        let session = request.session.as_ref().map(SessionId::as_str);
        let sent = call.world.oracle.lock().send(Some(request.number), session, call.world.truth());
        let looks = matches!(request.action, Action::Viewed);
        if let Some(session) = session.filter(|_| looks) {
            call.world.oracle.lock().looks(session, self.user.as_str(), true);
        }
        let patience = if self.chance(30) {
            Duration::from_millis(self.with(|memory| memory.chance.between(0, 40)))
        } else {
            LONGEST
        };
        let broken_off = patience < LONGEST;
        let outcome = match timeout(patience, self.execute(call, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Broken,
        };
        if matches!(outcome, Outcome::Broken) && !broken_off {
            call.world.fail(format!("{request:?} was never answered"));
        }
        if let Some(session) = session.filter(|_| looks && !matches!(outcome, Outcome::Broken)) {
            call.world.oracle.lock().looks(session, self.user.as_str(), false);
        }
        self.trace(call, request, sent, &outcome);
        let (session, user) = (session, self.user.as_str());
        let checked =
            call.world.oracle.lock().ended(Some(request.number), session, user, sent, &outcome, call.world.truth());
        call.world.check(checked);
        outcome
    }

    fn trace(&self, call: &Call, request: &Request, sent: Sent, outcome: &Outcome) {
        let data = match outcome {
            Outcome::Done { data, .. } => data.clone(),
            _ => bytes::Bytes::new(),
        };
        let line = || {
            let (number, action) = (request.number, request.action.name());
            let session = request.session.as_ref().map_or("", SessionId::as_str);
            let short = match outcome {
                Outcome::Done { created, replayed, .. } => format!("done created {created} replayed {replayed}"),
                other => format!("{other:?}"),
            };
            format!(
                "{} {number} {action} {session} sent at {} after {}: {short}",
                self.user,
                sent.at % 10_000_000,
                sent.seq
            )
        };
        call.world.note(line, &data);
    }

    async fn execute(&self, call: &Call, request: &Request) -> Outcome {
        let coordinator = &call.node.coordinator;
        let caller = Caller::nameless(self.user.clone());
        let answer = match (&request.session, request.action) {
            (_, Action::Create) => {
                let create = serde_json::from_value::<CreateSessionRequest>(request.body.clone());
                match create.ok().and_then(|create| CreateSession::try_from(create).ok()) {
                    Some(create) => coordinator.create(caller, create, request.key).await,
                    None => return Outcome::Rejected("VALIDATION_ERROR"),
                }
            }
            (Some(session), action) => match action.command(&request.body) {
                Some(command) => coordinator.execute(session, caller, command, request.key).await,
                None => return Outcome::Rejected("VALIDATION_ERROR"),
            },
            (None, _) => return Outcome::Rejected("VALIDATION_ERROR"),
        };
        outcome(answer)
    }

    /// Sends a query about a session.
    async fn query(self: &Arc<Self>, call: &Call) {
        let Some(session) = self.some_session(call) else { return };
        let kind = self.with(|memory| memory.chance.below(8));
        let (id, user) = (session.as_str(), self.user.as_str());
        let sent = call.world.oracle.lock().send(None, Some(id), call.world.truth());
        let looks = kind <= 2;
        if looks {
            call.world.oracle.lock().looks(id, user, true);
        }
        let coordinator = &call.node.coordinator;
        let query = match kind {
            0 | 1 => Query::State,
            3 => Query::EmpathyPartner,
            4 => Query::NeedsComparison,
            5 => Query::Strategies,
            6 => Query::Progress,
            _ => Query::Detail,
        };
        let answer = match kind {
            2 => coordinator.events(&session, &self.user, 0, 50).await,
            _ => coordinator.query(&session, &self.user, query).await,
        };
        let answer = answer.map(|data| CommandReply { created: false, data, replayed: false });
        let outcome = outcome(answer);
        if looks {
            call.world.oracle.lock().looks(id, user, false);
        }
        let data = if let Outcome::Done { data, .. } = &outcome { data.clone() } else { bytes::Bytes::new() };
        call.world.note(|| format!("{user} asked {query:?} of {id}"), &data);
        let checked = call.world.oracle.lock().ended(None, Some(id), user, sent, &outcome, call.world.truth());
        call.world.check(checked);
    }
}

/// A key, and the digest of a request that is sent with it.
fn key_of(number: u64, request: u8) -> IdempotencyKey {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    IdempotencyKey { digest, request: [request; 32] }
}

fn outcome(answer: Result<CommandReply, Refusal>) -> Outcome {
    match answer {
        Ok(CommandReply { created, data, replayed }) => Outcome::Done { data, created, replayed },
        Err(Refusal::Rejected(rejection)) => Outcome::Rejected(rejection.code.as_str()),
        Err(Refusal::Unavailable { reason, .. }) => Outcome::Unavailable(reason),
        Err(Refusal::Internal(reason)) => Outcome::Internal(reason),
    }
}
