//! A cycle: the check-ins of both partners on their shared entries. The choices stay hidden until both have checked in
//! or the time is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CheckIn, ContinueChoice, CycleResult, CycleStatus, EntryResolution, Tending};
use crate::{
    ids::{CycleId, TendingEntryId},
    side::Side,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cycle {
    pub(crate) id: CycleId,
    pub(crate) status: CycleStatus,
    pub(crate) entries: Vec<TendingEntryId>,
    pub(crate) submitted: Vec<Side>,
    pub(crate) deadline: Timestamp,
    pub(crate) resolved_at: Option<Timestamp>,
    pub(crate) result: Option<CycleResult>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Cycle {
    pub(crate) fn is_waiting(&self) -> bool {
        self.status == CycleStatus::WaitingForPartner
    }
}

/// The effect of check-ins on one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CycleOutcome {
    /// The entry is completed.
    Done,
    /// The entry is scheduled anew.
    Again,
    /// The entry stays open.
    Held,
}

impl CycleOutcome {
    /// The effect of one partner's check-in on an entry.
    pub(crate) fn of(check_in: &CheckIn, entry: &TendingEntryId) -> CycleOutcome {
        match check_in.choice {
            ContinueChoice::Extend => CycleOutcome::Again,
            ContinueChoice::PartialClosure => match check_in.partial_closure.get(entry) {
                Some(EntryResolution::Resolved) => CycleOutcome::Done,
                _ => CycleOutcome::Again,
            },
            ContinueChoice::FullClosure | ContinueChoice::AnotherRound | ContinueChoice::NewProcess => {
                CycleOutcome::Done
            }
        }
    }
}

/// The result of the check-ins of a cycle.
pub(crate) fn result(check_ins: &[&CheckIn]) -> CycleResult {
    let all = |choice| !check_ins.is_empty() && check_ins.iter().all(|check_in| check_in.choice == choice);
    if all(ContinueChoice::Extend) {
        CycleResult::Extended
    } else if all(ContinueChoice::FullClosure) && check_ins.iter().all(|check_in| !check_in.leaves_needs_open()) {
        CycleResult::Completed
    } else if all(ContinueChoice::PartialClosure) {
        CycleResult::PartlyCompleted
    } else {
        CycleResult::Held
    }
}

/// The effect of a cycle on an entry. With partial closure an entry is done if all partners call it resolved.
pub(crate) fn outcome_in(result: CycleResult, check_ins: &[CheckIn], entry: &TendingEntryId) -> CycleOutcome {
    match result {
        CycleResult::Extended => CycleOutcome::Again,
        CycleResult::Completed => CycleOutcome::Done,
        CycleResult::Held => CycleOutcome::Held,
        CycleResult::PartlyCompleted => {
            let is_done = check_ins.iter().all(|check_in| CycleOutcome::of(check_in, entry) == CycleOutcome::Done);
            if is_done { CycleOutcome::Done } else { CycleOutcome::Again }
        }
    }
}

impl Tending {
    pub(crate) fn cycle(&self, id: &CycleId) -> Option<&Cycle> {
        self.cycles.iter().find(|cycle| cycle.id == *id)
    }

    /// The waiting cycle that holds any of these entries.
    pub(crate) fn waiting_cycle(&self, entries: &[TendingEntryId]) -> Option<&Cycle> {
        self.cycles.iter().find(|cycle| cycle.is_waiting() && cycle.entries.iter().any(|id| entries.contains(id)))
    }

    /// Each partner's latest check-in of a cycle.
    pub(crate) fn check_ins_of(&self, cycle: &CycleId) -> BTreeMap<Side, &CheckIn> {
        let of_cycle = self.check_ins.iter().filter(|taken| taken.cycle.as_ref() == Some(cycle));
        of_cycle.map(|taken| (taken.by, &taken.check_in)).collect()
    }
}
