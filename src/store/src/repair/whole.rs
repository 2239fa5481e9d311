//! Makes the sessions of a repaired store consistent: removes rows from which a session cannot continue, and has the
//! rows written again that follow from the sessions.

use std::{collections::BTreeSet, convert::identity};

use serde::Deserialize;
use tandem_actors::{
    Gaps,
    domain::ids::{Seq, SessionId},
    keys,
    ports::{Change, Direction, StoreError},
    records,
};

use crate::{
    names::session_of,
    rows::{Rows, in_pages},
    seal::Seals,
};

/// The part of a snapshot that is needed: the state's `seq`.
#[derive(Deserialize)]
struct Snapshot {
    session: SnapshotSeq,
}

#[derive(Deserialize)]
struct SnapshotSeq {
    seq: Seq,
}

/// All sessions that have an event, or a snapshot although all their events are lost.
pub(super) fn make_all_whole(rows: &dyn Rows, given_up: &mut Vec<String>) -> Result<(), StoreError> {
    for kind in [*b"e", *b"s"] {
        in_pages(rows, &kind, identity, |page| {
            // A session whose rows continue on the next page is found twice.
            let sessions: BTreeSet<_> = page.iter().filter_map(|(key, _)| session_of(key)).collect();
            sessions.iter().try_for_each(|session| make_whole(rows, session, given_up))
        })?;
    }
    Ok(())
}

/// What was lost may have been index rows. All of them follow from the sessions, so the next start of the node writes
/// them again.
pub(super) fn have_index_rebuilt(rows: &dyn Rows) -> Result<(), StoreError> {
    rows.write(&[&Change::Delete(keys::index_marker())])
}

/// The numbers of the events that compaction has taken out of a session's log.
fn gaps_of(rows: &dyn Rows, session: &SessionId) -> Result<Gaps, StoreError> {
    let mut gaps = Gaps::default();
    for (key, row) in rows.scan(&keys::compacted_of(session), None, Direction::Forward, usize::MAX)? {
        if let Some(block) =
            rows.row_coding().decode(&key, row, Seals::OnEveryRow).ok().and_then(|row| records::decode(&row).ok())
        {
            gaps.extend(block);
        }
    }
    Ok(gaps)
}

/// Removes events after a gap, and a snapshot of lost events.
fn make_whole(rows: &dyn Rows, session: &SessionId, given_up: &mut Vec<String>) -> Result<(), StoreError> {
    let events = rows.scan(&keys::events(session), None, Direction::Forward, usize::MAX)?;
    let seqs: Vec<Seq> = events.iter().filter_map(|(key, _)| keys::seq_of(key)).collect();
    let snapshot_key = keys::snapshot(session);
    let snapshot =
        rows.get(&snapshot_key)?.and_then(|row| rows.row_coding().decode(&snapshot_key, row, Seals::OnEveryRow).ok());
    let snapshot = snapshot.and_then(|row| records::decode::<Snapshot>(&row).ok()).map_or(0, |row| row.session.seq);
    let last = seqs.last().copied().unwrap_or(0);
    let is_of_the_past = snapshot <= last;
    let begin = if is_of_the_past { snapshot } else { 0 };
    let gaps = gaps_of(rows, session)?;
    let mut end = begin;
    for seq in seqs.iter().filter(|seq| **seq > begin) {
        if *seq != gaps.skip(end + 1) {
            break;
        }
        end = *seq;
    }
    let mut gone: Vec<Change> = Vec::new();
    if !is_of_the_past {
        gone.push(Change::Delete(snapshot_key));
    }
    for seq in seqs.into_iter().filter(|seq| *seq > end) {
        gone.extend([keys::event(session, seq), keys::visible_event(session, seq)].map(Change::Delete));
    }
    if !gone.is_empty() {
        gone.push(Change::Delete(keys::outbox(session)));
        given_up.push(match end {
            0 => format!("session {session}"),
            end => format!("session {session} after event {end}: it goes on from there"),
        });
        rows.write(&gone.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}
