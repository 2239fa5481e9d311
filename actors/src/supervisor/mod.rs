//! One actor for each awake session. The supervisor keeps what must survive an actor's death: the inbox, the count of
//! crashes, and the factory that builds a fresh actor from the store. (`actix::Supervisor` restarts an actor that stops
//! with the same half-changed struct, and dies with an actor that panics.)
//!
//! A slot is `Asleep` (and then forgotten), `Starting`, `Awake`, in `Backoff`, or `Quarantined`. A message starts a
//! sleeping session. A crash starts a fresh actor after a pause. Too many crashes within a window quarantine the
//! session.

mod arbiters;
mod exit;
mod inbox;
mod lifecycle;
mod limits;
mod quarantine;
mod slot;
mod slots;

use std::{
    hash::RandomState,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::Recipient;
use tokio::time::Instant;

pub use self::{arbiters::Arbiters, exit::ExitStatus, limits::SupervisionLimits, quarantine::Quarantine};
pub(crate) use self::{
    exit::{Exit, ExitGuard},
    inbox::{Inbox, Next},
};
use self::{slot::SlotState, slots::Slots};
use crate::{
    domain::ids::{SessionId, UserId},
    messages::{Refusal, SessionMessage},
    ports::Clock,
};

/// The gauge of sessions in quarantine.
const QUARANTINED: &str = "tandem_sessions_quarantined";

/// Tells an actor that something waits: in its inbox, or at its output gate.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Builds the actor of a session from the store and starts it on the calling thread. `None` if the session cannot be
/// loaded; the factory has logged why.
pub(crate) type ActorFactory = Box<dyn Fn(Inbox, ExitGuard) -> Option<Recipient<Wake>> + Send + Sync>;

struct Shared {
    slots: Arc<Slots>,
    arbiters: Arbiters,
    limits: SupervisionLimits,
    clock: Arc<dyn Clock>,
    factory: ActorFactory,
    hasher: RandomState,
    stopping: AtomicBool,
}

/// The table of all awake sessions; cheap to clone.
#[derive(Clone)]
pub(crate) struct Supervisor(Arc<Shared>);

impl Supervisor {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        arbiters: Arbiters,
        limits: SupervisionLimits,
        factory: ActorFactory,
    ) -> Self {
        metrics::gauge!(QUARANTINED).set(0.0);
        Self(Arc::new(Shared {
            slots: Arc::default(),
            arbiters,
            limits,
            clock,
            factory,
            hasher: RandomState::new(),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Puts a message into the session's inbox and wakes its actor, which is started if it sleeps.
    pub(crate) fn send(&self, session: &SessionId, message: SessionMessage) -> Result<(), Refusal> {
        let message = Box::new(message);
        loop {
            let slot = self.0.slots.get_or_insert(session);
            let mut inner = slot.inner.lock();
            if inner.forgotten {
                continue;
            }
            if let SlotState::Quarantined(quarantine) = &inner.state {
                return Err(quarantine.refusal());
            }
            if inner.waiting.len() >= self.0.limits.mailbox {
                metrics::counter!("tandem_session_mailbox_full_total").increment(1);
                return Err(Refusal::unavailable(
                    "too many requests wait for this session; try again",
                    Duration::from_secs(1),
                ));
            }
            if inner.waiting.is_empty() {
                inner.last_progress = Instant::now();
            }
            inner.waiting.push_back(message);
            match &inner.state {
                SlotState::Asleep => self.start(&slot, &mut inner),
                SlotState::Awake(actor) if !inner.woken => {
                    actor.do_send(Wake);
                    inner.woken = true;
                }
                SlotState::Awake(_) | SlotState::Starting | SlotState::Backoff | SlotState::Quarantined(_) => {}
            }
            return Ok(());
        }
    }

    /// Like [`Supervisor::send`], but does nothing for a sleeping session: it asks the provider when it wakes.
    pub(crate) fn send_if_awake(&self, session: &SessionId, message: SessionMessage) {
        if self.0.slots.contains(session) {
            // With a full inbox or in quarantine the report is lost: the session asks the provider when it works again.
            drop(self.send(session, message));
        }
    }

    /// Whether the session's actor has listed the user as a member. If it has not, the store has to be read.
    pub(crate) fn lists_member(&self, session: &SessionId, user: &UserId) -> bool {
        let slot = self.0.slots.get(session);
        slot.is_some_and(|slot| slot.inner.lock().members.as_ref().is_some_and(|members| members.contains(user)))
    }

    /// A membership was changed in the store without the actor. Until the next actor starts, members are read from the
    /// store.
    pub(crate) fn forget_members(&self, session: &SessionId) {
        if let Some(slot) = self.0.slots.get(session) {
            slot.inner.lock().members = None;
        }
    }

    /// Releases a session from quarantine. False if it was not in quarantine.
    pub(crate) fn release(&self, session: &SessionId) -> bool {
        let Some(slot) = self.0.slots.get(session) else { return false };
        let mut inner = slot.inner.lock();
        let quarantined = matches!(inner.state, SlotState::Quarantined(_));
        if quarantined {
            metrics::gauge!(QUARANTINED).decrement(1.0);
            inner.state = SlotState::Asleep;
            inner.crashes.clear();
            tracing::info!(%session, "session released from quarantine");
        }
        quarantined
    }

    /// Why the session is in quarantine, if it is.
    pub(crate) fn quarantine(&self, session: &SessionId) -> Option<Arc<Quarantine>> {
        match &self.0.slots.get(session)?.inner.lock().state {
            SlotState::Quarantined(quarantine) => Some(quarantine.clone()),
            SlotState::Asleep | SlotState::Awake(_) | SlotState::Starting | SlotState::Backoff => None,
        }
    }

    /// All sessions in quarantine.
    pub(crate) fn quarantined(&self) -> Vec<(SessionId, Arc<Quarantine>)> {
        let mut all = Vec::new();
        self.0.slots.for_each(|slot| {
            if let SlotState::Quarantined(quarantine) = &slot.inner.lock().state {
                all.push((slot.session.clone(), quarantine.clone()));
            }
        });
        all
    }

    /// Whether a running actor can be expected to answer soon.
    pub(crate) fn is_awake(&self, session: &SessionId) -> bool {
        self.0.slots.get(session).is_some_and(|slot| matches!(slot.inner.lock().state, SlotState::Awake(_)))
    }

    /// Some sessions that have an actor, at most `limit`, in no order.
    pub(crate) fn awake(&self, limit: usize) -> Vec<SessionId> {
        let mut awake = Vec::new();
        self.0.slots.for_each(|slot| {
            if awake.len() < limit && matches!(slot.inner.lock().state, SlotState::Awake(_)) {
                awake.push(slot.session.clone());
            }
        });
        awake
    }

    /// The number of sessions in memory.
    pub(crate) fn resident(&self) -> usize {
        self.0.slots.len()
    }

    /// How long a caller waits for an answer: long enough for the actor and for its replacement.
    pub(crate) fn answer_timeout(&self) -> Duration {
        self.0.limits.answer_within * 2 + Duration::from_secs(2)
    }

    /// For the end of the process: refuses all waiting messages and starts no more actors.
    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        let refusal = Refusal::stopping();
        self.0.slots.for_each(|slot| {
            slot.inner.lock().waiting.drain(..).for_each(|message| message.refuse(&refusal));
        });
    }
}
