//! Makes a failing world smaller: fewer kinds of misfortune, fewer commands.

use std::io::{self, Write};

use crate::{
    lives,
    plan::{FAULTS, Plan},
};

/// Worlds that are tried with fewer commands.
const TRIES: u32 = 20;
/// Lines that are shown of the smallest world.
const LAST_LINES: usize = 60;

/// Says what is the smallest world like this that fails.
pub fn shrink(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let mut smallest = plan.clone();
    let mut failure = lives::live_through(&smallest).failure;
    let mut tries = TRIES;
    for fault in FAULTS.into_iter().filter(|fault| !plan.without.contains(fault)) {
        let mut smaller = smallest.clone();
        smaller.without.push(fault);
        if let Some(same) = lives::live_through(&smaller).failure {
            (smallest, failure) = (smaller, Some(same));
        }
    }
    let mut step = smallest.commands / 2;
    while step > 0 && tries > 0 {
        tries -= 1;
        let smaller = Plan { commands: smallest.commands - step, ..smallest.clone() };
        match lives::live_through(&smaller).failure {
            Some(same) => (smallest, failure) = (smaller, Some(same)),
            None => step /= 2,
        }
        step = step.min(smallest.commands.saturating_sub(1));
    }
    let failure = failure.unwrap_or_else(|| "it does not fail again".into());
    let lines = lives::live_through(&Plan { trace: true, ..smallest.clone() }).lines;
    let last = lines.len().saturating_sub(LAST_LINES);
    lines[last..].iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out, "smallest: simulate {smallest} --trace\n  {failure}")
}
