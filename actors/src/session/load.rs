//! Activation: builds a fresh actor from the snapshot, the events after it, and the outbox. An unreadable record ends
//! it, and is named.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use super::{
    SessionActor, SessionDeps, compaction::KnownGaps, delivery::DeliveryState, outbox::Outbox, output_gate::OutputGate,
    presence_set::PresenceSet, reads::PendingReads, rewritten::RewrittenRows, rows::KnownRows,
};
use crate::{
    domain::{Session, ids::SessionId},
    failpoint,
    ports::{OwnerEpoch, Store, StoreError},
    rows::{keys, records},
    stored::{self, Damage, StoredSession, idempotency::PendingKeys},
    supervisor::{ExitGuard, ExitStatus, Inbox},
};

struct LoadedSession {
    epoch: OwnerEpoch,
    session: Option<Session>,
    snapshot_seq: u64,
    /// The stored outbox, which may be empty. `None` without a row.
    outbox: Option<Outbox>,
}

impl SessionActor {
    /// Builds the actor. `None` if the session cannot be read; this is logged.
    pub(crate) fn activate(inbox: Inbox, deps: Arc<SessionDeps>, mut exit: ExitGuard) -> Option<Self> {
        failpoint::reach(inbox.session(), "activate");
        match load(&*deps.store, inbox.session()) {
            Ok(loaded) => {
                let row_stored = loaded.outbox.is_some();
                let mut outbox = loaded.outbox.unwrap_or_default();
                outbox.watch_on(deps.clock.uptime());
                let rows = loaded.session.as_ref().map(|s| KnownRows::of(s, &deps.domain)).unwrap_or_default();
                let durable = loaded.session.as_ref().map_or(0, Session::seq);
                Some(Self {
                    deps,
                    inbox,
                    exit,
                    epoch: loaded.epoch,
                    session: loaded.session,
                    rows,
                    gate: OutputGate::default(),
                    pending_keys: PendingKeys::default(),
                    presence: PresenceSet::default(),
                    delivery: DeliveryState::new(durable, row_stored),
                    outbox,
                    seen: BTreeMap::new(),
                    snapshot_seq: loaded.snapshot_seq,
                    gaps: KnownGaps::default(),
                    rewritten: RewrittenRows::default(),
                    reads: PendingReads::default(),
                    committed_seq: durable,
                    active_at: Instant::now(),
                    passivating: false,
                    removed: false,
                    members_listed: false,
                })
            }
            Err(error) => {
                tracing::error!(session = %inbox.session(), %error, "session cannot be loaded");
                let status = match &error {
                    Unreadable::Store(error) => ExitStatus::unread(error),
                    Unreadable::Damaged(_) => ExitStatus::LoadFailed,
                };
                exit.because(status, error.to_string());
                None
            }
        }
    }
}

fn load(store: &dyn Store, id: &SessionId) -> Result<LoadedSession, Unreadable> {
    let claim = store.claim(id)?;
    if claim.head == 0 {
        return Ok(LoadedSession { epoch: claim.epoch, session: None, snapshot_seq: 0, outbox: None });
    }
    let StoredSession { session, snapshot_seq, damage } = stored::read(store, id)?;
    // An unreadable snapshot does no harm if the events give the whole state.
    let whole = session.as_ref().map_or(0, Session::seq) == claim.head;
    if let Some(damage) = damage.filter(|_| !whole) {
        return Err(Unreadable::Damaged(damage));
    }
    if !whole {
        let record = format!("event {}", session.as_ref().map_or(0, Session::seq) + 1);
        return Err(Unreadable::Damaged(Damage { record, problem: "it is missing".into() }));
    }
    let outbox = match store.get(&keys::outbox(id))?.map(|row| records::decode(&row)).transpose() {
        Ok(outbox) => outbox,
        Err(error) => return Err(Unreadable::Damaged(Damage { record: "outbox".into(), problem: error.to_string() })),
    };
    Ok(LoadedSession { epoch: claim.epoch, session, snapshot_seq, outbox })
}

/// Why a session cannot be loaded.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Damaged(Damage),
}
