use super::*;
use crate::protocol::{Data, Message, data::Payload};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const WINDOW: Duration = Duration::from_secs(120);
const LIMIT: usize = 4;

fn limits(entries: usize, bytes: usize, all: usize) -> LogLimits {
    LogLimits { entries, bytes, all: Budget::new(all) }
}

fn fresh() -> Log {
    Log::new(&LogLimits::of_entries(LIMIT))
}

fn publish(log: &mut Log, id: Option<&str>, now: Timestamp) -> Arc<Entry> {
    let seq = append(log, id, now).seq;
    tell(log, seq).unwrap()
}

fn tell(log: &mut Log, seq: u64) -> Option<Arc<Entry>> {
    log.allow(seq);
    log.tell_next()
}

fn append(log: &mut Log, id: Option<&str>, now: Timestamp) -> Arc<Entry> {
    let message = Message { id: id.map(Into::into), ..Message::default() };
    let body = EntryBody::Messages(vec![message]);
    log.append(&"channel".into(), NewEntry { id: "frame".into(), connection_id: None, body, event: None }, now)
}

fn missed(log: &Log, serial: &str) -> Option<Vec<u64>> {
    missed_with(log, serial, &[])
}

fn missed_with(log: &Log, serial: &str, stored: &[Arc<Entry>]) -> Option<Vec<u64>> {
    match log.since(&ChannelSerial::parse(serial)?, stored) {
        MissedEntries::Known(entries) => Some(entries.map(|entry| entry.seq).collect()),
        MissedEntries::Lost => None,
    }
}

#[test]
fn a_client_that_returns_in_time_misses_nothing() {
    let mut log = fresh();
    let at_start = log.head();
    let first = publish(&mut log, None, NOW);
    publish(&mut log, None, NOW);
    assert_eq!(missed(&log, &at_start), Some(vec![1, 2]));
    assert_eq!(missed(&log, &first.serial), Some(vec![2]));
    assert_eq!(missed(&log, &log.head()), Some(vec![]));
    log.prune(NOW + 2 * WINDOW, WINDOW);
    assert_eq!(missed(&log, &log.head()), Some(vec![]), "nothing was missed, however long it took");
    assert_eq!(missed(&log, &first.serial), None);
}

#[test]
fn a_position_of_another_log_or_of_the_future_is_lost() {
    let mut log = fresh();
    publish(&mut log, None, NOW);
    assert_eq!(missed(&log, &fresh().head()), None);
    assert_eq!(missed(&log, &ChannelSerial { at: 0, seq: 2, log: log.id.clone() }.to_string()), None);
}

#[test]
fn a_position_is_lost_if_its_number_was_reused() {
    let mut log = fresh();
    let entries = [NOW, NOW + WINDOW / 2].map(|at| publish(&mut log, None, at));
    let other = |entry: &Entry| ChannelSerial { at: entry.at + 1, seq: entry.seq, log: log.id.clone() }.to_string();
    for entry in &entries {
        assert!(missed(&log, &entry.serial).is_some());
        assert_eq!(missed(&log, &other(entry)), None, "seq {}", entry.seq);
    }
}

#[test]
fn a_repetition_is_recognised_within_the_window() {
    let mut log = fresh();
    publish(&mut log, None, NOW);
    let entry = publish(&mut log, Some("once"), NOW);
    publish(&mut log, None, NOW + WINDOW);
    assert_eq!(log.published("once").unwrap().serial, Some(entry.serial.clone()));
    log.prune(NOW + WINDOW + WINDOW / 2, WINDOW);
    assert!(log.published("once").is_none());
}

#[test]
fn a_log_keeps_its_newest_entries() {
    let mut log = fresh();
    let entries: Vec<_> = (0..7).map(|n| publish(&mut log, Some(&n.to_string()), NOW)).collect();
    assert_eq!(log.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert!(log.published("0").is_some(), "what it was published under is known for longer");
    assert_eq!(missed(&log, &entries[2].serial), Some(vec![4, 5, 6, 7]));
    assert_eq!(missed(&log, &entries[1].serial), None);
}

#[test]
fn stored_entries_continue_a_position_before_memory() {
    let mut log = fresh();
    let entries: Vec<_> = (0..9).map(|_| publish(&mut log, None, NOW)).collect();
    let from = |first: usize| &entries[first..];
    assert!(log.has_forgotten_since(&ChannelSerial::parse(&entries[1].serial).unwrap()));
    assert_eq!(missed_with(&log, &entries[1].serial, from(2)), Some(vec![3, 4, 5, 6, 7, 8, 9]));
    assert_eq!(missed_with(&log, &entries[1].serial, &entries[2..5]), Some(vec![3, 4, 5, 6, 7, 8, 9]));
    assert_eq!(missed_with(&log, &entries[1].serial, from(3)), None, "the first is missing");
    assert_eq!(missed_with(&log, &entries[1].serial, &entries[2..4]), None, "the last is missing");
    assert!(!log.has_forgotten_since(&ChannelSerial::parse(&entries[4].serial).unwrap()));
    assert_eq!(missed_with(&log, &entries[6].serial, &[]), Some(vec![8, 9]));
}

fn publish_bytes(log: &mut Log, bytes: usize) {
    let data = Some(Data::Text("x".repeat(bytes).into()));
    let message = Message { payload: Payload { data, encoding: None }, ..Message::default() };
    let body = EntryBody::Messages(vec![message]);
    let new_entry = NewEntry { id: "frame".into(), connection_id: None, body, event: None };
    let seq = log.append(&"channel".into(), new_entry, NOW).seq;
    tell(log, seq).unwrap();
}

#[test]
fn each_log_and_all_logs_together_keep_a_bounded_number_of_bytes() {
    let shared = limits(1_000, 1 << 20, 2 << 20);
    let mut logs: Vec<_> = (0..8).map(|_| Log::new(&shared)).collect();
    for log in &mut logs {
        (0..100).for_each(|_| publish_bytes(log, 10_000));
        assert!(log.bytes <= 1 << 20 && !log.is_empty());
    }
    assert!(shared.all.taken() <= (2 << 20) + (1 << 20), "{}", shared.all.taken());
    logs.iter_mut().for_each(|log| log.prune(NOW, WINDOW));
    assert!(!shared.all.is_exhausted());
    drop(logs);
    assert_eq!(shared.all.taken(), 0);
}

#[test]
fn ids_take_bounded_memory() {
    let shared = limits(10, 40_000, 1 << 20);
    let mut log = Log::new(&shared);
    (0..100).for_each(|n| drop(publish(&mut log, Some(&format!("{n}{}", "i".repeat(1_000))), NOW)));
    assert!(log.ids.bytes() <= 10_000 && log.ids.bytes() > 5_000);
}

#[test]
fn ids_take_little_memory_while_the_budget_is_used_up() {
    let shared = limits(1_000, 1 << 20, 100_000);
    let mut logs: Vec<_> = (0..4).map(|_| Log::new(&shared)).collect();
    for n in 0..1_000 {
        for log in &mut logs {
            publish(log, Some(&format!("{n}-{}", "i".repeat(200))), NOW);
        }
    }
    let kept = shared.all.taken();
    assert!(kept <= 4 * (FLOOR + IDS_FLOOR) + 10_000, "{kept} bytes");
    assert!(logs.iter().all(|log| log.ids.bytes() > IDS_FLOOR / 2), "the newest are still known");
}

#[test]
fn serials_sort_as_text_even_when_the_clock_goes_back() {
    let mut log = fresh();
    let first = publish(&mut log, None, NOW);
    let second = publish(&mut log, None, Timestamp::from_millis(NOW.as_millis() - 5_000));
    assert!(first.serial < second.serial);
}

#[test]
fn a_pending_entry_has_a_number_and_an_id_and_is_not_part_of_the_log() {
    let mut log = fresh();
    let first = publish(&mut log, None, NOW);
    let pending = [append(&mut log, Some("second"), NOW + WINDOW), append(&mut log, None, NOW)];
    assert_eq!(
        pending.each_ref().map(|entry| (entry.seq, entry.at)),
        [2, 3].map(|seq| (seq, (NOW + WINDOW).as_millis()))
    );
    assert_eq!((log.head(), log.entries().count()), (first.serial.to_string(), 1));
    assert_eq!(missed(&log, &first.serial), Some(vec![]));
    assert!(log.published("second").is_some(), "it is a repetition already");
    log.forget_all();
    log.prune(NOW + 3 * WINDOW, WINDOW);
    assert!(!log.is_empty());
    assert_eq!(tell(&mut log, 2).map(|entry| entry.seq), Some(2));
    assert_eq!((log.tell_next().map(|entry| entry.seq), log.head()), (None, pending[0].serial.to_string()));
}

#[test]
fn the_number_and_the_id_of_a_withdrawn_entry_are_free_again() {
    let mut log = fresh();
    let first = publish(&mut log, None, NOW);
    let taken = log.memory().taken();
    assert_eq!(append(&mut log, Some("once"), NOW).seq, 2);
    log.withdraw(2);
    assert_eq!((log.published("once"), log.memory().taken()), (None, taken));
    assert_eq!(publish(&mut log, Some("once"), NOW).seq, 2);
    assert_eq!(missed(&log, &first.serial), Some(vec![2]));
}

#[test]
fn a_log_begins_behind_a_withdrawn_entry_that_others_follow() {
    let mut log = fresh();
    let first = publish(&mut log, None, NOW);
    let [second, third] = [append(&mut log, None, NOW), append(&mut log, None, NOW)];
    log.withdraw(second.seq);
    assert_eq!(tell(&mut log, third.seq).map(|entry| entry.seq), Some(3));
    assert_eq!(log.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [3]);
    assert_eq!((missed(&log, &first.serial), missed(&log, &third.serial)), (None, Some(vec![])));
}
