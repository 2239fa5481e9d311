//! Maintains the files of a log, and reads its groups, while the writer continues.

use std::sync::Arc;

use crate::{
    error::{WalError, at},
    layout::HEADER_BLOCK,
    read::Content,
    segments::{Segments, Usage},
};

/// Maintains a log's files, on another thread than the writer's.
#[derive(Clone, Debug)]
pub struct Keeper(pub(crate) Arc<Segments>);

impl Keeper {
    /// Prepares segments, so that the writer need not wait for one.
    ///
    /// # Errors
    /// If the disk is full, or the log has reached its limit. The writer then gets the same error.
    pub fn prepare(&self) -> Result<(), WalError> {
        self.0.prepare()
    }

    /// Drops the groups up to this one, which are no longer needed. Their segments are used again.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn forget(&self, upto: u64) -> Result<(), WalError> {
        self.0.forget(upto)
    }

    /// Keeps the segments with groups after this one, so that a backup can copy them. The oldest go when the log takes
    /// up more than half of [`LogSizes::most`](crate::LogSizes::most). `None` keeps nothing.
    pub fn keep_beyond(&self, group: Option<u64>) {
        self.0.keep_beyond(group);
    }

    /// Groups up to this one are no longer kept for a backup, whatever [`Self::keep_beyond`] says.
    pub fn retire(&self, upto: u64) {
        self.0.retire(upto);
    }

    /// Passes the groups after `after` up to `upto` to `take`, in order. The groups up to `upto` must be durable.
    ///
    /// # Errors
    /// [`WalError::Missing`] if one of them is missing or cannot be read, and the errors of `take`.
    pub fn read(
        &self,
        after: u64,
        upto: u64,
        take: impl FnMut(u64, &[u8]) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        groups(&self.0, after, upto, take)
    }

    /// Whether groups after this one may be dropped soon: they are in a segment that the writer has left.
    pub fn has_left(&self, group: u64) -> bool {
        self.0.has_left(group)
    }

    /// Whether there is a full segment that has only groups up to this one.
    pub fn keeps_upto(&self, group: u64) -> bool {
        self.0.keeps_upto(group)
    }

    /// From now on, files without needed groups are used for new segments. This is the default.
    pub fn reuse_unused(&self) {
        self.0.reuse_unused();
    }

    /// Removes the files without needed groups, now and from now on. The opposite of [`Self::reuse_unused`].
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn remove_unused(&self) -> Result<(), WalError> {
        self.0.remove_unused()
    }

    /// The present disk usage of the log.
    pub fn usage(&self) -> Usage {
        self.0.usage()
    }

    /// Whether the writer will soon lack a segment, unless groups are dropped.
    pub fn is_tight(&self) -> bool {
        self.0.is_tight()
    }
}

/// Passes the groups after `after` up to `upto` to `take`, in order, while the writer continues. The groups up to
/// `upto` must be durable.
fn groups(
    segments: &Segments,
    after: u64,
    upto: u64,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), WalError>,
) -> Result<(), WalError> {
    let mut expected = after + 1;
    for segment in segments.beyond(after) {
        if expected > upto {
            break;
        }
        let content = Content::load(&*segment.file, segments.log(), Some(segment.number));
        let content = content.map_err(at("read", &segment.path))?;
        for record in content.search(HEADER_BLOCK).filter(|record| (after + 1..=upto).contains(&record.group)) {
            match record.group {
                group if group == expected => take(group, record.payload)?,
                // The torn end of an earlier start. A later segment has a group of the same number.
                group if group < expected => continue,
                oldest => return Err(WalError::Missing { path: segment.path, needed: expected, oldest }),
            }
            expected += 1;
        }
    }
    if expected <= upto {
        let path = segments.directory().to_owned();
        return Err(WalError::Missing { path, needed: expected, oldest: upto + 1 });
    }
    Ok(())
}
