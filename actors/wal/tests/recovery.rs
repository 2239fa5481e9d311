//! What a start finds after an orderly end, a torn one, and damage.

mod support;

use std::{path::PathBuf, sync::Arc};

use support::*;
use tandem_wal::{
    BadPart, Disk, HEADER_BLOCK, LogSizes, Wal, WalError,
    simulation::{Faults, SimulatedDisk},
    verify,
};

fn filled(groups: u64) -> (SimulatedDisk, Wal) {
    let disk = SimulatedDisk::new(1);
    let (mut wal, _) = open(&disk, SMALL, 0).expect("an empty log");
    for group in 1..=groups {
        assert_eq!(append(&mut wal).expect("appended"), group);
    }
    (disk, wal)
}

#[test]
fn groups_come_back_in_order_over_many_segments_and_starts() {
    let (disk, wal) = filled(60);
    drop(wal);
    let mut last = 60;
    for _ in 0..3 {
        let (mut wal, found) = open(&disk, SMALL, 0).expect("opened");
        assert_eq!(found.last, last);
        (0..20).for_each(|_| last = append(&mut wal).expect("appended"));
    }
    assert_eq!(open(&disk, SMALL, 77).expect("from the middle").1.last, last);
    assert_eq!(open(&disk, SMALL, last).expect("nothing left").1.last, last);
    assert_eq!(open(&disk, SMALL, last + 9).expect("the index knows more").1.last, last + 9);
}

#[test]
fn segments_are_used_again_and_what_they_held_is_not_taken_for_groups() {
    let (disk, mut wal) = filled(1);
    let keeper = wal.keeper();
    let mut most = 0;
    for group in 2..=400_u64 {
        append(&mut wal).expect("appended");
        keeper.forget(group.saturating_sub(10)).expect("forgotten");
        keeper.prepare().expect("prepared");
        most = most.max(keeper.usage().bytes);
        assert_eq!(keeper.usage().bytes, disk.bytes());
        if group % 40 == 0 {
            assert_eq!(open(&disk.cut_power(group), SMALL, group - 10).expect("opened").1.last, group);
        }
    }
    assert!(most <= 16 * SMALL.segment, "{most} bytes");
    let error = open(&disk, SMALL, 100).err().expect("forgotten");
    assert!(matches!(error, WalError::Missing { needed: 101, .. }), "{error}");
}

#[test]
fn a_log_does_not_grow_beyond_its_bound_and_goes_on_when_groups_are_forgotten() {
    let bounded = LogSizes { most: 4 * SMALL.segment, ..SMALL };
    let disk = SimulatedDisk::new(1);
    let (mut wal, _) = open(&disk, bounded, 0).expect("an empty log");
    let error = loop {
        match append(&mut wal) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WalError::Full { .. }), "{error}");
    let last = wal.last();
    wal.keeper().forget(last - 1).expect("forgotten");
    assert_eq!(append(&mut wal).expect("there is room again"), last + 1);
    assert_eq!(open(&disk, bounded, last - 1).expect("opened").1.last, last + 1);
}

#[test]
fn of_what_is_kept_for_a_copy_the_newest_half_of_the_log_stays() {
    let (_disk, mut wal) = filled(1);
    let keeper = wal.keeper();
    let readable = |after, upto| keeper.read(after, upto, |_, _| Ok(())).is_ok();
    let mut was_half_full = false;
    keeper.keep_beyond(Some(0));
    for group in 2..=512 {
        append(&mut wal).expect("it never stands in the way of the writer");
        keeper.prepare().expect("prepared");
        if group % 64 != 0 {
            continue;
        }
        was_half_full |= keeper.usage().bytes > SMALL.most / 2;
        keeper.forget(group).expect("forgotten");
        let usage = keeper.usage();
        assert!(readable(0, group) || was_half_full, "{usage:?}");
        assert!(!was_half_full || usage.used as u64 * SMALL.segment > SMALL.most / 4, "{usage:?}");
        assert!(usage.bytes <= SMALL.most / 2 + 4 * SMALL.segment, "{usage:?}");
    }
    let oldest = (0..512).find(|after| readable(*after, 512)).expect("some are there");
    assert!(oldest > 0, "more is written than half of the log holds");
    assert!(keeper.has_left(oldest) && !keeper.has_left(512));
    keeper.keep_beyond(Some(500));
    keeper.forget(512).expect("forgotten");
    assert!(!readable(oldest, 512) && readable(500, 512), "nothing is kept longer than it is needed");
}

#[test]
fn what_is_retired_leaves_the_files_although_it_is_kept_for_a_copy() {
    let (disk, mut wal) = filled(200);
    let keeper = wal.keeper();
    let readable = |after, upto| keeper.read(after, upto, |_, _| Ok(())).is_ok();
    keeper.keep_beyond(Some(0));
    keeper.remove_unused().expect("nothing to remove");
    wal.leave_segment();
    let retired = wal.last();
    keeper.retire(retired);
    append(&mut wal).expect("in another segment");
    assert!(readable(0, retired + 1), "nothing is forgotten yet");
    assert!(keeper.keeps_upto(retired));
    keeper.forget(retired).expect("forgotten");
    assert!(!keeper.keeps_upto(retired) && readable(retired, retired + 1) && !readable(retired - 1, retired));
    let usage = keeper.usage();
    assert_eq!((usage.used, usage.bytes), (1, disk.bytes()), "the files are removed");
    assert_eq!(open(&disk, SMALL, retired).expect("opened").1.last, retired + 1);
}

#[test]
fn a_full_disk_is_reported_before_a_write_and_writing_resumes_later() {
    let (disk, mut wal) = filled(3);
    disk.set(Faults { capacity: Some(disk.bytes()), ..Faults::default() });
    let error = (0..100).find_map(|_| wal.reserve(3_000).and_then(|()| append(&mut wal)).err()).expect("full");
    assert!(error.is_no_room(), "{error}");
    let last = wal.last();
    disk.set(Faults::default());
    assert_eq!(append(&mut wal).expect("room again"), last + 1);
    assert_eq!(open(&disk, SMALL, 0).expect("opened").1.last, last + 1);
}

#[test]
fn short_writes_make_no_difference() {
    let disk = SimulatedDisk::new(5);
    disk.set(Faults { short_writes: true, ..Faults::default() });
    let (mut wal, _) = open(&disk, SMALL, 0).expect("an empty log");
    (1..=50).for_each(|group| assert_eq!(append(&mut wal).expect("appended"), group));
    assert_eq!(open(&disk, SMALL, 0).expect("opened").1.last, 50);
}

/// Where each group begins: file and offset.
fn places(disk: &SimulatedDisk) -> Vec<(PathBuf, u64)> {
    let mut places = Vec::new();
    for path in segments(disk) {
        let content = disk.content(&path);
        let magic = |at: &usize| content[*at..].starts_with(b"TWR\x01");
        let offsets = (HEADER_BLOCK as usize..content.len()).step_by(512).filter(magic);
        places.extend(offsets.map(|offset| (path.clone(), offset as u64)));
    }
    places
}

#[test]
fn a_flipped_bit_anywhere_in_a_group_with_others_behind_it_is_named() {
    let (disk, _wal) = filled(33);
    let places = places(&disk);
    assert_eq!(places.len(), 33);
    for group in [1, 2, 10, 11, 12, 29, 31, 32_usize] {
        let (path, offset) = &places[group - 1];
        let payload = payload(group as u64).len();
        // Magic, version, length, group, segment, both checksums, the first and the last byte of the payload.
        for byte in [0, 3, 6, 15, 23, 27, 31, 32, 31 + payload] {
            let damaged = disk.cut_power(9);
            damaged.flip(path, (*offset as usize + byte) * 8 + 1);
            let error = open(&damaged, SMALL, 0).err().unwrap_or_else(|| panic!("byte {byte} of group {group}"));
            let told = matches!(&error, WalError::Damaged { path: file, offset: at, group: g }
                if file == path && at == offset && *g == group as u64);
            // Without its first group the log only begins too late.
            assert!(told || (group == 1 && matches!(error, WalError::Missing { .. })), "group {group}: {error}");
            assert_eq!(open(&damaged, SMALL, group as u64).expect("it is not needed").1.last, 33);
            let report = verify(&damaged, &directory(), LOG, 0).expect("readable");
            let bad = report.bad.iter().any(|bad| (&bad.path, bad.offset) == (path, *offset));
            assert!(bad || group == 1, "byte {byte} of group {group}: {report:?}");
        }
    }
}

#[test]
fn a_damaged_segment_header_is_restored_from_its_records() {
    let (disk, _wal) = filled(30);
    for path in segments(&disk) {
        for byte in [0, 9, 17, 31, 33, 41] {
            let damaged = disk.cut_power(9);
            damaged.flip(&path, byte * 8 + 3);
            let (mut wal, found) = match open(&damaged, SMALL, 0) {
                Ok(opened) => opened,
                Err(error) => panic!("{}: byte {byte}: {error}", path.display()),
            };
            assert_eq!((found.last, found.restored), (30, vec![path.clone()]));
            append(&mut wal).expect("it goes on");
            let report = verify(&damaged, &directory(), LOG, 0).expect("readable");
            assert!(report.bad.iter().any(|bad| bad.path == path && bad.what == BadPart::Header), "{report:?}");
        }
    }
}

#[test]
fn a_torn_end_is_cut_off_and_the_next_start_continues() {
    let (disk, _wal) = filled(12);
    let (path, offset) = places(&disk).pop().expect("a group");
    disk.flip(&path, (offset as usize + 100) * 8);
    let report = verify(&disk, &directory(), LOG, 0).expect("readable");
    assert_eq!((report.last, &report.torn), (Some(11), &Some((path, offset))));
    let (mut wal, found) = open(&disk, SMALL, 0).expect("opened");
    assert_eq!(found.last, 11);
    assert_eq!(append(&mut wal).expect("appended"), 12);
    drop(wal);
    assert_eq!(open(&disk, SMALL, 0).expect("opened").1.last, 12, "the torn one is no damage");
    let report = verify(&disk, &directory(), LOG, 0).expect("readable");
    assert_eq!((report.last, report.bad.len()), (Some(12), 0));
}

/// Each start begins a segment with its first group: it is the one that a power cut tears most often.
#[test]
fn a_torn_group_at_the_beginning_of_a_segment_is_no_damage_however_often_it_happens() {
    let disk = SimulatedDisk::new(1);
    for start in 0..6 {
        let (mut wal, found) = open(&disk, LogSizes { ready: 2, ..SMALL }, 0).expect("opened");
        assert_eq!(found.last, start);
        wal.keeper().prepare().expect("prepared");
        append(&mut wal).expect("acknowledged");
        let active = |disk: &SimulatedDisk| places(disk).pop().expect("a group");
        drop(wal);
        // Another start, whose first group is torn in its payload.
        let (mut wal, _) = open(&disk, SMALL, 0).expect("opened");
        let before = places(&disk);
        assert_eq!(append(&mut wal).expect("written"), start + 2);
        let torn = places(&disk).into_iter().find(|place| !before.contains(place)).unwrap_or_else(|| active(&disk));
        disk.flip(&torn.0, (torn.1 as usize + 40) * 8);
    }
}

#[test]
fn a_missing_segment_is_noticed() {
    let (disk, _wal) = filled(40);
    let all = segments(&disk);
    disk.remove(&all[2]).expect("removed");
    let error = open(&disk, SMALL, 0).err().expect("missed");
    assert!(matches!(error, WalError::Missing { .. }), "{error}");
}

#[test]
fn another_log_and_a_later_format_are_refused() {
    let (disk, _wal) = filled(3);
    let opened = |log| Wal::open(Arc::new(disk.clone()), &directory(), log, SMALL, 0, |_, _| ()).err();
    assert!(matches!(opened(LOG + 1), Some(WalError::Foreign { .. })));
    let path = segments(&disk).remove(0);
    let mut header = disk.content(&path)[..40].to_vec();
    header[11] = 2;
    let sum = crc32fast::hash(&header).to_be_bytes();
    let file = disk.open(&path).expect("a file");
    file.write_at(&[header, sum.to_vec()].concat(), 0).expect("written");
    assert!(matches!(opened(LOG), Some(WalError::Version { found: 2, known: 1, .. })));
}

#[test]
fn a_file_that_is_removed_while_it_is_in_use_is_noticed() {
    let (disk, mut wal) = filled(3);
    append(&mut wal).expect("appended");
    wal.check_in_place().expect("it is there");
    segments(&disk).iter().for_each(|path| disk.remove(path).expect("removed"));
    wal.check_in_place().expect_err("gone");
}
