//! The digests on the disk: all of them, followed by what each checkpoint has changed.
//!
//! ```text
//! "TNDMDIG\x01", log id (u64); \x02 if the checksums are keyed, as in a store with encryption
//! frames: kind (u8), length (u32), CRC-32 of kind, length and payload, payload
//!   1  ranges: start (length, bytes), number of digests, digests
//!   2  a checkpoint: group (u64), number of changes, changes, number of divided ranges,
//!      each with its start, a number of ranges, and these as above
//!        change: key, 0: the row is deleted; or key, 1, checksum of the row
//! ```
//!
//! Numbers are big-endian, and u32 unless the table says otherwise. A truncated or damaged frame ends the file. The
//! journal then supplies the missing changes, or reports that it no longer has them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Instant,
};

use tandem_actors::keys::Key;

use super::{
    blocks::{EncodedRange, encode, number},
    ranges::{Digest, DividedRange, Ranges, hash},
};
use crate::disk::Disk;

pub(crate) const FILE: &str = "digests";
const MAGIC: [u8; 8] = *b"TNDMDIG\x01";
const MAGIC_KEYED: [u8; 8] = *b"TNDMDIG\x02";
const HEADER: usize = 16;
const FRAME: usize = 9;
const RANGES: u8 = 1;
const CHECKPOINT: u8 = 2;
/// Bytes of ranges in one frame.
const CHUNK: usize = 64 << 10;
/// The file is not rewritten before its changes have this many bytes.
const MANY: u64 = 4 << 20;

/// The content of the file.
#[derive(Debug)]
pub(crate) struct LoadedDigests {
    pub log: u64,
    /// The last group in them.
    pub group: u64,
    /// The checksums are keyed.
    pub keyed: bool,
    pub(super) ranges: Ranges,
    /// `None` if the digests are in memory only.
    pub(super) file: Option<DigestFile>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is damaged at offset {offset}")]
    Damaged { offset: u64 },
}

#[derive(Debug)]
pub(super) struct DigestFile {
    path: PathBuf,
    file: File,
    log: u64,
    /// The last group in it.
    group: u64,
    keyed: bool,
    /// Where the next frame begins.
    end: u64,
    /// Where the first checkpoint's changes begin.
    image: u64,
    /// The file is not rewritten before it is this long.
    not_before: u64,
}

/// A file that is being read.
pub(crate) type DigestReader = JoinHandle<Result<LoadedDigests, LoadError>>;

/// Reads the file on a thread of its own.
pub(crate) fn load(directory: &Path) -> DigestReader {
    let path = directory.join(FILE);
    std::thread::spawn(move || {
        let started = Instant::now();
        let loaded = DigestFile::load(&path);
        let rows = loaded.as_ref().map_or(0, |loaded| loaded.ranges.rows());
        tracing::debug!(millis = started.elapsed().as_millis() as u64, rows, "the digests are read");
        loaded
    })
}

/// Waits for the digests.
pub(crate) fn loaded(loading: DigestReader) -> Result<LoadedDigests, LoadError> {
    loading.join().unwrap_or_else(|_| Err(LoadError::Damaged { offset: 0 }))
}

impl LoadedDigests {
    /// All ranges in order: where each begins, and the digests of its rows.
    pub fn into_ranges(self) -> Vec<(Key, Vec<Digest>)> {
        self.ranges.iter().collect()
    }
}

impl DigestFile {
    fn load(path: &Path) -> Result<LoadedDigests, LoadError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let mut header = [0; HEADER];
        reader.read_exact(&mut header).map_err(|_| LoadError::Damaged { offset: 0 })?;
        let keyed = header[..8] == MAGIC_KEYED;
        if !keyed && header[..8] != MAGIC {
            return Err(LoadError::Damaged { offset: 0 });
        }
        let log = u64::from_be_bytes(*header.last_chunk().unwrap_or(&[0; 8]));
        let (mut offset, mut ranges) = (HEADER as u64, Ranges::new());
        // The last group, and where the first checkpoint's changes begin.
        let mut loaded: Option<(u64, u64)> = None;
        let mut payload = Vec::new();
        while let Some(kind) = frame(&mut reader, &mut payload)? {
            let after = offset + (FRAME + payload.len()) as u64;
            let understood = match (kind, loaded) {
                (RANGES, None) => ranges.append(&payload),
                (CHECKPOINT, _) => Decoder(&payload).checkpoint(&mut ranges).map(|group| {
                    loaded = Some((group, loaded.map_or(after, |(_, image)| image)));
                }),
                _ => None,
            };
            // Its checksum is right, so a later version wrote it.
            understood.ok_or(LoadError::Damaged { offset })?;
            offset = after;
        }
        drop(reader);
        let (group, image) = loaded.ok_or(LoadError::Damaged { offset })?;
        let file = Self { path: path.to_owned(), file, log, group, keyed, end: offset, image, not_before: 0 };
        Ok(LoadedDigests { log, group, keyed, ranges, file: Some(file) })
    }

    /// Writes all digests into a new file, durably.
    pub fn write(
        directory: &Path,
        disk: &dyn Disk,
        log: u64,
        group: u64,
        ranges: &Ranges,
        keyed: bool,
    ) -> io::Result<Self> {
        let path = directory.join(FILE);
        let unfinished = directory.join(format!("{FILE}.unfinished"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let magic = if keyed { MAGIC_KEYED } else { MAGIC };
        let header = [&magic[..], &log.to_be_bytes()].concat();
        let mut new = Self { path, file, log, group, keyed, end: 0, image: 0, not_before: 0 };
        new.put(&header)?;
        let mut chunk = Vec::new();
        for block in ranges.encoded() {
            chunk.extend_from_slice(block);
            if chunk.len() >= CHUNK {
                new.put(&framed(RANGES, &chunk))?;
                chunk.clear();
            }
        }
        new.put(&framed(RANGES, &chunk))?;
        new.put(&framed(CHECKPOINT, &[&group.to_be_bytes()[..], &[0; 8]].concat()))?;
        new.image = new.end;
        disk.sync_data(&new.file, &unfinished)?;
        fs::rename(&unfinished, &new.path)?;
        disk.sync_path(directory)?;
        Ok(new)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Appends the changes of a checkpoint, durably. It can be called again after an error.
    pub fn add(
        &mut self,
        disk: &dyn Disk,
        group: u64,
        changes: &[(&Key, Option<Digest>)],
        divided: &[DividedRange],
    ) -> io::Result<()> {
        let mut payload = group.to_be_bytes().to_vec();
        payload.extend(number(changes.len()));
        for (key, row) in changes {
            bytes(&mut payload, key.as_bytes());
            payload.push(u8::from(row.is_some()));
            payload.extend(row.iter().flat_map(|row| row.sum().to_be_bytes()));
        }
        payload.extend(number(divided.len()));
        for DividedRange { start, into } in divided {
            bytes(&mut payload, start.as_bytes());
            payload.extend(number(into.len()));
            into.iter().for_each(|(start, digests)| encode(&mut payload, start.as_bytes(), digests));
        }
        let begin = self.end;
        let written = self.put(&framed(CHECKPOINT, &payload)).and_then(|()| {
            // Removes the rest of a torn frame.
            self.file.set_len(self.end)?;
            disk.sync_data(&self.file, &self.path)
        });
        if written.is_ok() {
            self.group = group;
        }
        written.inspect_err(|_| self.end = begin)
    }

    /// Whether the file should be rewritten.
    pub fn is_long(&self) -> bool {
        self.end - self.image > self.image.max(MANY) && self.end >= self.not_before
    }

    /// Rewriting has failed. The file has all changes, so the next attempt can wait.
    pub fn postpone(&mut self) {
        self.not_before = self.end + MANY;
    }

    pub fn keyed(&self) -> bool {
        self.keyed
    }

    pub fn group(&self) -> u64 {
        self.group
    }

    pub fn log(&self) -> u64 {
        self.log
    }

    pub fn directory(&self) -> PathBuf {
        self.path.parent().map(Path::to_owned).unwrap_or_default()
    }
}

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let sum = frame_sum(kind, length, payload).to_be_bytes();
    [&[kind][..], &length, &sum, payload].concat()
}

fn frame_sum(kind: u8, length: [u8; 4], payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    [&[kind][..], &length, payload].into_iter().for_each(|part| sum.update(part));
    sum.finalize()
}

/// Reads the next frame, and returns its kind. None at the end, and at a truncated or damaged frame.
fn frame(reader: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Option<u8>> {
    let mut header = [0; FRAME];
    match reader.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let [kind, a, b, c, d, sum @ ..] = header;
    let length = [a, b, c, d];
    payload.clear();
    reader.take(u32::from_be_bytes(length).into()).read_to_end(payload)?;
    let intact = payload.len() == u32::from_be_bytes(length) as usize
        && frame_sum(kind, length, payload) == u32::from_be_bytes(sum);
    Ok(intact.then_some(kind))
}

fn bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(number(bytes.len()));
    to.extend_from_slice(bytes);
}

struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        self.take().map(|number| u32::from_be_bytes(number) as usize)
    }

    fn key(&mut self) -> Option<Key> {
        let length = self.number()?;
        let (key, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Key::from_bytes(key))
    }

    fn range(&mut self) -> Option<(Key, Vec<Digest>)> {
        let range = EncodedRange::decode(self.0, 0)?;
        self.0 = &self.0[range.end()..];
        Some(range.decoded())
    }

    /// Applies the changes of a checkpoint, and returns its group.
    fn checkpoint(&mut self, to: &mut Ranges) -> Option<u64> {
        let group = u64::from_be_bytes(self.take()?);
        let mut changes = Vec::new();
        for _ in 0..self.number()? {
            let key = self.key()?;
            let [is_there] = self.take()?;
            let row = match is_there {
                0 => None,
                _ => Some(Digest::new(hash(&key), u32::from_be_bytes(self.take()?))),
            };
            changes.push((key, row));
        }
        to.put_all(&changes.iter().map(|(key, row)| (key, *row)).collect::<Vec<_>>());
        for _ in 0..self.number()? {
            let (start, count) = (self.key()?, self.number()?);
            let into = (0..count).map(|_| self.range()).collect::<Option<_>>()?;
            to.divide(&DividedRange { start, into });
        }
        self.0.is_empty().then_some(group)
    }
}
