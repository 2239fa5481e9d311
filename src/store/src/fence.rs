//! The owners of sessions, in memory: for every claimed session the owner's epoch and the `seq` of its last accepted
//! event. Ownership ends with the process. Epochs keep increasing, because each start takes a higher node epoch.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tandem_actors::{
    domain::ids::{Seq, SessionId},
    keys,
    ports::{Claim, Commit, Direction, Fence, OwnerEpoch, Store, StoreError, Verdict},
};

/// How long a caller waits for a group that is being written. A waiting thread serves no other request.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The `seq` of a session's last event; 0 if it has none.
pub(super) fn head_of(store: &dyn Store, session: &SessionId) -> Result<Seq, StoreError> {
    let events = keys::events(session);
    let last = store.scan(&events, None, Direction::Backward, 1)?;
    let Some((key, _)) = last.first() else { return Ok(0) };
    let seq = key.as_bytes()[events.as_bytes().len()..].try_into();
    seq.map(Seq::from_be_bytes).map_err(|_| StoreError::new("an event's key must end in a seq of 8 bytes"))
}

pub(super) struct Fences {
    state: Mutex<FenceState>,
    settled: Condvar,
}

struct FenceState {
    owners: HashMap<SessionId, Owner>,
    next_epoch: OwnerEpoch,
    /// The group being written, or the last one.
    group: u64,
    /// All groups up to this one are durable or have failed.
    settled: u64,
    /// Sessions that were released with a commit in flight. They are forgotten when the group is settled, so that a
    /// claim waits until then.
    leaving: Vec<(SessionId, OwnerEpoch)>,
}

struct Owner {
    epoch: OwnerEpoch,
    head: Seq,
    /// The last group that holds a commit of this session.
    group: u64,
}

impl Fences {
    /// `node_epoch` was never used before on this store. Epochs are `node_epoch << 32 | counter`.
    pub fn new(node_epoch: u32) -> Self {
        let next_epoch = (u64::from(node_epoch) << 32) + 1;
        Self {
            state: Mutex::new(FenceState {
                owners: HashMap::new(),
                next_epoch,
                group: 0,
                settled: 0,
                leaving: Vec::new(),
            }),
            settled: Condvar::new(),
        }
    }

    /// Takes the session over, and then asks `read_head` for the end of its log. First it waits for a group that is
    /// being written and changes this session. So the head is final: commits of an earlier owner that still wait in the
    /// queue will be refused.
    pub fn claim(
        &self,
        session: &SessionId,
        read_head: impl FnOnce() -> Result<Seq, StoreError>,
    ) -> Result<Claim, StoreError> {
        let mut state = self.state.lock();
        let deadline = Instant::now() + LONGEST_WAIT;
        while state.owners.get(session).is_some_and(|owner| owner.group > state.settled) {
            if self.settled.wait_until(&mut state, deadline).timed_out() {
                return Err(StoreError::stalled());
            }
        }
        let epoch = state.next_epoch;
        state.next_epoch += 1;
        let group = state.settled;
        state.owners.insert(session.clone(), Owner { epoch, head: 0, group });
        drop(state);

        let head = read_head()?;
        if let Some(owner) = self.state.lock().owners.get_mut(session)
            && owner.epoch == epoch
        {
            owner.head = head;
        }
        Ok(Claim { epoch, head })
    }

    pub fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        let mut state = self.state.lock();
        let Some(owner) = state.owners.get(session).filter(|owner| owner.epoch == epoch) else { return };
        if owner.group > state.settled {
            state.leaving.push((session.clone(), epoch));
        } else {
            state.owners.remove(session);
        }
    }

    /// Decides for each commit of a group, in order, and begins the group. [`Fences::settle`] must follow.
    pub fn judge(&self, group: &[Commit]) -> Vec<Verdict> {
        let mut state = self.state.lock();
        state.group += 1;
        group.iter().map(|commit| commit.fence.as_ref().map_or(Verdict::Written, |fence| state.judge(fence))).collect()
    }

    /// The current group is durable or has failed.
    pub fn settle(&self) {
        let mut state = self.state.lock();
        state.settled = state.group;
        for (session, epoch) in std::mem::take(&mut state.leaving) {
            if state.owners.get(&session).is_some_and(|owner| owner.epoch == epoch) {
                state.owners.remove(&session);
            }
        }
        drop(state);
        self.settled.notify_all();
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.state.lock().owners.len()
    }
}

impl FenceState {
    fn judge(&mut self, fence: &Fence) -> Verdict {
        let group = self.group;
        match self.owners.get_mut(&fence.session) {
            Some(owner) if owner.epoch == fence.epoch && owner.head == fence.expected => {
                owner.head = fence.next;
                owner.group = group;
                Verdict::Written
            }
            _ => Verdict::Fenced,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    fn session(name: &str) -> SessionId {
        format!("c{name:0>24}").parse().expect("a session id")
    }

    fn commit(session: &SessionId, epoch: OwnerEpoch, expected: Seq, next: Seq) -> Commit {
        Commit { fence: Some(Fence { session: session.clone(), epoch, expected, next }), changes: Vec::new() }
    }

    fn claim(fences: &Fences, session: &SessionId, head: Seq) -> Claim {
        fences.claim(session, || Ok(head)).expect("a claim")
    }

    #[test]
    fn a_later_claim_shuts_out_the_earlier_owner() {
        let fences = Fences::new(1);
        let session = session("a");
        let first = claim(&fences, &session, 4);
        let second = claim(&fences, &session, 4);
        assert!(second.epoch > first.epoch);
        let verdicts = fences.judge(&[commit(&session, first.epoch, 4, 5), commit(&session, second.epoch, 4, 5)]);
        assert_eq!(verdicts, [Verdict::Fenced, Verdict::Written]);
    }

    #[test]
    fn commits_of_one_group_are_judged_on_each_other() {
        let fences = Fences::new(1);
        let session = session("a");
        let epoch = claim(&fences, &session, 0).epoch;
        let group = [
            commit(&session, epoch, 0, 2),
            commit(&session, epoch, 0, 1),
            commit(&session, epoch, 2, 2),
            commit(&session, epoch, 2, 3),
        ];
        let verdicts = fences.judge(&group);
        assert_eq!(verdicts, [Verdict::Written, Verdict::Fenced, Verdict::Written, Verdict::Written]);
    }

    #[test]
    fn nobody_owns_a_released_session() {
        let fences = Fences::new(1);
        let session = session("a");
        let first = claim(&fences, &session, 0).epoch;
        let second = claim(&fences, &session, 0).epoch;
        fences.release(&session, first);
        assert_eq!(fences.remembered(), 1, "only the owner can let go");
        fences.release(&session, second);
        assert_eq!(fences.remembered(), 0);
        assert_eq!(fences.judge(&[commit(&session, second, 0, 1)]), [Verdict::Fenced]);
    }

    #[test]
    fn a_claim_waits_for_the_group_being_written_even_if_the_owner_has_released_the_session() {
        let fences = Fences::new(1);
        let session = session("a");
        let epoch = claim(&fences, &session, 0).epoch;
        fences.judge(&[commit(&session, epoch, 0, 1)]);
        fences.release(&session, epoch);
        thread::scope(|scope| {
            let (told, outcome) = mpsc::channel();
            let (fences, session) = (&fences, &session);
            scope.spawn(move || told.send(claim(fences, session, 1)));
            assert!(outcome.recv_timeout(std::time::Duration::from_millis(50)).is_err());
            fences.settle();
            assert_eq!(outcome.recv().expect("a claim").head, 1);
        });
        assert_eq!(fences.remembered(), 1, "the new owner stays");
    }

    #[test]
    fn epochs_of_a_later_start_are_larger() {
        let before = Fences::new(7);
        let after = Fences::new(8);
        let session = session("a");
        let highest = (0..100).map(|_| claim(&before, &session, 0).epoch).max().expect("some");
        assert!(claim(&after, &session, 0).epoch > highest);
    }
}
