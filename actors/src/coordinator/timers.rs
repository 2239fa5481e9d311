//! Wakes sessions whose timers are due. At the start it also wakes sessions with an outbox. Rows sorted by time show
//! which timers are due, so only due timers cost anything. After a long stop many timers are due at once. They are sent
//! in batches, so that commands can run in between.

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, sleep};

use super::Coordinator;
use crate::{
    domain::{Timer, ids::SessionId, time::Timestamp},
    messages::SessionMessage,
    ports::StoreError,
    rows::{
        keys,
        pages::{PAGE, pages},
    },
};

const TICK: Duration = Duration::from_secs(1);
/// The pause between two batches while more timers are due.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest number of sent timers that are not done yet.
const AT_ONCE: usize = PAGE;
/// A timer that was sent to its session is sent again after this long, if its row is still there.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// When each timer was sent.
type SentTimers = HashMap<(SessionId, Timer, Timestamp), Instant>;

/// Whether timers that are due are left after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DueTimers {
    /// More may be due.
    More,
    Done,
}

impl Coordinator {
    /// Wakes every session that has an outbox, a page at a time. Returns how many there are.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn resume_deliveries(&self) -> Result<usize, StoreError> {
        let mut woken = 0;
        for page in pages(self.store(), keys::outboxes()) {
            let page = page?;
            for session in page.iter().filter_map(|(key, _)| keys::session_of_outbox(key)) {
                // The supervisor refuses only a session in quarantine, or an awake session with a full inbox. Neither
                // needs to be woken.
                let _ = self.supervisor.send(&session, SessionMessage::Drain);
                woken += 1;
            }
            if page.len() == PAGE {
                sleep(PAUSE).await;
            }
        }
        Ok(woken)
    }

    /// Runs until the process ends.
    pub(super) async fn run_timers(&self) {
        let mut sent = SentTimers::new();
        loop {
            let rest = self.send_due_timers(&mut sent).unwrap_or_else(|error| {
                tracing::error!(%error, "timers cannot be read");
                DueTimers::Done
            });
            sleep(if rest == DueTimers::More { PAUSE } else { TICK }).await;
        }
    }

    /// Sends due timers to their sessions. A timer has a row until it is done. It is sent once, and again after
    /// [`SEND_AGAIN_AFTER`].
    fn send_due_timers(&self, sent: &mut SentTimers) -> Result<DueTimers, StoreError> {
        sent.retain(|_, at| at.elapsed() < SEND_AGAIN_AFTER);
        // A timer may end a session permanently, so it uses the settled time: a jump of the clock ends no session at
        // once.
        let now = self.deps.clock.settled();
        let mut under_way = 0;
        for page in pages(self.store(), keys::all_due()) {
            for (key, _) in &page? {
                let Some((at, session, number)) = keys::parse_due(key) else { continue };
                if at > now {
                    return Ok(DueTimers::Done);
                }
                let Some(timer) = Timer::from_number(number) else { continue };
                let due = (session, timer, at);
                let is_sent = sent.contains_key(&due);
                // A session in quarantine takes none, and does not hold up the others.
                if !is_sent && self.supervisor.send(&due.0, SessionMessage::Due { timer, at, now }).is_err() {
                    continue;
                }
                sent.entry(due).or_insert_with(Instant::now);
                under_way += 1;
                if under_way == AT_ONCE {
                    return Ok(DueTimers::More);
                }
            }
        }
        Ok(DueTimers::Done)
    }
}
