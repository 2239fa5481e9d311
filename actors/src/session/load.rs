//! Activation: a fresh actor from what the store holds. The snapshot, the events after it, and what was still to be told.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{SessionActor, Shell, delivery::Delivery, rows::KnownRows};
use crate::{
    domain::{Event, Session, ids::SessionId},
    exit::{ExitGuard, ExitStatus},
    failpoint,
    gate::Gate,
    idempotency::PendingKeys,
    keys,
    outbox::Outbox,
    ports::{Direction, OwnerEpoch, Store, StoreError, StoreFault},
    presence::Presence,
    records::{self, EventRow, SNAPSHOT_VERSION, Snapshot},
    supervisor::Inbox,
};

/// Events read from the store at a time.
const PAGE: usize = 256;

struct Loaded {
    epoch: OwnerEpoch,
    session: Option<Session>,
    snapshot_seq: u64,
    outbox: Outbox,
}

impl SessionActor {
    /// `None`, after a word in the log, if the store cannot be read.
    pub fn activate(inbox: Inbox, shell: Arc<Shell>, mut exit: ExitGuard) -> Option<Self> {
        failpoint::reach(inbox.session(), "activate");
        match load(&*shell.store, inbox.session()) {
            Ok(loaded) => {
                let rows = loaded.session.as_ref().map(|s| KnownRows::of(s, &shell.domain)).unwrap_or_default();
                let durable = loaded.session.as_ref().map_or(0, Session::seq);
                Some(Self {
                    shell,
                    inbox,
                    exit,
                    epoch: loaded.epoch,
                    session: loaded.session,
                    rows,
                    gate: Gate::default(),
                    pending_keys: PendingKeys::default(),
                    presence: Presence::default(),
                    delivery: Delivery::new(durable, !loaded.outbox.is_empty()),
                    outbox: loaded.outbox,
                    seen: BTreeMap::new(),
                    snapshot_seq: loaded.snapshot_seq,
                    committed_seq: durable,
                    active_at: Instant::now(),
                    resting: false,
                })
            }
            Err(error) => {
                tracing::error!(session = %inbox.session(), %error, "session cannot be loaded");
                exit.set(ExitStatus::LoadFailed);
                None
            }
        }
    }
}

fn load(store: &dyn Store, id: &SessionId) -> Result<Loaded, StoreError> {
    let claim = store.claim(id)?;
    if claim.head == 0 {
        return Ok(Loaded { epoch: claim.epoch, session: None, snapshot_seq: 0, outbox: Outbox::default() });
    }
    let mut session = read_snapshot(store, id)?;
    let snapshot_seq = session.as_ref().map_or(0, Session::seq);
    let mut after = keys::event(id, snapshot_seq);
    loop {
        let page = store.scan(&keys::events(id), Some(&after), Direction::Forward, PAGE)?;
        for (_, row) in &page {
            let event = read_event(row)?;
            match &mut session {
                Some(session) => session.apply(&event),
                None => session = Session::start(&event),
            }
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = last,
            None => break,
        }
    }
    if session.as_ref().map_or(0, Session::seq) != claim.head {
        return Err(StoreError::new(format_args!("the log of session {id} has a gap")));
    }
    let outbox = match store.get(&keys::outbox(id))? {
        Some(row) => records::decode(&row)?,
        None => Outbox::default(),
    };
    Ok(Loaded { epoch: claim.epoch, session, snapshot_seq, outbox })
}

/// A snapshot of another version, or a damaged one, is left aside: the events make the same state.
fn read_snapshot(store: &dyn Store, id: &SessionId) -> Result<Option<Session>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u8,
    }
    let row = match store.get(&keys::snapshot(id)) {
        Err(error) if error.fault() == StoreFault::Damaged => {
            tracing::error!(session = %id, %error, "the events are read instead");
            return Ok(None);
        }
        row => row?,
    };
    let Some(row) = row else { return Ok(None) };
    if records::decode::<Version>(&row)?.v != SNAPSHOT_VERSION {
        return Ok(None);
    }
    Ok(Some(records::decode::<Snapshot<Session>>(&row)?.session))
}

pub(super) fn read_event(row: &[u8]) -> Result<Event, StoreError> {
    records::decode::<EventRow>(row).map(|row| row.event)
}
