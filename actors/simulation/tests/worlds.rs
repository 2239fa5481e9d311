//! Runs a few worlds with new seeds each time. A failure prints the command that repeats it.

use std::process::{Command, Output};

use rand::Rng;

fn simulate(arguments: &[&str]) -> Output {
    let seed = rand::rng().random_range(0..1_000_000_000_u64).to_string();
    let binary = env!("CARGO_BIN_EXE_tandem-simulation");
    let output = Command::new(binary).arg("simulate").args(arguments).args(["--seed", &seed]).output();
    output.expect("the simulation runs")
}

fn must_succeed(output: &Output) {
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_node_keeps_its_promises_in_every_world() {
    must_succeed(&simulate(&["--commands", "3000", "--per-world", "500"]));
}

#[test]
fn a_seed_makes_the_same_world_each_time() {
    must_succeed(&simulate(&["--commands", "400", "--per-world", "400", "--twice"]));
}
