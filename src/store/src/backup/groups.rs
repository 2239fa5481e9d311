//! Files of groups of the journal. Each group is a header of 20 bytes (length of the record, number of the group,
//! milliseconds since 1970 or 0 if the time is unknown; big-endian) and the journal's record.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::PathBuf,
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tandem_actors::domain::time::Timestamp;
use tandem_wal::{Keeper, WalError};

use super::{
    BackupError,
    directory::{BackupDirectory, LockedDirectory},
    manifest::GroupsFile,
};
use crate::{
    journaled::{JournaledStore, time_of_group},
    rows::Rows,
};

const HEADER: usize = 20;

/// Counts the written bytes and computes their hash.
struct HashingWriter<W> {
    inner: W,
    sum: Sha256,
    bytes: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies the groups after `after` up to `upto` from the journal.
pub(super) fn copy(
    store: &JournaledStore,
    log: &str,
    after: u64,
    upto: u64,
    to: &mut LockedDirectory,
) -> Result<GroupsFile, BackupError> {
    let file = format!("{log}-{:012}-{upto:012}.groups", after + 1);
    let path = to.directory.groups(&file);
    let (mut unread, mut summed) = (None, (0, String::new()));
    let written = to.write(&path, |file| {
        let mut out = HashingWriter { inner: BufWriter::new(file), sum: Sha256::new(), bytes: 0 };
        let copied = copy_to(&mut out, store, after, upto);
        copied.unwrap_or_else(|error| {
            unread = Some(error);
            Err(io::ErrorKind::Other.into())
        })?;
        summed = (out.bytes, HEXLOWER.encode(&out.sum.finalize()));
        Ok(())
    });
    if let Some(error) = unread {
        return Err(error.into());
    }
    written?;
    let (bytes, sha256) = summed;
    Ok(GroupsFile { file, first: after + 1, last: upto, bytes, sha256 })
}

/// The outer error is the journal's. The inner error is that of `out`.
fn copy_to(out: &mut dyn Write, store: &JournaledStore, after: u64, upto: u64) -> Result<io::Result<()>, WalError> {
    let coding = store.engine().engine.row_coding();
    let mut written = Ok(());
    let read = store.keeper().read(after, upto, |group, record| {
        let at = time_of_group(&coding, store.log(), group, record);
        put(out, group, at, record).map_err(|error| {
            let kind = error.kind();
            written = Err(error);
            WalError::Io { doing: "copy", path: PathBuf::new(), source: kind.into() }
        })
    });
    match written.and_then(|()| out.flush()) {
        Ok(()) => read.map(Ok),
        failed => Ok(failed),
    }
}

fn put(out: &mut dyn Write, group: u64, at: Option<Timestamp>, record: &[u8]) -> io::Result<()> {
    let at = at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(0));
    out.write_all(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes())?;
    out.write_all(&group.to_be_bytes())?;
    out.write_all(&at.to_be_bytes())?;
    out.write_all(record)
}

/// A group's record as the journal has it. `None` if the journal no longer has it.
pub(super) fn in_journal(keeper: &Keeper, group: u64) -> Result<Option<Vec<u8>>, BackupError> {
    let mut found = None;
    let read = keeper.read(group.saturating_sub(1), group, |_, record| {
        found = Some(record.to_vec());
        Ok(())
    });
    match read {
        Ok(()) | Err(WalError::Missing { .. }) => Ok(found),
        Err(error) => Err(error.into()),
    }
}

/// Checks a file, and returns the record of its last group.
pub(super) fn last(directory: &BackupDirectory, groups: &GroupsFile) -> Result<Vec<u8>, BackupError> {
    verify(directory, groups)?;
    let mut last = Vec::new();
    read(directory, groups, |group| {
        last = group.record;
        Ok(true)
    })?;
    Ok(last)
}

/// A group in a file.
pub(super) struct Group {
    pub number: u64,
    pub at: Option<Timestamp>,
    pub record: Vec<u8>,
}

/// Checks a file against its SHA-256.
pub(super) fn verify(directory: &BackupDirectory, groups: &GroupsFile) -> Result<(), BackupError> {
    let path = directory.groups(&groups.file);
    let mut sum = Sha256::new();
    let copied = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut sum));
    copied.map_err(BackupError::at("read", &path))?;
    if HEXLOWER.encode(&sum.finalize()) == groups.sha256 {
        return Ok(());
    }
    Err(BackupError::Damaged { path, problem: "its checksum is wrong".into() })
}

/// Passes the groups of a file to `take`, until it returns false.
pub(super) fn read(
    directory: &BackupDirectory,
    groups: &GroupsFile,
    mut take: impl FnMut(Group) -> Result<bool, BackupError>,
) -> Result<(), BackupError> {
    let path = directory.groups(&groups.file);
    let file = File::open(&path).map_err(BackupError::at("read", &path))?;
    let mut file = BufReader::new(file);
    for number in groups.first..=groups.last {
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(BackupError::at("read", &path))?;
        let length = header.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
        let at = header.last_chunk::<8>().map_or(0, |at| u64::from_be_bytes(*at));
        if u64::from(length) > groups.bytes {
            return Err(BackupError::Damaged { path, problem: "a group is longer than the file".into() });
        }
        let mut record = vec![0; length as usize];
        file.read_exact(&mut record).map_err(BackupError::at("read", &path))?;
        let at = (at > 0).then(|| Timestamp::from_millis(i64::try_from(at).unwrap_or(i64::MAX)));
        if !take(Group { number, at, record })? {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tandem_actors::{
        keys::Key,
        ports::{Change, Commit},
    };

    use super::*;
    use crate::{Engine, Location, Options, backup::Source, open_with_backups};

    /// A file that has room for this many bytes.
    struct Room(usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The backup and the journal are on different disks, so the operator needs to know which one is full.
    #[test]
    fn a_full_disk_of_the_backup_is_not_reported_as_a_fault_of_the_journal() {
        let place = tempfile::tempdir().expect("a directory");
        let location = Location { engine: Engine::Redb, path: place.path().join("store") };
        let (store, backups) = open_with_backups(&location, &Options::default()).expect("a store");
        let row = Change::Put(Key::from_bytes(*b"x"), vec![1; 20_000].into());
        store.commit(&[Commit { fence: None, changes: vec![row] }]).expect("written");
        let Source::Directory(journaled, _) = &backups.source else { panic!("it is in a directory") };
        let upto = journaled.last();
        let copied = |room| copy_to(&mut BufWriter::new(Room(room)), journaled, upto - 1, upto);
        for room in [0, HEADER] {
            let error = copied(room).expect("the journal can be read").expect_err("full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        assert!(matches!(copied(1 << 20), Ok(Ok(()))));
    }

    #[test]
    fn a_length_beyond_the_end_of_the_file_takes_no_memory() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = BackupDirectory::at(place.path());
        let file = GroupsFile { file: "one".into(), first: 1, last: 1, bytes: 30, sha256: String::new() };
        let path = directory.groups(&file.file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, [0xff; 30]).expect("written");
        let error = read(&directory, &file, |_| Ok(true)).expect_err("too long");
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    }
}
