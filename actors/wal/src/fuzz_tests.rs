//! What the fuzz targets (`tests/fuzz`) do with any bytes. The tests do it with the corpus.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Disk, LogSizes, Wal,
    layout::{RECORD_HEADER, RecordHeader, SegmentHeader, end_of_record, seal_record},
    read::Content,
    salvage,
    simulation::SimulatedDisk,
};

const LOG: u64 = 0x7a11_5eed_0000_0001;
const DIRECTORY: &str = "/journal";
/// Segments of eight small groups.
const SMALL: LogSizes = LogSizes { segment: 8 << 10, most: 1 << 20, ready: 1 };
const SECTOR: usize = 512;

/// Reads any bytes as a segment's header and as a record. A written record is read back, and a flipped bit in it is
/// detected.
///
/// # Panics
/// If one of these does not hold.
pub fn record(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
    if let Some(payload) = RecordHeader::decode(bytes, LOG).and_then(|header| header.payload(bytes)) {
        assert!(bytes.len() >= RECORD_HEADER + payload.len());
    }
    let mut written = vec![0; RECORD_HEADER];
    written.extend_from_slice(bytes);
    seal_record(&mut written, LOG, 3, 17);
    assert_eq!(written.len() as u64, end_of_record(0, bytes.len()));
    let header = RecordHeader::decode(&written, LOG).expect("it was written");
    assert_eq!((header.segment, header.group, header.payload(&written)), (3, 17, Some(bytes)));
    assert_eq!(RecordHeader::decode(&written, LOG + 1), None, "of another log");
    let bits = (RECORD_HEADER + bytes.len()) * 8;
    let bit = bytes.iter().fold(bytes.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into())) % bits;
    written[bit / 8] ^= 1 << (bit % 8);
    let found = RecordHeader::decode(&written, LOG);
    assert_eq!(found.and_then(|header| header.payload(&written).map(<[u8]>::to_vec)), None, "bit {bit} is flipped");
}

/// The group's payload.
fn payload(group: u64, length: u8) -> Vec<u8> {
    (0..usize::from(length) * 5).map(|at| (at as u64).wrapping_mul(group + 7) as u8).collect()
}

/// The place of a group in its file, with header and payload.
struct Place {
    group: u64,
    path: PathBuf,
    offset: usize,
    bytes: Vec<u8>,
}

/// The input: the number of groups, the length of each group, the number of groups that are no longer needed (one byte
/// each), and then the damage.
struct Script<'a> {
    lengths: &'a [u8],
    after: u64,
    damage: &'a [u8],
}

impl<'a> Script<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first()?;
        let (lengths, rest) = rest.split_at_checked(usize::from(count % 24) + 1)?;
        let (after, damage) = rest.split_first()?;
        Some(Self { lengths, after: u64::from(*after) % (lengths.len() as u64 + 1), damage })
    }

    fn write(&self) -> (SimulatedDisk, Vec<Place>) {
        let disk = SimulatedDisk::new(1);
        let opened = Wal::open(Arc::new(disk.clone()), Path::new(DIRECTORY), LOG, SMALL, 0, |_, _| {});
        let (mut wal, _) = opened.expect("an empty log");
        for (group, length) in (1..).zip(self.lengths) {
            wal.begin().extend_from_slice(&payload(group, *length));
            assert_eq!(wal.append().expect("there is room"), group);
        }
        let mut places = Vec::new();
        for path in disk.files() {
            let content = Content::load(&*disk.open(&path).expect("a file"), LOG, None).expect("readable");
            let bytes = disk.content(&path);
            places.extend(content.search(0).map(|record| {
                let offset = record.offset as usize;
                let end = offset + RECORD_HEADER + record.payload.len();
                Place { group: record.group, path: path.clone(), offset, bytes: bytes[offset..end].to_vec() }
            }));
        }
        assert_eq!(places.len(), self.lengths.len());
        (disk, places)
    }

    /// Each damage has five bytes: a file, and a flipped bit or a sector that is copied over another one.
    fn damage(&self, disk: &SimulatedDisk) {
        let paths = disk.files();
        for step in self.damage.chunks_exact(5).take(16) {
            let [kind, file, high, low, with] = *step else { unreachable!("five bytes each") };
            let path = &paths[usize::from(file) % paths.len()];
            let content = disk.content(path);
            let at = (usize::from(high) << 8 | usize::from(low)) % content.len();
            if kind % 2 == 0 {
                disk.flip(path, at * 8 + usize::from(with % 8));
                continue;
            }
            let sectors = content.len() / SECTOR;
            let from = usize::from(with) % sectors * SECTOR;
            let to = at / SECTOR * SECTOR;
            let file = disk.open(path).expect("a file");
            file.write_at(&content[from..from + SECTOR], to as u64).expect("written");
        }
    }
}

/// A damaged log gives the written groups in order and without a gap, or an error. Recovery never ignores an intact
/// group after a damaged one.
///
/// # Panics
/// If that does not hold.
pub fn segment(bytes: &[u8]) {
    let Some(script) = Script::read(bytes) else { return };
    let (disk, places) = script.write();
    script.damage(&disk);
    let written = |group: u64| payload(group, script.lengths[group as usize - 1]);
    let is_whole = |group: u64| {
        let place = places.iter().find(|place| place.group == group).expect("it was written");
        disk.content(&place.path)[place.offset..].starts_with(&place.bytes)
    };

    let mut salvaged = Vec::new();
    let verified = salvage(&disk, Path::new(DIRECTORY), LOG, script.after, &mut |group, bytes| {
        assert!(bytes == written(group), "group {group} is not what was written");
        salvaged.push(group);
    });
    assert!(salvaged.is_sorted_by(|one, next| one < next), "{salvaged:?}");
    if let Ok(report) = &verified {
        assert_eq!(report.groups, salvaged.len() as u64);
    }

    let mut last = script.after;
    let opened = Wal::open(Arc::new(disk.clone()), Path::new(DIRECTORY), LOG, SMALL, script.after, |group, bytes| {
        assert_eq!(group, last + 1, "in order, without a gap");
        assert!(bytes == written(group), "group {group} is not what was written");
        last = group;
    });
    if let Ok((_, found)) = opened {
        assert_eq!(found.last, last);
        let lost = (last + 1..=script.lengths.len() as u64).find(|group| is_whole(*group));
        assert_eq!(lost, None, "a whole group was passed over");
        assert!((script.after + 1..=last).all(|group| salvaged.contains(&group)), "what a start reads is salvaged");
    }
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpus_of_records_passes() {
        replay("wal_record", super::record);
    }

    #[test]
    fn the_corpus_of_damaged_segments_passes() {
        replay("wal_segment", super::segment);
    }
}
