//! One actor for each session that is awake. The supervisor keeps what an actor must not take with it when it dies: the inbox,
//! the count of crashes, and the way to build a fresh one from the store. (`actix::Supervisor` restarts an actor that stops,
//! with the same half-changed struct, and dies with one that panics.)
//!
//! A slot is `Asleep` (and soon forgotten), `Awake`, waiting in `Backoff`, or `Quarantined`. A message starts what sleeps; an
//! exit that was a crash starts a fresh actor after a pause; too many crashes in a window stop that.

mod limits;
mod slot;

use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use self::slot::{Inner, State};
pub use self::{
    limits::Limits,
    slot::{Inbox, Next, Slot},
};
use crate::{
    arbiters::Arbiters,
    domain::ids::SessionId,
    exit::{ExitGuard, ExitStatus},
    messages::{Message, Refusal},
    session::{SessionActor, Shell, Wake},
    slots::Slots,
};

struct Shared {
    slots: Slots,
    arbiters: Arbiters,
    limits: Limits,
    shell: Arc<Shell>,
    hasher: std::hash::RandomState,
    stopping: AtomicBool,
}

/// The table of all awake sessions; cheap to clone.
#[derive(Clone)]
pub struct Supervisor(Arc<Shared>);

impl Supervisor {
    pub fn new(shell: Arc<Shell>, arbiters: Arbiters, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            slots: Slots::default(),
            arbiters,
            limits,
            shell,
            hasher: Default::default(),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Puts a message into the session's inbox and wakes its actor, which is started if it sleeps.
    pub fn send(&self, session: &SessionId, message: Message) -> Result<(), Refusal> {
        loop {
            let slot = self.0.slots.get_or_insert(session);
            let mut inner = slot.inner.lock();
            if inner.forgotten {
                continue;
            }
            if let State::Quarantined { reason } = &inner.state {
                return Err(Refusal::unavailable(format!("session in quarantine: {reason}"), Duration::from_secs(30)));
            }
            if inner.waiting.len() >= self.0.limits.mailbox {
                metrics::counter!("tandem_session_mailbox_full_total").increment(1);
                return Err(Refusal::unavailable("too much is waiting for this session", Duration::from_secs(1)));
            }
            if inner.waiting.is_empty() {
                inner.last_progress = Instant::now();
            }
            inner.waiting.push_back(message);
            match &inner.state {
                State::Asleep => self.start(&slot, &mut inner),
                State::Awake(actor) if !inner.woken => {
                    actor.do_send(Wake);
                    inner.woken = true;
                }
                _ => {}
            }
            return Ok(());
        }
    }

    /// As [`Supervisor::send`], but only if the session is awake: for reports that a sleeping session will ask for itself.
    pub fn send_if_awake(&self, session: &SessionId, message: Message) {
        if self.0.slots.contains(session) {
            // A full inbox or a quarantine: the session asks the provider when it is well again.
            let _ = self.send(session, message);
        }
    }

    /// Frees a session from quarantine. False if it was not in it.
    pub fn release(&self, session: &SessionId) -> bool {
        let Some(slot) = self.0.slots.get(session) else { return false };
        let mut inner = slot.inner.lock();
        let quarantined = matches!(inner.state, State::Quarantined { .. });
        if quarantined {
            inner.state = State::Asleep;
            inner.crashes.clear();
            tracing::info!(%session, "session released from quarantine");
        }
        quarantined
    }

    /// Why the session is in quarantine, if it is.
    pub fn quarantine(&self, session: &SessionId) -> Option<Arc<str>> {
        match &self.0.slots.get(session)?.inner.lock().state {
            State::Quarantined { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    pub fn resident(&self) -> usize {
        self.0.slots.len()
    }

    fn start(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        inner.generation += 1;
        inner.state = State::Starting;
        inner.woken = true;
        inner.last_progress = Instant::now();
        let inbox = Inbox { slot: slot.clone(), generation: inner.generation, supervisor: self.clone() };
        let mut hasher = self.0.hasher.build_hasher();
        hasher.write(slot.session.as_str().as_bytes());
        let shell = self.0.shell.clone();
        let supervisor = self.clone();
        let started = self.0.arbiters.spawn(hasher.finish(), move || {
            let guard = supervisor.guard(&inbox);
            supervisor.clone().run(inbox, shell, guard);
        });
        if !started {
            inner.state = State::Asleep;
            inner.waiting.drain(..).for_each(|message| message.refuse(&Refusal::stopping()));
        }
    }

    /// On the arbiter's thread.
    fn run(self, inbox: Inbox, shell: Arc<Shell>, guard: ExitGuard) {
        // A panic while loading must take this session down, not the arbiter.
        let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            SessionActor::activate(inbox.clone(), shell, guard)
        }));
        let Ok(Some(actor)) = built else { return };
        let address = actix::Actor::start(actor);
        let mut inner = inbox.slot.inner.lock();
        if inner.generation == inbox.generation {
            address.do_send(Wake);
            inner.state = State::Awake(address);
        }
    }

    fn guard(&self, inbox: &Inbox) -> ExitGuard {
        let (supervisor, inbox) = (self.clone(), inbox.clone());
        ExitGuard::new(move |status| supervisor.exited(&inbox, status))
    }

    fn exited(&self, inbox: &Inbox, status: ExitStatus) {
        let mut inner = inbox.slot.inner.lock();
        if inner.generation != inbox.generation || self.0.stopping.load(Ordering::Acquire) {
            return;
        }
        self.restart(&inbox.slot, &mut inner, status);
    }

    fn restart(&self, slot: &Arc<Slot>, inner: &mut Inner, status: ExitStatus) {
        // Whatever the old actor still does, it is not heard any more.
        inner.generation += 1;
        inner.state = State::Backoff;
        let limits = &self.0.limits;
        let now = Instant::now();
        inner.last_progress = now;
        while inner.crashes.front().is_some_and(|at| now.duration_since(*at) > limits.crash_window) {
            inner.crashes.pop_front();
        }
        if status != ExitStatus::Passivated {
            inner.crashes.push_back(now);
        }
        let crashes = inner.crashes.len();
        let session = &slot.session;
        metrics::counter!("tandem_session_exits_total", "status" => status.as_str()).increment(1);
        if crashes > limits.max_crashes {
            let reason: Arc<str> =
                format!("{crashes} crashes within {:?}, the last: {}", limits.crash_window, status.as_str()).into();
            tracing::error!(%session, %reason, "session quarantined");
            let refusal = Refusal::unavailable(format!("session in quarantine: {reason}"), Duration::from_secs(30));
            inner.waiting.drain(..).for_each(|message| message.refuse(&refusal));
            inner.state = State::Quarantined { reason };
            return;
        }
        tracing::warn!(%session, status = status.as_str(), crashes, "session actor ended, starting a fresh one");
        if crashes <= 1 {
            self.start(slot, inner);
            return;
        }
        let pause = limits.pause(crashes - 2);
        let (supervisor, slot, generation) = (self.clone(), slot.clone(), inner.generation);
        self.0.arbiters.spawn_after(pause, move || {
            let mut inner = slot.inner.lock();
            if inner.generation == generation {
                supervisor.start(&slot, &mut inner);
            }
        });
    }

    /// Replaces actors that have let their inbox wait for too long, or have not come when they were to be started. To be called
    /// about once a second.
    pub fn replace_frozen(&self) {
        let limit = self.0.limits.answer_within;
        self.0.arbiters.replace_frozen(limit);
        self.0.slots.for_each(|slot| {
            let mut inner = slot.inner.lock();
            // An arbiter that freezes keeps what was to be started on it, and the ends of pauses, to itself.
            let patience = match inner.state {
                State::Awake(_) | State::Starting => limit,
                State::Backoff => limit + self.0.limits.backoff_max,
                State::Asleep | State::Quarantined { .. } => return,
            };
            if !inner.waiting.is_empty() && inner.last_progress.elapsed() > patience {
                self.restart(slot, &mut inner, ExitStatus::Replaced);
            }
        });
    }

    /// After so long nobody waits for an answer any more: the actor had its time, and so had the one in its place.
    pub fn longest_answer(&self) -> Duration {
        self.0.limits.answer_within * 2 + Duration::from_secs(2)
    }

    /// For the end of the process: refuses whatever still waits, and starts nothing afresh any more.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        let refusal = Refusal::stopping();
        self.0.slots.for_each(|slot| {
            slot.inner.lock().waiting.drain(..).for_each(|message| message.refuse(&refusal));
        });
    }
}
