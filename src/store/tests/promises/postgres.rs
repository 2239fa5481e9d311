//! A store in a PostgreSQL database: what is refused before anything is written, who may write, and what becomes of
//! groups whose answers are lost. The contract of all stores is in `contract`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tandem_actors::{
    keys,
    ports::{
        Direction::Forward,
        Store,
        Verdict::{Fenced, Written},
    },
};
use tandem_store::{Address, Password, Place, PostgresError};
use tandem_testing::postgres::{GUARDED, PASSWORD, Postgres};
use tempfile::TempDir;

use super::*;

/// An empty database, and a directory of this machine.
pub struct Database {
    server: &'static Postgres,
    address: String,
    here: TempDir,
}

/// `None` where PostgreSQL is not installed.
pub fn database() -> Option<Database> {
    let server = Postgres::shared()?;
    Some(Database { server, address: server.database(), here: tempfile::tempdir().unwrap() })
}

pub fn options() -> Options {
    Options { password: Some(Password::from(PASSWORD.to_owned())), ..Options::default() }
}

pub fn place(address: &str, here: &Path) -> Place {
    Place::Postgres { address: address.parse::<Address>().expect("an address"), here: here.to_owned() }
}

impl Database {
    pub fn open(&self) -> Arc<dyn Store> {
        self.place().open(&options()).expect("the store opens")
    }

    pub fn place(&self) -> Place {
        place(&self.address, self.here.path())
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// As another machine sees it.
    fn elsewhere(&self) -> (TempDir, Place) {
        let here = tempfile::tempdir().unwrap();
        let place = place(&self.address, here.path());
        (here, place)
    }

    pub fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.address, sql)
    }

    /// What is in the database, as far as it could have been changed by looking.
    fn content(&self) -> String {
        self.sql("SELECT string_agg(relname || reltuples || relfilenode, ' ' ORDER BY relname) FROM pg_class c
                  JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')")
    }
}

/// The one line of a place that does not open.
pub fn refusal(place: &Place) -> (String, StoreOpenError) {
    let error = place.open(&options()).err().expect("refused");
    let line = error.to_string();
    assert!(!line.contains('\n') && !line.contains(PASSWORD), "{line}");
    (line, error)
}

#[test]
fn a_server_that_does_not_sync_is_refused_with_the_name_of_the_setting() {
    let Some(server) = Postgres::start() else { return };
    let here = tempfile::tempdir().unwrap();
    let address = server.database();
    let place = place(&address, here.path());
    let check = |setting: &str, wrong: &str| {
        let (line, error) = refusal(&place);
        let named = matches!(error, StoreOpenError::Postgres(PostgresError::Setting { setting: found, .. }) if found == setting);
        assert!(named && line.contains(&format!("{setting} is {wrong} in PostgreSQL, but must be")), "{line}");
    };
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        server.set(setting, "off");
        check(setting, "off");
        server.set(setting, "on");
    }
    let name = address.rsplit('/').next().unwrap();
    server.sql("postgres", &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    check("default_transaction_read_only", "on");
    server.sql("postgres", &format!("ALTER DATABASE {name} RESET default_transaction_read_only"));
    assert_eq!(server.sql(&address, "SELECT count(*) FROM pg_namespace WHERE nspname = 'tandem'"), "0");
    place.open(&options()).expect("opens with the settings as they should be");
}

/// Switched off while the node runs: nothing is acknowledged until it is on again.
#[test]
fn nothing_is_acknowledged_while_the_server_does_not_sync() {
    let Some(mut server) = Postgres::start() else { return };
    let here = tempfile::tempdir().unwrap();
    let store = place(&server.database(), here.path()).open(&options()).unwrap();
    store.commit(&[free(vec![put("xa", "1")])]).unwrap();
    server.set("fsync", "off");
    // The lease is renewed every second; the group that finds it out waits.
    let acknowledged = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            let deadline = Instant::now() + Duration::from_secs(2);
            while Instant::now() < deadline {
                store.commit(&[free(vec![put("xb", "2")])]).unwrap();
            }
            store.commit(&[free(vec![put("xc", "3")])]).unwrap();
            acknowledged.store(true, Ordering::Release);
        });
        std::thread::sleep(Duration::from_secs(4));
        assert!(!acknowledged.load(Ordering::Acquire), "nothing is acknowledged while fsync is off");
        server.set("fsync", "on");
        committing.join().unwrap();
    });
    server.crash();
    server.start_again();
    assert_eq!(eventually(|| store.get(&key("xc")).ok()).unwrap(), "3");
}

/// Asks again until there is an answer.
pub fn eventually<T>(ask: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_database_that_is_not_ours_is_refused_as_it_is() {
    type Harm = (&'static str, fn(&PostgresError) -> bool);
    let foreign: fn(&PostgresError) -> bool = |error| matches!(error, PostgresError::Foreign { .. });
    let schema: fn(&PostgresError) -> bool = |error| matches!(error, PostgresError::Schema { .. });
    let harms: [Harm; 6] = [
        ("CREATE SCHEMA tandem; CREATE TABLE tandem.theirs (a int)", foreign),
        ("CREATE SCHEMA tandem; CREATE TABLE tandem.cluster (name text)", foreign),
        ("@made CREATE VIEW tandem.mine AS SELECT 1", foreign),
        ("@made UPDATE tandem.cluster SET version = 99", schema),
        ("@made UPDATE tandem.cluster SET version = 0", schema),
        ("@made UPDATE tandem.cluster SET complete = false", |error| matches!(error, PostgresError::HalfCopied { .. })),
    ];
    for (harm, expected) in harms {
        let Some(database) = database() else { return };
        if let Some(harm) = harm.strip_prefix("@made ") {
            database.open().close();
            database.sql(harm);
        } else {
            database.sql(harm);
        }
        let before = database.content();
        for place in [database.place(), database.elsewhere().1] {
            let (line, error) = refusal(&place);
            let StoreOpenError::Postgres(error) = error else { panic!("{line}") };
            assert!(expected(&error), "{harm}: {line}");
        }
        assert_eq!(database.content(), before, "{harm}: nothing was written");
    }
}

#[test]
fn another_encoding_a_wrong_password_and_no_server_are_refused_with_one_line() {
    let Some(database) = database() else { return };
    database.server.sql("postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
    let here = database.here.path();
    let (line, _) = refusal(&place(&database.server.address("ascii"), here));
    assert!(line.contains("server_encoding is SQL_ASCII in PostgreSQL, but must be UTF8"), "{line}");
    let (line, _) = refusal(&place(&database.server.address("no_such_database"), here));
    assert!(line.contains("does not let tandem in: database \"no_such_database\" does not exist"), "{line}");
    let (line, _) = refusal(&place("postgres://tandem@127.0.0.1:9/tandem", here));
    assert!(line.contains("cannot be reached"), "{line}");
    let guarded = place(&database.address.replace("tandem@", &format!("{GUARDED}@")), here);
    for password in [None, Some(Password::from("wrong".to_owned()))] {
        let error = guarded.open(&Options { password, ..options() }).err().expect("refused").to_string();
        assert!(error.contains("does not let tandem in") && error.contains("store.password"), "{error}");
    }
    guarded.open(&options()).expect("with the password");
}

#[test]
fn a_second_node_is_refused_while_the_first_lives_and_let_in_when_it_is_gone() {
    let Some(database) = database() else { return };
    let first = database.open();
    let (_elsewhere, place) = database.elsewhere();
    std::thread::scope(|scope| {
        let refused = scope.spawn(|| refusal(&place));
        // An idle node renews its lease.
        while !refused.is_finished() {
            first.commit(&[]).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        let (line, error) = refused.join().unwrap();
        assert!(matches!(error, StoreOpenError::Postgres(PostgresError::InUse { .. })), "{line}");
    });
    let same = refusal(&database.place());
    assert!(matches!(same.1, StoreOpenError::Locked { .. }), "the same directory: {}", same.0);
    first.commit(&[free(vec![put("xa", "kept")])]).unwrap();
    drop(first);
    // As after a kill: its connection is gone.
    let second = eventually(|| place.open(&options()).ok());
    assert_eq!(second.get(&key("xa")).unwrap().unwrap(), "kept");
    second.close();
    let started = Instant::now();
    database.open();
    assert!(started.elapsed() < Duration::from_secs(5), "released: the next one begins at once");
}

/// Its lease has run out and another node has taken over: whatever it still believes, nothing of it is written.
#[test]
fn a_stale_owner_writes_nothing() {
    let Some(database) = database() else { return };
    let stale = database.open();
    let session = session("a");
    let row = |seq, value: &str| vec![Change::Put(keys::event(&session, seq), value.to_owned().into())];
    let epoch = stale.claim(&session).unwrap().epoch;
    assert_eq!(stale.commit(&[fenced(&session, epoch, 0, 1, row(1, "kept"))]).unwrap(), [Written]);
    database.sql("UPDATE tandem.shards SET lease_until = now() - interval '1 second'");
    let (_elsewhere, place) = database.elsewhere();
    let owner = place.open(&options()).unwrap();
    let claim = owner.claim(&session).unwrap();
    assert!(claim.epoch > epoch && claim.head == 1);
    assert_eq!(owner.commit(&[fenced(&session, claim.epoch, 1, 2, row(2, "the owner's"))]).unwrap(), [Written]);

    let error = stale.commit(&[fenced(&session, epoch, 1, 2, row(2, "stale")), free(vec![put("xa", "stale")])]);
    assert!(error.unwrap_err().text().contains("another node has taken the database over"));
    stale.commit(&[free(vec![put("xb", "stale")])]).expect_err("and nothing after it");
    assert_eq!(owner.get(&keys::event(&session, 2)).unwrap().unwrap(), "the owner's");
    assert_eq!(owner.get(&key("xa")).unwrap(), None);
    assert_eq!(owner.commit(&[fenced(&session, epoch, 2, 3, row(3, "stale"))]).unwrap(), [Fenced]);
}

#[test]
fn a_database_that_is_another_or_has_fallen_back_is_refused() {
    let Some(database) = database() else { return };
    let store = database.open();
    for n in 1..=5 {
        store.commit(&workload::group(n)).unwrap();
    }
    store.close();
    drop(store);
    // Fallen back, as after a restored backup.
    database.sql("DELETE FROM tandem.groups WHERE number > 3");
    let (line, _) = refusal(&database.place());
    assert!(line.contains("the last 2 groups of changes that were acknowledged are not there"), "{line}");
    database.sql("INSERT INTO tandem.groups VALUES (5)");
    assert_eq!(workload::latest(database.open().as_ref()), Ok(5));

    let Some(other) = self::database() else { return };
    other.open().close();
    let (line, _) = refusal(&place(&other.address, database.here.path()));
    assert!(line.contains("this is cluster") && line.contains("/cluster says"), "{line}");
    let (line, _) = refusal(&place(&database.server.database(), database.here.path()));
    assert!(line.contains("nothing there"), "{line}");

    let sled = tempfile::tempdir().unwrap();
    drop(open(Engine::Sled, sled.path()));
    let (line, _) = refusal(&place(&database.address, sled.path()));
    assert!(
        line.contains("made by sled, but store.engine is postgres") && line.contains("store copy --from"),
        "{line}"
    );
}

/// The connection is cut again and again, at any moment of a group: each group is written once.
#[test]
fn a_group_whose_answer_is_lost_is_looked_up() {
    let Some(mut server) = Postgres::start() else { return };
    let (address, here) = (server.database(), tempfile::tempdir().unwrap());
    let store = place(&address, here.path()).open(&options()).unwrap();
    let (done, committed) = (AtomicBool::new(false), AtomicU64::new(0));
    let goes_on = || {
        let before = committed.load(Ordering::Acquire);
        eventually(|| (committed.load(Ordering::Acquire) > before + 3).then_some(()));
    };
    let latest = std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Acquire) {
                n += 1;
                let verdicts = store.commit(&workload::group(n)).expect("a cut connection is no failure");
                assert!(verdicts.iter().all(|verdict| *verdict == Written));
                committed.store(n, Ordering::Release);
            }
            n
        });
        for _ in 0..25 {
            goes_on();
            let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'tandem'";
            server.sql(&address, cut);
        }
        for _ in 0..3 {
            goes_on();
            server.crash();
            server.start_again();
        }
        goes_on();
        done.store(true, Ordering::Release);
        committing.join().unwrap()
    });
    let found = eventually(|| workload::latest(store.as_ref()).ok());
    assert_eq!(found, latest);
    let written = server.sql(&address, "SELECT max(number) FROM tandem.groups");
    assert_eq!(written, latest.to_string(), "each group once");
}

/// A server that stands still: readers are told at once, soon, and it goes on by itself.
#[test]
fn readers_do_not_wait_for_a_server_that_is_away() {
    let Some(mut server) = Postgres::start() else { return };
    let here = tempfile::tempdir().unwrap();
    let store = place(&server.database(), here.path()).open(&options()).unwrap();
    store.commit(&[free(vec![put("xa", "kept")])]).unwrap();
    server.crash();
    let error = eventually(|| store.get(&key("xa")).err());
    assert!(error.fault().passes(), "{error}");
    let started = Instant::now();
    for _ in 0..100 {
        store.scan(&key("x"), None, Forward, 9).expect_err("away");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "nobody waits: {:?}", started.elapsed());
    server.start_again();
    assert_eq!(eventually(|| store.get(&key("xa")).ok().flatten()), "kept");

    server.signal("STOP");
    let started = Instant::now();
    let error = store.get(&key("xa")).expect_err("no answer");
    assert!(
        error.fault().passes() && started.elapsed() < Duration::from_secs(15),
        "{error} after {:?}",
        started.elapsed()
    );
    let started = Instant::now();
    store.get(&key("xa")).expect_err("away");
    assert!(started.elapsed() < Duration::from_secs(1), "the next one does not wait");
    server.signal("CONT");
    assert_eq!(eventually(|| store.get(&key("xa")).ok().flatten()), "kept");
}

#[test]
fn a_store_is_copied_to_a_database_and_back() {
    let Some(database) = database() else { return };
    let directory = tempfile::tempdir().unwrap();
    let from: Place = location(Engine::Sled, &directory.path().join("from")).into();
    let back: Place = location(Engine::Redb, &directory.path().join("back")).into();
    let store = from.open(&options()).unwrap();
    for n in 1..=60 {
        store.commit(&workload::group(n)).unwrap();
    }
    store.close();
    drop(store);

    let cut_off = std::panic::catch_unwind(|| {
        let cut = |progress: store::Progress| assert!(progress.phase != store::Phase::Verifying, "cut off here");
        store::copy(&from, &database.place(), &options(), cut)
    });
    cut_off.expect_err("cut off");
    let (line, error) = eventually(|| Some(refusal(&database.place())));
    assert!(matches!(error, StoreOpenError::Postgres(PostgresError::HalfCopied { .. })), "{line}");
    let there = eventually(|| store::copy(&from, &database.place(), &options(), |_| ()).ok());
    let refused = store::copy(&from, &database.place(), &options(), |_| ()).expect_err("a store is there").to_string();
    assert!(refused.contains("not empty"), "{refused}");

    let node = database.open();
    assert_eq!(workload::latest(node.as_ref()), Ok(60));
    let in_use = store::copy(&database.place(), &back, &options(), |_| ()).expect_err("in use").to_string();
    assert!(in_use.contains("in use by"), "{in_use}");
    node.close();
    drop(node);
    let again = eventually(|| store::copy(&database.place(), &back, &options(), |_| ()).ok());
    assert_eq!(again, there);
    // A program that another test starts holds the lock of the directory for a moment, between its fork and its exec.
    let opened = eventually(|| back.open(&options()).ok());
    assert_eq!(workload::latest(opened.as_ref()), Ok(60));
}

#[test]
fn a_damaged_row_is_found_and_named() {
    let Some(database) = database() else { return };
    let store = database.open();
    store.commit(&[free(vec![put("xa", "kept"), put("xb", "damaged")])]).unwrap();
    database.sql("UPDATE tandem.rows SET value = set_byte(value, 7, 0) WHERE key = 'xb'");
    let verified = database.place().verify(&options(), &mut |_| ()).unwrap();
    assert_eq!((verified.bad.len(), verified.rows), (1, 3));
    assert!(verified.bad[0].contains("its checksum is wrong"), "{:?}", verified.bad);
    assert_eq!(store.get(&key("xa")).unwrap().unwrap(), "kept");
    store.get(&key("xb")).expect_err("damaged");
    let mut lines = Vec::new();
    store::dump(&database.place(), &options(), false, &mut lines, &mut |_| ()).unwrap();
    assert_eq!(String::from_utf8(lines).unwrap().lines().filter(|line| line.contains("\"damaged\":true")).count(), 1);
    let told = database.place().repair(&options()).expect_err("not for it").to_string();
    assert!(told.contains("PostgreSQL's own backup"), "{told}");
}
