//! One actor for each session that is awake. The supervisor keeps what an actor must not take with it when it dies: the inbox,
//! the count of crashes, and the way to build a fresh one from the store. (`actix::Supervisor` restarts an actor that stops,
//! with the same half-changed struct, and dies with one that panics.)
//!
//! A slot is `Asleep` (and soon forgotten), `Awake`, waiting in `Backoff`, or `Quarantined`. A message starts what sleeps; an
//! exit that was a crash starts a fresh actor after a pause; too many crashes in a window stop that.

mod limits;
mod quarantine;
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
    quarantine::Quarantine,
    slot::{Inbox, Next, Slot},
};
use crate::{
    arbiters::{Arbiters, Frozen},
    domain::ids::SessionId,
    exit::{Exit, ExitGuard, ExitStatus},
    messages::{Message, Refusal},
    session::{SessionActor, Shell, Wake},
    slots::Slots,
};

/// How many sessions are in quarantine.
const QUARANTINED: &str = "tandem_sessions_quarantined";

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
            if let State::Quarantined(quarantine) = &inner.state {
                return Err(quarantine.refusal());
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
        let quarantined = matches!(inner.state, State::Quarantined(_));
        if quarantined {
            metrics::gauge!(QUARANTINED).decrement(1.0);
            inner.state = State::Asleep;
            inner.crashes.clear();
            tracing::info!(%session, "session released from quarantine");
        }
        quarantined
    }

    /// Why the session is in quarantine, if it is.
    pub fn quarantine(&self, session: &SessionId) -> Option<Arc<Quarantine>> {
        match &self.0.slots.get(session)?.inner.lock().state {
            State::Quarantined(quarantine) => Some(quarantine.clone()),
            _ => None,
        }
    }

    /// All sessions in quarantine.
    pub fn quarantined(&self) -> Vec<(SessionId, Arc<Quarantine>)> {
        let mut all = Vec::new();
        self.0.slots.for_each(|slot| {
            if let State::Quarantined(quarantine) = &slot.inner.lock().state {
                all.push((slot.session.clone(), quarantine.clone()));
            }
        });
        all
    }

    /// Whether an actor is there that can be expected to answer soon.
    pub fn is_awake(&self, session: &SessionId) -> bool {
        self.0.slots.get(session).is_some_and(|slot| matches!(slot.inner.lock().state, State::Awake(_)))
    }

    pub fn resident(&self) -> usize {
        self.0.slots.len()
    }

    fn start(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        inner.generation += 1;
        inner.state = State::Starting;
        inner.woken = true;
        inner.last_progress = Instant::now();
        let (on, generation) = (slot.clone(), inner.generation);
        let mut hasher = self.0.hasher.build_hasher();
        hasher.write(slot.session.as_str().as_bytes());
        let shell = self.0.shell.clone();
        let supervisor = self.clone();
        inner.home = self.0.arbiters.spawn(hasher.finish(), move |home| {
            let inbox = Inbox { slot: on, generation, supervisor: supervisor.clone(), home };
            let guard = supervisor.guard(&inbox);
            supervisor.clone().run(inbox, shell, guard);
        });
        if inner.home.is_none() {
            inner.state = State::Asleep;
            inner.waiting.drain(..).for_each(|message| message.refuse(&Refusal::stopping()));
        }
    }

    /// On the arbiter's thread.
    fn run(self, inbox: Inbox, shell: Arc<Shell>, guard: ExitGuard) {
        let _turn = inbox.take_turn();
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
        ExitGuard::new(move |exit| supervisor.exited(&inbox, exit))
    }

    fn exited(&self, inbox: &Inbox, exit: Exit) {
        let mut inner = inbox.slot.inner.lock();
        if inner.generation != inbox.generation || self.0.stopping.load(Ordering::Acquire) {
            return;
        }
        self.restart(&inbox.slot, &mut inner, exit);
    }

    fn restart(&self, slot: &Arc<Slot>, inner: &mut Inner, exit: Exit) {
        let Exit { status, cause } = exit;
        // Whatever the old actor still does, it is not heard any more.
        inner.generation += 1;
        inner.state = State::Backoff;
        let limits = &self.0.limits;
        let now = Instant::now();
        inner.last_progress = now;
        while inner.crashes.front().is_some_and(|at| now.duration_since(*at) > limits.crash_window) {
            inner.crashes.pop_front();
        }
        if !matches!(status, ExitStatus::Passivated | ExitStatus::Displaced) {
            inner.crashes.push_back(now);
        }
        let crashes = inner.crashes.len();
        let session = &slot.session;
        metrics::counter!("tandem_session_exits_total", "status" => status.as_str()).increment(1);
        if crashes > limits.max_crashes {
            let since = self.0.shell.clock.now();
            let quarantine = Quarantine { since, crashes, window: limits.crash_window, last: status, cause };
            tracing::error!(%session, reason = quarantine.reason(), advice = quarantine.advice(), "session quarantined");
            metrics::gauge!(QUARANTINED).increment(1.0);
            let refusal = quarantine.refusal();
            inner.waiting.drain(..).for_each(|message| message.refuse(&refusal));
            inner.state = State::Quarantined(Arc::new(quarantine));
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
        for frozen in self.0.arbiters.replace_frozen(limit) {
            self.leave_frozen(&frozen);
        }
        self.0.slots.for_each(|slot| {
            let mut inner = slot.inner.lock();
            let patience = match inner.state {
                State::Awake(_) | State::Starting => limit,
                State::Backoff => limit + self.0.limits.backoff_max,
                State::Asleep | State::Quarantined(_) => return,
            };
            let late = !inner.waiting.is_empty() && inner.last_progress.elapsed() > patience;
            // A thread that may be frozen is judged first: whoever waits on it is not to blame.
            if late && !inner.home.as_ref().is_some_and(|home| home.is_suspect(limit)) {
                self.restart(slot, &mut inner, ExitStatus::Replaced.into());
            }
        });
    }

    /// Everybody on a frozen thread moves to the one in its place. Only the session whose turn it was is charged.
    fn leave_frozen(&self, frozen: &Frozen) {
        self.0.slots.for_each(|slot| {
            let mut inner = slot.inner.lock();
            if !inner.home.as_ref().is_some_and(|home| home.is(&frozen.home)) {
                return;
            }
            let charged = frozen.culprit.as_ref().is_some_and(|culprit| Arc::ptr_eq(culprit, slot));
            match inner.state {
                State::Awake(_) | State::Starting if charged => {
                    self.restart(slot, &mut inner, ExitStatus::Replaced.into());
                }
                State::Awake(_) | State::Starting => {
                    self.restart(slot, &mut inner, ExitStatus::Displaced.into());
                }
                // The end of its pause may have been on that thread.
                State::Backoff => self.start(slot, &mut inner),
                State::Asleep | State::Quarantined(_) => {}
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
