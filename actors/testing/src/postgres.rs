//! A real PostgreSQL for tests: started privately on a free port in a temporary directory, as another user where the
//! tests run as root, and gone with the test's process.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The user of the database, who may do everything there.
pub const USER: &str = "tandem";
/// A user who has to show the password. It is not the usual one: in a debug build, a proof of it takes long.
pub const GUARDED: &str = "guarded";
/// The password.
pub const PASSWORD: &str = "a password for tests";

/// The certificate of the authority that has signed the server's, in PEM.
pub const AUTHORITY: &str = include_str!("tls/authority.pem");
const CERTIFICATE: &str = include_str!("tls/server.pem");
const KEY: &str = include_str!("tls/server.key.pem");

const DEADLINE: Duration = Duration::from_secs(60);

const ADMISSION: &str = "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";

/// Runs the server until its standard input ends, as it does when the test's process ends in whatever way.
const KEEPER: &str = r#""$@" & server=$!; read -r _; kill -QUIT $server 2>/dev/null; wait $server"#;

/// A server. Dropped, it is stopped as a crash would, and its files are removed.
pub struct Postgres {
    programs: PathBuf,
    directory: TempDir,
    port: u16,
    keeper: Option<Child>,
    databases: AtomicU32,
}

/// Where PostgreSQL's programs are, if they are installed.
fn programs() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
                .filter(|(version, bin)| *version >= 15 && bin.join("initdb").exists())
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

impl Postgres {
    /// A server of the caller's own. `None`, after a line, where PostgreSQL is not installed, except under `CI=true`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!must, "PostgreSQL 15 or later must be installed: .ci/tools does so");
            let mut stderr = std::io::stderr();
            let _told = std::io::Write::write_all(&mut stderr, b"skipped: PostgreSQL 15 or later is not installed\n");
            return None;
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        if is_root() {
            let id = |flag: &str| -> u32 {
                let asked = Command::new("id").args([flag, "postgres"]).output().expect("id runs");
                String::from_utf8_lossy(&asked.stdout).trim().parse().expect("the user postgres exists")
            };
            chown(directory.path(), Some(id("-u")), Some(id("-g"))).expect("root may change owners");
        }
        let server = Self { programs, directory, port: free_port(), keeper: None, databases: AtomicU32::new(0) };
        Some(server.with_cluster().started())
    }

    /// One server for all tests of a process that do not stop it. `None` as for [`Postgres::start`].
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn with_cluster(self) -> Self {
        let mut make = self.program("initdb");
        make.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "--username", USER]);
        make.arg("-D").arg(self.data());
        let made = make.output().expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        fs::write(self.data().join("pg_hba.conf"), ADMISSION).expect("a file");
        self
    }

    fn started(mut self) -> Self {
        self.start_again();
        self.sql("postgres", &format!("CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD '{PASSWORD}'"));
        self
    }

    /// Starts a server that was stopped, on the same port and files.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn start_again(&mut self) {
        let log = fs::File::create(self.directory.path().join("log")).expect("a file");
        let server = self.program("postgres");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(server.get_program()).args(server.get_args());
        keeper.arg("-D").arg(self.data());
        for setting in [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            "unix_socket_directories=".into(),
            "shared_buffers=32MB".into(),
            "max_connections=80".into(),
        ] {
            keeper.args(["-c", &setting]);
        }
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        self.keeper = Some(keeper.spawn().expect("the server starts"));
        let deadline = Instant::now() + DEADLINE;
        while !self.answers() {
            assert!(Instant::now() < deadline, "PostgreSQL does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let mut ask = Command::new(self.programs.join("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ask.status().is_ok_and(|status| status.success())
    }

    /// What the server wrote to its log since it started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Stops it at once, as a crash would: the next start recovers.
    pub fn crash(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ended = keeper.wait();
        }
    }

    /// Stops all its processes where they are (`STOP`), or lets them go on (`CONT`).
    pub fn signal(&self, name: &str) {
        let head = fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server");
        let first = head.lines().next().expect("a process id").to_owned();
        let children = fs::read_dir("/proc").into_iter().flatten().flatten().filter(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // After the name in brackets: the state, the parent.
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.split_whitespace().nth(1) == Some(&first))
        });
        let mut processes: Vec<String> = children.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        processes.insert(0, first.clone());
        // Children may have ended meanwhile.
        let _sent = Command::new("kill").arg(format!("-{name}")).args(&processes).stderr(Stdio::null()).status();
    }

    /// The address of a database that holds nothing yet.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// The address of a database.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL in a database, named or by its address, and returns what `psql` prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let database = database.rsplit('/').next().unwrap_or(database);
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        psql.args(["-U", USER, "-d", database, "-c", sql]);
        let asked = psql.output().expect("psql runs");
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }

    /// Changes a setting of the running server. An empty value takes it back.
    pub fn set(&self, name: &str, value: &str) {
        let change = match value {
            "" => format!("ALTER SYSTEM RESET {name}"),
            value => format!("ALTER SYSTEM SET {name} = '{value}'"),
        };
        self.sql("postgres", &change);
        self.sql("postgres", "SELECT pg_reload_conf()");
        let deadline = Instant::now() + DEADLINE;
        while !value.is_empty() && self.sql("postgres", &format!("SHOW {name}")) != value {
            assert!(Instant::now() < deadline, "{name} becomes {value}");
        }
    }

    /// Offers TLS from now on, also to those who do not ask for it.
    ///
    /// # Panics
    /// If the server does not take the certificate.
    pub fn encrypt(&self) {
        let owner = fs::metadata(self.data()).expect("the server's files");
        for (name, content) in [("server.crt", CERTIFICATE), ("server.key", KEY)] {
            let path = self.data().join(name);
            fs::write(&path, content).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its owner may do so");
            if is_root() {
                chown(&path, Some(owner.uid()), Some(owner.gid())).expect("root may change owners");
            }
        }
        self.set("ssl", "on");
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A program of the server's, run as a user who may run it.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

fn is_root() -> bool {
    fs::metadata(Path::new("/proc/self")).is_ok_and(|process| process.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
