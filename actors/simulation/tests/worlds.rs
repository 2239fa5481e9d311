//! Runs a few worlds with new seeds each time, and those that have failed before. A failure prints the command that
//! repeats it.

use std::process::{Command, Output};

use rand::Rng;

fn simulate(seed: u64, arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_tandem-simulation");
    let output = Command::new(binary).arg("simulate").args(arguments).args(["--seed", &seed.to_string()]).output();
    output.expect("the simulation runs")
}

fn fresh_seed() -> u64 {
    rand::rng().random_range(0..1_000_000_000)
}

fn must_succeed(output: &Output) {
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_node_keeps_its_promises_in_every_world() {
    must_succeed(&simulate(fresh_seed(), &["--commands", "3000", "--per-world", "500"]));
}

#[test]
fn the_node_keeps_its_promises_where_it_once_did_not() {
    // A stalled disk: the outcome of a push was written twice, and the push was sent three times.
    must_succeed(&simulate(738_657_892, &["--commands", "500", "--worlds", "1"]));
    // The operator releases a session from quarantine late.
    must_succeed(&simulate(10_000_030, &["--commands", "2000", "--worlds", "1"]));
    // Two decisions about one event at a time: the second was stored without the first.
    must_succeed(&simulate(510_000_907, &["--commands", "500", "--worlds", "1"]));
    // A look that waited behind an event: the event counted as seen, and the partner who left got no push.
    must_succeed(&simulate(520_001_127, &["--commands", "500", "--worlds", "1"]));
    // The provider refused an event for good. The partner who was present then left, and got no push.
    must_succeed(&simulate(1_500_010_029, &["--commands", "2000", "--worlds", "1"]));
    // A kill left a segment whose name was not durable. The next run used it, and a power cut took it.
    must_succeed(&simulate(1_400_050_245, &["--commands", "2000", "--worlds", "1"]));
    // Two erasures at once put each other off for ever.
    must_succeed(&simulate(1_400_010_279, &["--commands", "2000", "--worlds", "1"]));
    // An erasure whose outcome was unknown takes a replaced draft out of the log in the same commit.
    must_succeed(&simulate(1_300_010_852, &["--commands", "800", "--worlds", "1"]));
    // A push for one event of a batch: the stored outbox forgot who had to see the next, and the node was killed.
    let faults = ["--without", "power", "--without", "panics", "--without", "jumps"];
    let arguments = [&["--commands", "2000", "--worlds", "1"], faults.as_slice()].concat();
    must_succeed(&simulate(1_300_030_703, &arguments));
}

#[test]
fn a_seed_makes_the_same_world_each_time() {
    must_succeed(&simulate(fresh_seed(), &["--commands", "400", "--per-world", "400", "--twice"]));
}
