//! Queries for a channel's history.

use crate::{
    log::{Entry, EntryBody},
    paging,
    protocol::{ChannelSerial, ErrorInfo},
    storage::Direction,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    Messages,
    Presence,
}

/// The last item of a page: the next page continues after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub seq: u64,
    pub index: usize,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.seq, self.index)
    }
}

#[derive(Clone, Debug)]
pub struct HistoryQuery {
    pub kind: HistoryKind,
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub direction: Direction,
    pub limit: usize,
    /// Backwards: no entry newer than this one. Forwards: only newer entries.
    pub from_serial: Option<ChannelSerial>,
    pub cursor: Option<Cursor>,
}

impl HistoryQuery {
    /// # Errors
    /// 40000 for invalid parameters.
    pub fn read(kind: HistoryKind, parameter: impl Fn(&str) -> Option<String>) -> Result<Self, ErrorInfo> {
        let time = |name| match parameter(name) {
            None => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|_| ErrorInfo::bad_request(format!("{name} must be milliseconds")))
            }
        };
        let direction = paging::direction(parameter("direction").as_deref())?;
        let from_serial = match parameter("fromSerial").or_else(|| parameter("from_serial")) {
            None => None,
            Some(text) => Some(
                ChannelSerial::parse(&text)
                    .ok_or_else(|| ErrorInfo::bad_request("fromSerial must be a channel serial"))?,
            ),
        };
        let cursor = match parameter("cursor") {
            None => None,
            Some(text) => {
                let parts =
                    text.split_once('-').and_then(|(seq, index)| Some((seq.parse().ok()?, index.parse().ok()?)));
                let (seq, index) =
                    parts.ok_or_else(|| ErrorInfo::bad_request("cursor is not one of a page's links"))?;
                Some(Cursor { seq, index })
            }
        };
        let (start, end) = (time("start")?, time("end")?);
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(ErrorInfo::bad_request("start must not be after end"));
        }
        Ok(Self {
            kind,
            start,
            end,
            direction,
            limit: paging::limit(parameter("limit").as_deref())?,
            from_serial,
            cursor,
        })
    }

    pub(super) fn wants(&self, entry: &Entry) -> bool {
        let kind = matches!(entry.body, EntryBody::Messages(_)) == (self.kind == HistoryKind::Messages);
        let side = self.from_serial.as_ref().is_none_or(|from| match self.direction {
            Direction::Backward => entry.seq <= from.seq,
            Direction::Forward => entry.seq > from.seq,
        });
        kind && side && self.start.is_none_or(|start| entry.at >= start) && self.end.is_none_or(|end| entry.at <= end)
    }

    pub(super) fn is_beyond_cursor(&self, place: Cursor) -> bool {
        self.cursor.is_none_or(|cursor| match self.direction {
            Direction::Backward => place < cursor,
            Direction::Forward => place > cursor,
        })
    }
}
