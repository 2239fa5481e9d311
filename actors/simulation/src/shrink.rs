//! Searches for the smallest world that fails like a given one: fewer kinds of faults, fewer commands.

use std::io::{self, Write};

use crate::{
    plan::{FAULTS, Plan},
    runs,
};

/// Worlds that are tried with fewer commands.
const TRIES: u32 = 20;
/// Lines that are shown of the smallest world.
const LAST_LINES: usize = 60;

/// What failed, without the ids and numbers that differ between worlds.
fn kind(failure: &str) -> String {
    let words = failure.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit() || c == '"'));
    words.take(6).collect::<Vec<_>>().join(" ")
}

/// Runs a world. None if it does not fail, or fails in another way.
fn fails_alike(plan: &Plan, like: &str) -> Option<String> {
    runs::run_world(plan).failure.filter(|failure| kind(failure) == kind(like))
}

/// Prints the smallest world that fails in the same way, and the end of its trace.
pub fn shrink(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let mut smallest = plan.clone();
    let Some(mut failure) = runs::run_world(&smallest).failure else {
        return writeln!(out, "it does not fail again");
    };
    let mut tries = TRIES;
    for fault in FAULTS.into_iter().filter(|fault| !plan.without.contains(fault)) {
        let mut smaller = smallest.clone();
        smaller.without.push(fault);
        if let Some(same) = fails_alike(&smaller, &failure) {
            (smallest, failure) = (smaller, same);
        }
    }
    let mut step = smallest.commands / 2;
    while step > 0 && tries > 0 {
        tries -= 1;
        let smaller = Plan { commands: smallest.commands - step, ..smallest.clone() };
        match fails_alike(&smaller, &failure) {
            Some(same) => (smallest, failure) = (smaller, same),
            None => step /= 2,
        }
        step = step.min(smallest.commands.saturating_sub(1));
    }
    let lines = runs::run_world(&Plan { trace: true, ..smallest.clone() }).lines;
    let last = lines.len().saturating_sub(LAST_LINES);
    lines[last..].iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out, "smallest: simulate {smallest} --trace\n  {failure}")
}
