//! Work that no request asks for: due timers wake their sessions, sessions with an outbox are woken at the start,
//! frozen actors are replaced, and expired answers are deleted ([`super::answer_sweep`]).

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Coordinator;
use crate::{
    domain::{Timer, ids::SessionId, time::Timestamp},
    messages::Message,
    ports::{Change, Store, StoreError},
    rows::{keys, pages::pages},
};

const TICK: Duration = Duration::from_secs(1);
/// The next start trusts a clock that is not much later than the last note.
const NOTE_TIME_EVERY: Duration = Duration::from_secs(60);
const REMIND_EVERY: Duration = Duration::from_secs(30);
/// A timer that was sent to its session is sent again after this long, if its row is still there.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);

const TIME: &str = "time";

/// The settled time of the node's last run.
///
/// # Errors
/// If the store fails.
pub fn noted_time(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let row = store.get(&keys::meta(TIME))?;
    let millis = row.and_then(|row| row.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes)));
    Ok(millis.map(Timestamp::from_millis))
}

impl Coordinator {
    /// Wakes every session that has an outbox. Returns how many there are.
    pub fn resume_deliveries(&self) -> Result<usize, StoreError> {
        let mut woken = 0;
        for page in pages(self.store(), keys::outboxes()) {
            for session in page?.iter().filter_map(|(key, _)| keys::session_of_outbox(key)) {
                // The supervisor refuses only what it looks after itself: a quarantine, or a full inbox of an awake
                // session.
                let _ = self.supervisor.send(&session, Message::Drain);
                woken += 1;
            }
        }
        Ok(woken)
    }

    /// Runs until the process ends.
    pub async fn run_maintenance(self) {
        tokio::join!(self.clone().run_every_second(), self.run_answer_sweep());
    }

    async fn run_every_second(self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = HashMap::new();
        let mut reminded_at: Option<Instant> = None;
        let mut noted_at: Option<Instant> = None;
        loop {
            ticks.tick().await;
            self.supervisor.replace_frozen();
            if let Err(error) = self.send_due_timers(&mut sent) {
                tracing::error!(%error, "timers cannot be read");
            }
            if noted_at.is_none_or(|at| at.elapsed() >= NOTE_TIME_EVERY) {
                noted_at = Some(Instant::now());
                self.note_time().await;
            }
            if reminded_at.is_none_or(|at| at.elapsed() >= REMIND_EVERY) {
                reminded_at = Some(Instant::now());
                if let Err(error) = self.remind_of_account_work() {
                    tracing::error!(%error, "account work that waits cannot be read");
                }
            }
        }
    }

    /// Stores the settled time for the next start.
    async fn note_time(&self) {
        let now = self.deps.clock.settled().as_millis().to_be_bytes();
        let note = Change::Put(keys::meta(TIME), Bytes::copy_from_slice(&now));
        if let Err(error) = self.deps.journal.write(vec![note]).await {
            tracing::warn!(%error, "the time was not noted_at");
        }
    }

    fn send_due_timers(&self, sent: &mut HashMap<(SessionId, Timer, Timestamp), Instant>) -> Result<(), StoreError> {
        sent.retain(|_, at| at.elapsed() < SEND_AGAIN_AFTER);
        // A timer may end a session for good, so it goes by the settled time: a jump of the clock ends nothing at
        // once.
        let now = self.deps.clock.settled();
        for page in pages(self.store(), keys::all_due()) {
            for (key, _) in &page? {
                let Some((at, session, number)) = keys::parse_due(key) else { continue };
                if at > now {
                    return Ok(());
                }
                let Some(timer) = Timer::from_number(number) else { continue };
                let due = (session, timer, at);
                if !sent.contains_key(&due) && self.supervisor.send(&due.0, Message::Due { timer, at, now }).is_ok() {
                    sent.insert(due, Instant::now());
                }
            }
        }
        Ok(())
    }
}
