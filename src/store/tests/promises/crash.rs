//! SIGKILL at any moment, also while starting, and a disk that is full: what was acknowledged is there, and of what was
//! not, a whole group or nothing. The child is this test binary again. `TANDEM_CRASH_ROUNDS` makes it longer.

use std::{
    io::{BufRead, BufReader, Write, stdout},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rand::Rng;
use tandem_store::Engine;

use super::*;

const CHILD: &str = "TANDEM_TEST_CRASH_CHILD";
const FILLER: u8 = b'f';

fn rounds() -> u32 {
    std::env::var("TANDEM_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(24)
}

/// How the child opens the store.
#[derive(Default)]
struct How {
    rewrites: bool,
    key: Option<PathBuf>,
    /// Bytes of a row that each group has.
    filler: usize,
    /// The child changes the key after some groups each.
    rekeys: bool,
}

impl How {
    fn options(&self) -> Options {
        Options { encryption_key_file: self.key.clone(), ..small() }
    }

    /// Takes the key that opens the store, which may be a later one.
    fn find_key(&mut self, at: &Location) {
        while let (Some(key), Err(StoreOpenError::KeyOther { .. })) =
            (&self.key, store::Place::Directory(at.clone()).inspect(&self.options()))
        {
            self.key = Some(next_key(key));
        }
    }
}

/// Commits group after group and says which are acknowledged, until it is killed or the store fails.
#[test]
#[ignore = "the child of the tests below"]
fn crash_child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let [engine, path, filler, rewrites, rekeys, key] = what.split('|').collect::<Vec<_>>()[..] else {
        panic!("six parts")
    };
    let engine = if engine == "sled" { Engine::Sled } else { Engine::Redb };
    say("opening");
    let mut options = if rewrites == "true" { rewriting() } else { small() };
    options.encryption_key_file = Some(PathBuf::from(key)).filter(|key| !key.as_os_str().is_empty());
    let at = location(engine, Path::new(path));
    let (store, backups) = rekey::open_with_backups(&at, &options);
    let mut key = PathBuf::from(key);
    let last = workload::latest(store.as_ref()).expect("a store without damage");
    say(format_args!("opened {last}"));
    for n in last + 1.. {
        let mut group = workload::group(n);
        group.push(free(vec![put(format!("filler{n}"), vec![FILLER; filler.parse().unwrap()])]));
        if let Err(error) = store.commit(&group) {
            let refused = store.commit(&workload::group(n + 1)).is_err();
            return say(format_args!("failed {refused} {error}"));
        }
        say(format_args!("acknowledged {n}"));
        if rekeys == "true" && n % 10 == 0 && number_of(&key) < MOST_KEYS {
            key = next_key(&key);
            backups.rekeying().unwrap().rekey(&key).expect("another key");
            say(format_args!("rekeyed {n}"));
        }
    }
}

/// A store has at most 255 keys at a time. A former one leaves it when all rows are encrypted again, for which the
/// rounds of a long run may be too short.
const MOST_KEYS: u64 = 250;

/// The file of the key after this one. The number in the name is the key.
fn next_key(key: &Path) -> PathBuf {
    numbered_key(key.parent().unwrap(), number_of(key) + 1)
}

fn number_of(key: &Path) -> u64 {
    key.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

fn numbered_key(directory: &Path, number: u64) -> PathBuf {
    let file = directory.join(number.to_string());
    std::fs::write(&file, format!("{number:064x}")).expect("a file");
    file
}

fn say(what: impl std::fmt::Display) {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{what}").and_then(|()| stdout.flush()).expect("somebody listens");
}

fn start(shell: &str, engine: Engine, path: &Path, how: &How) -> (Child, BufReader<ChildStdout>) {
    let How { rewrites, key, filler, rekeys } = how;
    let key = key.clone().unwrap_or_default();
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "crash::crash_child", "--ignored", "--nocapture"])
        .env(CHILD, format!("{engine}|{}|{filler}|{rewrites}|{rekeys}|{}", path.display(), key.display()))
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

fn survives_sigkill(engine: Engine, how: How) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let rewrites = how.rewrites;
    let rewritten = survives_sigkill_in(engine, &path, how, |_, _| {});
    assert_eq!(rewritten > 2, rewrites, "{rewritten} rounds ended in or after a rewrite");
}

/// `between` may change how the store is opened in the next round. Returns how many rounds ended in or after a rewrite.
fn survives_sigkill_in(engine: Engine, path: &Path, mut how: How, mut between: impl FnMut(u32, &mut How)) -> u32 {
    let mut random = rand::rng();
    let (mut told, mut killed_while_starting, mut rewritten) = (0, 0, 0);
    for round in 0..rounds() {
        between(round, &mut how);
        let (mut child, output) = start("", engine, path, &how);
        let mut lines = output.lines().map(Result::unwrap);
        let started = lines.find(|line| line == "opening");
        assert!(started.is_some());
        let mut opened = false;
        if round % 2 == 0 {
            let within = if round % 4 == 0 { 4_000 } else { 40_000 };
            std::thread::sleep(Duration::from_micros(random.random_range(0..within)));
        } else {
            let groups = random.random_range(1..60);
            let mut said = Vec::new();
            let heard = lines.by_ref().inspect(|line| said.push(line.clone()));
            opened = heard.filter(|line| acknowledged(line).is_some()).nth(groups).is_some();
            assert!(opened, "the child commits until it is killed: {:?}", said.last_chunk::<3>());
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
        rewritten += u32::from(was_rewritten(path, engine));

        how.find_key(&location(engine, path));
        let store = try_open_with(&location(engine, path), &how.options()).expect("the store opens");
        let there = workload::latest(store.as_ref()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(there >= told, "round {round}: {told} were acknowledged, {there} are there");
        told = there;
    }
    assert!(told > 100, "the rounds did something: {told} groups");
    assert!(killed_while_starting > 2, "and some were killed early: {killed_while_starting}");
    println!(
        "{engine}: {} kills, {killed_while_starting} of them while it started; {told} groups, none lost",
        rounds()
    );
    rewritten
}

/// Encryption begins in a store that has rows, and its key changes several times, each with all rows written anew.
fn survives_sigkill_while_it_is_encrypted(engine: Engine) {
    let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = directory.path().join("store");
    let of = |number: u32| key_file(keys.path(), &format!("{number:08x}"));
    let plain = [FILLER; 100];
    let last = std::cell::Cell::new(0);
    let how = How { filler: plain.len(), ..How::default() };
    survives_sigkill_in(engine, &path, how, |round, how| match round {
        4 => {
            assert!(holds(&path, &plain), "the search finds what is there");
            how.key = Some(of(0));
        }
        5.. if round % 4 == 0 => {
            let new = last.get() + 1;
            let place = store::Place::Directory(location(engine, &path));
            until_unlocked(|| place.rekey(&how.options(), &of(new))).expect("it gets another key");
            how.key = Some(of(new));
            last.set(new);
        }
        _ => {}
    });
    assert!(last.get() > 2);
    let options = How { key: Some(of(last.get())), ..How::default() }.options();
    let store = try_open_with(&location(engine, &path), &options).expect("the store opens");
    let deadline = Instant::now() + Duration::from_secs(120);
    while holds(&path, &plain) {
        assert!(Instant::now() < deadline, "{engine}: all is encrypted");
        // A checkpoint makes the store go on. Refused: it is behind.
        let _refused = store.commit(&[free(vec![put("y", "a row")])]);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The key changes again and again while the store is open.
fn survives_sigkill_while_its_key_changes(engine: Engine) {
    let (directory, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let how = How { key: Some(numbered_key(keys.path(), 0)), rekeys: true, ..How::default() };
    survives_sigkill_in(engine, &directory.path().join("store"), how, |_, _| {});
    let changes = keys.path().read_dir().unwrap().count();
    assert!(changes > 10, "{engine}: {changes} changes");
}

#[test]
fn sled_keeps_what_it_acknowledged_when_it_is_killed_while_its_key_changes() {
    survives_sigkill_while_its_key_changes(Engine::Sled);
}

#[test]
fn redb_keeps_what_it_acknowledged_when_it_is_killed_while_its_key_changes() {
    survives_sigkill_while_its_key_changes(Engine::Redb);
}

#[test]
fn sled_keeps_what_it_acknowledged_when_it_is_killed_while_it_is_encrypted() {
    survives_sigkill_while_it_is_encrypted(Engine::Sled);
}

#[test]
fn redb_keeps_what_it_acknowledged_when_it_is_killed_while_it_is_encrypted() {
    survives_sigkill_while_it_is_encrypted(Engine::Redb);
}

#[test]
fn sled_keeps_what_it_acknowledged_when_it_is_killed() {
    survives_sigkill(Engine::Sled, How::default());
}

#[test]
fn sled_keeps_what_it_acknowledged_when_it_is_killed_while_it_is_rewritten() {
    survives_sigkill(Engine::Sled, How { rewrites: true, ..How::default() });
}

#[test]
fn redb_keeps_what_it_acknowledged_when_it_is_killed() {
    survives_sigkill(Engine::Redb, How::default());
}

#[test]
fn redb_keeps_what_it_acknowledged_when_it_is_killed_while_it_is_rewritten() {
    survives_sigkill(Engine::Redb, How { rewrites: true, ..How::default() });
}

/// The kernel refuses to let the file grow at some point, as a full disk does.
fn survives_a_full_disk(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    open(engine, directory.path());
    let how = How { filler: 30_000, ..How::default() };
    let (mut child, output) = start("trap '' XFSZ; ulimit -f 12000;", engine, directory.path(), &how);
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
