//! Finds superseded events: later events have written everything again that they wrote. A log without superseded events
//! gives the same state. See [`Kept`].

use serde::{Deserialize, Serialize};

use crate::{
    event::{Changes, Consequences, Event, Kept, Part},
    ids::Seq,
    side::Side,
};

/// A part of the state, or a time, that an event has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    /// The time of the last event. Each event writes it, so the last event of a log always stays.
    Last,
    /// The time of the last change.
    Changed,
    /// When the view of this member last changed.
    ChangedFor(Side),
    /// The time of this member's last deed.
    LastDeed(Side),
    Part(Side, Part),
}

/// The events that can be superseded, and the superseded ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// Each event that can be superseded, with the parts that it was the last one to write.
    last: Vec<(Seq, Vec<Written>)>,
    /// Superseded events that may still be in the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    superseded: Vec<Seq>,
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_empty() && self.superseded.is_empty()
    }

    pub(crate) fn superseded(&self) -> &[Seq] {
        &self.superseded
    }

    pub(crate) fn forget_superseded(&mut self) {
        self.superseded.clear();
    }

    /// Takes note of the next event. `author` is the side of its author, if the author is a member.
    pub(crate) fn note(&mut self, event: &Event, consequences: &Consequences<'_>, author: Option<Side>) {
        // The event depends on these parts of either side, so the events that wrote them stay.
        let is_read =
            |written: &Written| matches!(written, Written::Part(_, part) if consequences.reads.contains(part));
        self.last.retain(|(_, parts)| !parts.iter().any(is_read));
        let written = written(consequences, author);
        self.last.iter_mut().for_each(|(_, parts)| parts.retain(|part| !written.contains(part)));
        let superseded = &mut self.superseded;
        self.last.retain(|(seq, parts)| {
            superseded.extend(parts.is_empty().then_some(*seq));
            !parts.is_empty()
        });
        if let Kept::UntilRewritten(_) = consequences.kept {
            self.last.push((event.seq, written));
        }
    }
}

fn written(consequences: &Consequences<'_>, author: Option<Side>) -> Vec<Written> {
    let mut written = vec![Written::Last];
    match consequences.changes {
        Changes::Nothing => {}
        Changes::Client => written.extend(author.map(Written::ChangedFor)),
        Changes::Author => {
            written.push(Written::Changed);
            written.extend(author.map(Written::ChangedFor));
            written.extend(author.map(Written::LastDeed));
        }
        Changes::Both => {
            written.push(Written::Changed);
            written.extend(Side::BOTH.map(Written::ChangedFor));
            written.extend(author.map(Written::LastDeed));
        }
    }
    if let (Kept::UntilRewritten(parts), Some(author)) = (&consequences.kept, author) {
        written.extend(parts.iter().map(|part| Written::Part(author, part.clone())));
    }
    written
}
