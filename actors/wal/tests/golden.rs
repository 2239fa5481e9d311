//! The format, byte by byte: what one version has written, every later one reads.

mod support;

use std::sync::Arc;

use tandem_wal::{Disk, LogSizes, RealDisk, Wal, simulation::SimulatedDisk};

const LOG: u64 = 0x0102_0304_0506_0708;
const GROUPS: [&[u8]; 3] = [b"the first group", b"", b"the third, a little longer than the others"];
const SEGMENT: LogSizes = LogSizes { segment: 8192, most: 1 << 20, ready: 0 };

fn written() -> Vec<u8> {
    let disk = SimulatedDisk::new(1);
    let directory = support::directory();
    let (mut wal, _) = Wal::open(Arc::new(disk.clone()), &directory, LOG, SEGMENT, 6, |_, _| ()).expect("an empty log");
    for group in GROUPS {
        wal.begin().extend_from_slice(group);
        wal.append().expect("appended");
    }
    disk.content(&directory.join("00000001.segment"))
}

/// The lines of `xxd` without those of zeros.
fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    lines.map(|(number, line)| format!("{:04x}: {}\n", number * 16, hex(line))).collect()
}

#[test]
fn version_1_is_written_unchanged() {
    assert_eq!(dump(&written()), include_str!("golden/version-1.txt"));
}

#[test]
fn version_1_is_read() {
    let mut bytes = vec![0; SEGMENT.segment as usize];
    for line in include_str!("golden/version-1.txt").lines() {
        let (offset, hex) = line.split_once(": ").expect("an offset");
        let offset = usize::from_str_radix(offset, 16).expect("hex");
        for (byte, text) in bytes[offset..].iter_mut().zip(hex.split(' ')) {
            *byte = u8::from_str_radix(text, 16).expect("hex");
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("00000001.segment"), bytes).expect("a file");
    let mut groups = Vec::new();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let open = Wal::open(disk, directory.path(), LOG, SEGMENT, 6, |group, bytes| groups.push((group, bytes.to_vec())));
    assert_eq!(open.expect("opened").1.last, 9);
    let expected = (7..).zip(GROUPS).map(|(group, bytes)| (group, bytes.to_vec()));
    assert_eq!(groups, expected.collect::<Vec<_>>());
}
