//! sled reads at each start what was written since its last snapshot, and writes a snapshot only when it is opened. To
//! keep starts fast, a snapshot is made beside the open database, in a directory with the last snapshot and the
//! segments that were written since. Everything else in the log's file is a hole. sled opens this directory, reads the
//! segments, writes a snapshot, and then fails, because the pages themselves are missing. The snapshot is valid for the
//! database: it holds the places of the pages, and sled reads later records from its log as usual. No caller waits for
//! it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use super::DATABASE;
use crate::disk::Disk;

const BESIDE: &str = "advancing";
const PREFIX: &str = "snap.";
/// sled's default.
const SEGMENT: usize = 512 << 10;
const HEADER: usize = 20;
/// sled stores positions with these bits inverted, so that zeros are no position.
const TURNED: i64 = i64::MAX;
/// How long making a snapshot may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a snapshot of an open database that nobody is writing to. Returns whether there is a newer snapshot.
pub(super) fn advance(path: &Path, disk: &dyn Disk) -> io::Result<bool> {
    let Some((last, last_path)) = latest(path)? else { return Ok(false) };
    let beside = path.join(BESIDE);
    remove(&beside)?;
    fs::create_dir(&beside)?;
    fs::copy(path.join("conf"), beside.join("conf"))?;
    fs::copy(&last_path, beside.join(last_path.file_name().unwrap_or_default()))?;
    copy_segments(&path.join(DATABASE), &beside.join(DATABASE), last)?;
    // Reads can make sled write. The snapshot must not refer to segments that a power cut can undo.
    disk.sync_path(&path.join(DATABASE))?;
    open_and_fail(&beside);
    let made = latest(&beside)?.filter(|(position, _)| *position > last);
    if let Some((_, made)) = &made {
        let name = made.file_name().unwrap_or_default();
        disk.sync_path(made)?;
        fs::rename(made, path.join(name))?;
        disk.sync_path(path)?;
        fs::remove_file(last_path)?;
    }
    remove(&beside)?;
    Ok(made.is_some())
}

/// Removes what an interrupted process has left.
pub(super) fn remove_rest(path: &Path) -> io::Result<()> {
    remove(&path.join(BESIDE))
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The newest snapshot, and its position in the log.
fn latest(path: &Path) -> io::Result<Option<(i64, PathBuf)>> {
    let mut found = None;
    for entry in path.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let position = name.to_str().and_then(|name| i64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok());
        found = found.max(position.map(|position| (position, entry.path())));
    }
    Ok(found)
}

/// Copies the segments with records after this position.
fn copy_segments(from: &Path, to: &Path, after: i64) -> io::Result<()> {
    let (from, to) = (File::open(from)?, File::create(to)?);
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let after = after / SEGMENT as i64 * SEGMENT as i64;
    let mut segment = vec![0; SEGMENT];
    for offset in (0..length).step_by(SEGMENT) {
        let mut header = [0; HEADER];
        if from.read_exact_at(&mut header, offset).is_err() {
            break;
        }
        let [.., a, b, c, d, e, f, g, h, _, _, _, _, _, _, _, _] = header;
        if i64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ TURNED >= after {
            let size = usize::try_from(length - offset).unwrap_or(SEGMENT).min(SEGMENT);
            from.read_exact_at(&mut segment[..size], offset)?;
            to.write_all_at(&segment[..size], offset)?;
        }
    }
    Ok(())
}

/// Runs sled on a thread of its own, because sled may hang on a log that it cannot read.
fn open_and_fail(path: &Path) {
    let config = sled::Config::new().path(path).cache_capacity(1 << 20).mode(sled::Mode::LowSpace).flush_every_ms(None);
    let (ended, end) = mpsc::channel();
    let open = move || {
        let _fails = catch_unwind(AssertUnwindSafe(|| config.open().map(drop)));
        let _: Result<(), _> = ended.send(());
    };
    if std::thread::Builder::new().name("store-snapshot".into()).spawn(open).is_ok()
        && end.recv_timeout(PATIENCE).is_err()
    {
        tracing::warn!("sled takes too long for a snapshot of the places of its pages; the next start takes longer");
    }
}
