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

/// Prints the smallest world that fails, and the end of its trace.
pub fn shrink(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let mut smallest = plan.clone();
    let mut failure = runs::run_world(&smallest).failure;
    let mut tries = TRIES;
    for fault in FAULTS.into_iter().filter(|fault| !plan.without.contains(fault)) {
        let mut smaller = smallest.clone();
        smaller.without.push(fault);
        if let Some(same) = runs::run_world(&smaller).failure {
            (smallest, failure) = (smaller, Some(same));
        }
    }
    let mut step = smallest.commands / 2;
    while step > 0 && tries > 0 {
        tries -= 1;
        let smaller = Plan { commands: smallest.commands - step, ..smallest.clone() };
        match runs::run_world(&smaller).failure {
            Some(same) => (smallest, failure) = (smaller, Some(same)),
            None => step /= 2,
        }
        step = step.min(smallest.commands.saturating_sub(1));
    }
    let failure = failure.unwrap_or_else(|| "it does not fail again".into());
    let lines = runs::run_world(&Plan { trace: true, ..smallest.clone() }).lines;
    let last = lines.len().saturating_sub(LAST_LINES);
    lines[last..].iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out, "smallest: simulate {smallest} --trace\n  {failure}")
}
