//! Groups of commits from which it can be told afterwards which of them are there, completely or in part.

use std::collections::BTreeMap;

use tandem_actors::ports::{Direction::Forward, Store};

use super::*;

/// Older groups delete themselves.
const KEPT: u64 = 25;

/// The rows of the `n`-th group (from 1) with their values: one to seven commits of one row; some have long values, and
/// some groups are as large as under load.
fn rows(n: u64) -> impl Iterator<Item = (String, Vec<u8>)> {
    let count = if n % 50 == 49 { 300 } else { n % 7 + 1 };
    (0..count).map(move |row| {
        let size = if n.is_multiple_of(11) { 9_000 } else { n * 37 % 700 };
        (format!("x{n:08}-{row:03}"), [&n.to_be_bytes()[..], &vec![n as u8; size as usize]].concat())
    })
}

pub fn group(n: u64) -> Vec<Commit> {
    let mut group: Vec<Commit> = rows(n).map(|(name, value)| free(vec![put(name, value)])).collect();
    if n > KEPT {
        group.push(free(rows(n - KEPT).map(|(name, _)| delete(name)).collect()));
    }
    group.push(free(vec![put("xlatest", n.to_be_bytes())]));
    group
}

/// The rows that are there after so many groups.
pub fn expected(latest: u64) -> BTreeMap<String, Vec<u8>> {
    let mut expected: BTreeMap<_, _> = (latest.saturating_sub(KEPT - 1).max(1)..=latest).flat_map(rows).collect();
    expected.insert("xlatest".into(), latest.to_be_bytes().to_vec());
    expected
}

/// The number of the last group that is there, or what is wrong.
pub fn latest(store: &dyn Store) -> Result<u64, String> {
    let stored = store.scan(&key("x"), None, Forward, usize::MAX).map_err(|error| error.to_string())?;
    let stored: BTreeMap<String, Vec<u8>> = stored
        .into_iter()
        .map(|(key, value)| (String::from_utf8_lossy(key.as_bytes()).into_owned(), value.to_vec()))
        .collect();
    let Some(latest) = stored.get("xlatest") else {
        return if stored.is_empty() { Ok(0) } else { Err("rows of a group that is not there".into()) };
    };
    let latest = u64::from_be_bytes(latest.as_slice().try_into().map_err(|_| "a wrong number")?);
    let expected = expected(latest);
    if stored == expected {
        return Ok(latest);
    }
    let differs = |(name, value): &(&String, &Vec<u8>)| stored.get(*name) != Some(value);
    let missing: Vec<_> = expected.iter().filter(differs).map(|(name, _)| name).collect();
    let foreign: Vec<_> = stored.keys().filter(|name| !expected.contains_key(*name)).collect();
    Err(format!("of {latest} groups, missing or wrong: {missing:?}, too many: {foreign:?}"))
}
