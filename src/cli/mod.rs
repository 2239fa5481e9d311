//! The command line. Every command reads the same settings. An error is one line on stderr and an exit code: 2 for the
//! command line and the settings, 1 for everything else.

mod backup;
mod check;
mod config;
mod copy;
mod export;
mod fleet;
mod health;
mod node;
mod output;
mod progress;
mod restore;
mod shell;
mod stored;
mod token;

use std::{ffi::OsString, fmt, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use tandem_actors::domain::ids::{Seq, SessionId, UserId};

use crate::{
    config::{Flag, Settings, SettingsError, Sources},
    store::Place,
    telemetry, traces,
    version::VERSION,
};

/// Session coordinator for two partners: durable session actors, embedded realtime, push
#[derive(Debug, Parser)]
#[command(name = "tandem", version = VERSION, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Settings file; without it config.toml in the data directory, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory: the store and generated secrets [default: ./data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// How logs are written to stderr: text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Address and port; port 0 takes a free one [default: 127.0.0.1:8080]
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
        /// Begin with an empty store where this data directory had one before
        #[arg(long)]
        start_afresh: bool,
    },
    /// Play both partners from invitation to resolution, on a temporary node
    Demo {
        /// Leave the server running and print how to call it
        #[arg(long)]
        keep: bool,
        /// Show two phones in a browser instead, and let you play both partners
        #[arg(long, conflicts_with = "keep")]
        open: bool,
    },
    /// Print a token that the node on this data directory accepts
    Token {
        /// Who calls with it
        #[arg(long, value_name = "ID")]
        user: UserId,
        /// The name that the partner sees
        #[arg(long)]
        name: Option<String>,
        /// How long it is valid
        #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
        ttl: Duration,
    },
    /// Report what is configured, what is reachable and what is wrong
    Check,
    /// Say whether the node on this data directory answers; ends with 1 if it does not
    Health {
        /// Whether it can also do its work: the store takes writes, and the node is not stopping
        #[arg(long)]
        ready: bool,
    },
    /// List the nodes on the database, and which of them owns it
    Fleet,
    /// Write a settings file, or show the settings in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a link that signs in to the console of the running node, once and within five minutes
    Console {
        /// Who signs in; changes are logged under this name [default: the user who runs this]
        #[arg(long)]
        name: Option<String>,
        /// Where a browser reaches the node, as `https://tandem.example.org` [default: where it listens]
        #[arg(long, value_name = "URL")]
        at: Option<String>,
    },
    /// Back up the running node, or the store of a stopped one
    Backup {
        /// The directory of backups; the first one makes it [default: backup.to]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Leave out the secrets and the settings of the data directory
        #[arg(long)]
        without_secrets: bool,
    },
    /// Write all rows of a node, running or stopped, as lines of JSON
    Export {
        /// The file to make
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Make the store of a node from an export
    Import {
        /// The file that `tandem export` has written
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Make a data directory, or the store in a database, from a backup
    Restore(restore::Restore),
    /// Operate on one session of the running node
    #[command(subcommand)]
    Session(SessionCommand),
    /// Operate on stores; all but `rekey` while no node uses them
    #[command(subcommand)]
    Store(StoreCommand),
    /// Run a stand-in for Expo's push service
    FakeExpo {
        /// Address and port; port 0 takes a free one
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
        listen: std::net::SocketAddr,
    },
    /// Print a script that completes commands and flags in a shell
    Completions { shell: clap_complete::Shell },
    /// Write manual pages
    Man {
        /// Where the pages go, as man1/ of a directory of manual pages
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a file with every setting as a comment: to --config, else config.toml in the data directory
    Init,
    /// Print every setting with its value and its origin, as TOML; secrets are not shown
    Show,
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// Release a session from quarantine, and try it
    Release {
        /// The session's id
        id: SessionId,
    },
    /// List the sessions in quarantine, and the reasons
    Quarantined,
    /// Explain for each event and partner how it was delivered and why
    Why {
        /// The session's id
        id: SessionId,
        /// This event only
        #[arg(long)]
        seq: Option<Seq>,
    },
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Copy a store into a new one, of the same engine or another
    Copy {
        /// sled:DIRECTORY, redb:DIRECTORY or postgres://USER@HOST/DATABASE
        #[arg(long, value_name = "STORE")]
        from: String,
        /// sled:DIRECTORY, redb:DIRECTORY or postgres://USER@HOST/DATABASE, where no store is yet
        #[arg(long, value_name = "STORE")]
        to: String,
    },
    /// Read everything that is stored, and name what is damaged; ends with 1 if anything is
    Verify {
        /// sled:DIRECTORY, redb:DIRECTORY or postgres://USER@HOST/DATABASE [default: the store of the settings]
        #[arg(long, value_name = "STORE")]
        store: Option<String>,
    },
    /// Save all intact rows into a new store in its place, and report what is lost
    Repair {
        /// sled:DIRECTORY or redb:DIRECTORY [default: the store of the data directory]
        #[arg(long, value_name = "STORE")]
        store: Option<String>,
    },
    /// Give an encrypted store another key, also while the node runs, which encrypts everything again
    Rekey {
        /// sled:DIRECTORY or redb:DIRECTORY [default: the store of the data directory]
        #[arg(long, value_name = "STORE")]
        store: Option<String>,
        /// The file of the new key, which a running node must be able to read: 64 hexadecimal digits, as
        /// `openssl rand -hex 32` writes them
        #[arg(long, value_name = "FILE")]
        new_key_file: PathBuf,
    },
    /// Print every row as a line of JSON, without texts of people
    Dump {
        /// sled:DIRECTORY, redb:DIRECTORY or postgres://USER@HOST/DATABASE [default: the store of the settings]
        #[arg(long, value_name = "STORE")]
        store: Option<String>,
        /// With the texts of people and the ids of users
        #[arg(long)]
        words: bool,
    },
}

/// The error of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(error: impl fmt::Display) -> Self {
        Self { line: error.to_string(), code: 1 }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

pub(crate) type CommandResult = Result<(), Failure>;

/// The store that an option names. clap would print a wrong value, and with it a password.
fn place(option: &str, text: &str) -> Result<Place, Failure> {
    text.parse().map_err(|error| Failure { code: 2, ..Failure::new(format_args!("{option}: {error}")) })
}

fn named(store: Option<String>) -> Result<Option<Place>, Failure> {
    store.map(|store| place("--store", &store)).transpose()
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    crate::files::keep_to_this_user();
    crate::tls::install_provider();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // clap returns --help and --version as errors, too.
        Err(error) => {
            // Printing fails if the reader of the output has closed it (`| head`): not an error.
            let _printed = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = cli.run();
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { line, code }) => {
            telemetry::stderr::say(format_args!("tandem: {line}"));
            ExitCode::from(code)
        }
    };
    traces::stop();
    telemetry::stderr::flush();
    code
}

impl Cli {
    fn run(self) -> CommandResult {
        self.refuse_unused_flags()?;
        let sources = self.sources();
        // They must also work where no valid settings are.
        match self.command {
            Command::Completions { shell } => return shell::completions(shell),
            Command::Man { out } => return shell::manual(&out),
            Command::Config(ConfigCommand::Init) => return config::init(&sources),
            _ => {}
        }
        let mut settings =
            Settings::load(&sources).map_err(|error: SettingsError| Failure { code: 2, ..error.into() })?;
        if matches!(self.command, Command::Demo { .. }) {
            // The demo tells its steps on stdout; info lines of its servers' log would interrupt them.
            "warn".clone_into(&mut settings.telemetry.filter);
        }
        if !matches!(self.command, Command::Serve { .. }) {
            settings.telemetry.otlp_endpoint = None;
        }
        telemetry::start(&settings.telemetry).map_err(|error| Failure { code: 2, ..error.into() })?;
        match self.command {
            Command::Serve { start_afresh, .. } => node::serve(Settings { start_afresh, ..settings }, sources),
            Command::Demo { open: true, .. } => node::phones(),
            Command::Demo { keep, .. } => node::demo(keep),
            Command::Token { user, name, ttl } => token::print(&settings, &user, name.as_deref(), ttl),
            Command::Check => check::run(&settings),
            Command::Fleet => fleet::run(&settings),
            Command::Health { ready } => health::run(&settings, ready),
            Command::Config(ConfigCommand::Show) => config::show(&sources),
            Command::Console { name, at } => node::console(&settings, name, at.as_deref()),
            Command::Backup { to, without_secrets } => backup::run(&settings, to.as_deref(), !without_secrets),
            Command::Export { to } => export::export(&settings, &to),
            Command::Import { from } => export::import(&settings, &from),
            Command::Restore(asked) => restore::run(&settings, asked),
            Command::Session(SessionCommand::Release { id }) => node::release_session(&settings, &id),
            Command::Session(SessionCommand::Quarantined) => node::list_quarantined(&settings),
            Command::Session(SessionCommand::Why { id, seq }) => node::explain_session(&settings, &id, seq),
            Command::Store(StoreCommand::Copy { from, to }) => {
                copy::run(&settings, &place("--from", &from)?, &place("--to", &to)?)
            }
            Command::Store(StoreCommand::Verify { store }) => stored::verify(&settings, named(store)?),
            Command::Store(StoreCommand::Repair { store }) => stored::repair(&settings, named(store)?),
            Command::Store(StoreCommand::Rekey { store, new_key_file }) => {
                stored::rekey(&settings, named(store)?, &new_key_file)
            }
            Command::Store(StoreCommand::Dump { store, words }) => stored::dump(&settings, named(store)?, words),
            Command::FakeExpo { listen } => node::fake_expo(listen),
            Command::Completions { .. } | Command::Man { .. } | Command::Config(ConfigCommand::Init) => Ok(()),
        }
    }

    /// Refuses flags that the command would ignore.
    fn refuse_unused_flags(&self) -> CommandResult {
        let (command, why) = match self.command {
            Command::Demo { .. } => ("demo", "it runs a node of its own, on defaults, in a temporary directory"),
            Command::FakeExpo { .. } => ("fake-expo", "it keeps everything in memory"),
            _ => return Ok(()),
        };
        let given = [("--data", self.common.data.is_some()), ("--config", self.common.config.is_some())];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(Failure { code: 2, ..Failure::new(format_args!("{command} takes no {flag}: {why}")) })
            }
            None => Ok(()),
        }
    }

    fn sources(&self) -> Sources {
        let listen = match &self.command {
            Command::Serve { listen, .. } => listen.clone(),
            _ => None,
        };
        let flags = [
            ("--data", "data", self.common.data.clone()),
            ("--log-format", "telemetry.log_format", self.common.log_format.clone()),
            ("--listen", "server.listen", listen),
        ];
        Sources {
            file: self.common.config.clone(),
            // Variables that are not Unicode are not settings.
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags: flags.into_iter().filter_map(|(name, key, value)| Some(Flag { name, key, value: value? })).collect(),
        }
    }
}
