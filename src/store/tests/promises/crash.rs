//! SIGKILL at any moment, also while starting, and a disk that is full: what was acknowledged is there, and of what was
//! not, a whole group or nothing. The child is this test binary again.

use std::{
    io::{BufRead, BufReader, Write, stdout},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rand::Rng;
use tandem_store::Engine;

use super::*;

const ROUNDS: u32 = 24;
const CHILD: &str = "TANDEM_TEST_CRASH_CHILD";

/// Commits group after group and says which are acknowledged, until it is killed or the store fails.
#[test]
#[ignore = "the child of the tests below"]
fn crash_child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let [engine, path, filler] = what.split('|').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let engine = if engine == "sled" { Engine::Sled } else { Engine::Redb };
    say("opening");
    let store = open_small(engine, Path::new(path));
    let last = workload::latest(store.as_ref()).expect("a store without damage");
    say(format_args!("opened {last}"));
    for n in last + 1.. {
        let mut group = workload::group(n);
        group.push(free(vec![put(format!("filler{n}"), vec![0; filler.parse().unwrap()])]));
        if let Err(error) = store.commit(&group) {
            let refused = store.commit(&workload::group(n + 1)).is_err();
            return say(format_args!("failed {refused} {error}"));
        }
        say(format_args!("acknowledged {n}"));
    }
}

fn say(what: impl std::fmt::Display) {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{what}").and_then(|()| stdout.flush()).expect("somebody listens");
}

fn start(shell: &str, engine: Engine, path: &Path, filler: usize) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "crash::crash_child", "--ignored", "--nocapture"])
        .env(CHILD, format!("{engine}|{}|{filler}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts");
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

fn survives_sigkill(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut random = rand::rng();
    let (mut told, mut killed_while_starting) = (0, 0);
    for round in 0..ROUNDS {
        let (mut child, output) = start("", engine, &path, 0);
        let mut lines = output.lines().map(Result::unwrap);
        let started = lines.find(|line| line == "opening");
        assert!(started.is_some());
        let mut opened = false;
        if round % 2 == 0 {
            let within = if round % 4 == 0 { 4_000 } else { 40_000 };
            std::thread::sleep(Duration::from_micros(random.random_range(0..within)));
        } else {
            let groups = random.random_range(1..60);
            opened = lines.by_ref().filter(|line| acknowledged(line).is_some()).nth(groups).is_some();
            assert!(opened, "the child commits until it is killed");
            std::thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            assert!(!line.starts_with("failed"), "{line}");
            opened |= line.starts_with("opened");
            told = acknowledged(&line).unwrap_or(told).max(told);
        }
        killed_while_starting += u32::from(!opened);

        let store = open_small(engine, &path);
        let there = workload::latest(store.as_ref()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(there >= told, "round {round}: {told} were acknowledged, {there} are there");
        told = there;
    }
    assert!(told > 100, "the rounds did something: {told} groups");
    assert!(killed_while_starting > 2, "and some were killed early: {killed_while_starting}");
}

#[test]
fn sled_keeps_what_it_acknowledged_when_it_is_killed() {
    survives_sigkill(Engine::Sled);
}

#[test]
fn redb_keeps_what_it_acknowledged_when_it_is_killed() {
    survives_sigkill(Engine::Redb);
}

/// The kernel refuses to let the file grow at some point, as a full disk does.
fn survives_a_full_disk(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    open(engine, directory.path());
    let (mut child, output) = start("trap '' XFSZ; ulimit -f 12000;", engine, directory.path(), 30_000);
    let mut told = 0;
    let failure = output.lines().map(Result::unwrap).find(|line| {
        told = acknowledged(line).unwrap_or(told);
        line.starts_with("failed")
    });
    child.wait().unwrap();
    assert!(failure.expect("an error, not a hang").starts_with("failed true "), "refuses all later commits");
    assert!(told > 10, "it had begun: {told}");
    let there = workload::latest(open(engine, directory.path()).as_ref()).unwrap();
    assert!(there >= told, "{told} were acknowledged, {there} are there");
}

#[test]
fn sled_fails_on_a_full_disk_and_keeps_what_it_acknowledged() {
    survives_a_full_disk(Engine::Sled);
}

#[test]
fn redb_fails_on_a_full_disk_and_keeps_what_it_acknowledged() {
    survives_a_full_disk(Engine::Redb);
}
