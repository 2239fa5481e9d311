//! A push that may be sent, and the plan of one round: the pushes that may be sent, and those that are closed without
//! sending.

use tandem_actors::{RequestId, domain::time::Timestamp, keys::Key, ports::Change, records::PushJob};

use super::{
    reach::Device,
    rows::{Delivery, PushId, PushRecord},
};

/// A push that may be sent if the session agrees.
pub(super) struct Candidate {
    pub id: PushId,
    pub event: String,
    pub expires_at: Timestamp,
    /// The rows of this push. No other batch takes them meanwhile.
    pub claimed: Vec<Key>,
    /// Written together with the start of the attempt.
    pub on_start: Vec<Change>,
    /// Written together with the start too, but only if it is sent.
    pub on_send: Vec<Change>,
    pub origin: Origin,
    pub sends: Vec<(Delivery, Device)>,
}

impl Candidate {
    /// Names the request that caused the event, for the log lines of the deliveries.
    pub fn name_request(&mut self, request_id: Option<&RequestId>) {
        for (delivery, _) in &mut self.sends {
            delivery.request_id = request_id.cloned();
        }
    }
}

pub(super) enum Origin {
    /// The jobs of one user and session. `job` is the newest; `on_start` closes the others.
    Jobs {
        newest: Key,
        job: PushJob,
        record: Box<PushRecord>,
        record_is_new: bool,
    },
    Retry {
        row: Key,
    },
}

/// The plan of one round for the due rows.
#[derive(Default)]
pub(super) struct Plan {
    pub candidates: Vec<Candidate>,
    /// Changes of pushes that are closed or held without sending.
    pub closures: Vec<Change>,
    /// The rows of these pushes.
    pub closed: Vec<Key>,
    /// When the next row becomes due.
    pub next_due: Option<Timestamp>,
}

impl Plan {
    pub fn recipients(&self) -> usize {
        self.candidates.iter().map(|candidate| candidate.sends.len()).sum()
    }

    /// Removes a row that needs no sending.
    pub fn close_row(&mut self, row: Key) {
        self.closures.push(Change::Delete(row.clone()));
        self.closed.push(row);
    }

    pub fn wait_until(&mut self, at: Timestamp) {
        self.next_due = Some(self.next_due.map_or(at, |due| due.min(at)));
    }
}
