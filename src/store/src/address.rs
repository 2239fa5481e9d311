//! `store.url`: where the database is. It never holds a password, so that it can be shown.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio_postgres::config::{Host, SslMode};

/// The schema of the database that holds Tandem's tables.
pub(crate) const SCHEMA_NAME: &str = "tandem";

/// The beginnings of an address.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// How long a server may take to answer a new connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A connection is broken if the server has not acknowledged sent bytes for this long (TCP_USER_TIMEOUT).
const GONE_AFTER: Duration = Duration::from_secs(10);

/// `postgres://USER@HOST:PORT/DATABASE`
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(Arc<AddressParts>);

#[derive(PartialEq, Eq)]
struct AddressParts {
    text: String,
    config: tokio_postgres::Config,
}

/// Why a text is not the address of a database. The error does not show the text, because it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// The text has another form.
    #[error("must be an address as postgres://USER@HOST:5432/DATABASE")]
    Form,
    /// The address contains a password. Addresses are visible in logs and in lists of processes.
    #[error(
        "must not hold a password, because addresses are shown: set store.password, or TANDEM__STORE__PASSWORD_FILE to a file that holds it"
    )]
    Password,
    /// An `sslmode` that encrypts without checking the certificate.
    #[error(
        "must have sslmode=verify-full (TLS with a certificate that is checked; require and verify-ca mean the same here) or \
         sslmode=disable (no TLS)"
    )]
    Encryption,
    /// libpq's parameter for the authority's certificate.
    #[error("must not have sslrootcert: name the certificate of your own authority in store.ca")]
    Authority,
}

impl Address {
    pub(crate) fn config(&self, password: Option<&str>) -> tokio_postgres::Config {
        let mut config = self.0.config.clone();
        config.application_name("tandem").connect_timeout(CONNECT_WITHIN);
        config.keepalives_idle(GONE_AFTER).keepalives_interval(Duration::from_secs(2)).keepalives_retries(3);
        config.tcp_user_timeout(GONE_AFTER);
        if let Some(password) = password {
            config.password(password);
        }
        config
    }

    /// Whether connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.config.get_ssl_mode() == SslMode::Require
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(InvalidAddress::Form);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut rest) = (None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", _)) => return Err(InvalidAddress::Authority),
                Some(("password", _)) => return Err(InvalidAddress::Password),
                _ => rest.push(pair),
            }
        }
        let parsed = format!("{base}?{}", rest.join("&")).parse();
        let mut config: tokio_postgres::Config = parsed.map_err(|_| InvalidAddress::Form)?;
        if config.get_password().is_some() {
            return Err(InvalidAddress::Password);
        }
        let is_complete = config.get_user().is_some_and(|user| !user.is_empty())
            && config.get_dbname().is_some_and(|name| !name.is_empty())
            && !config.get_hosts().is_empty();
        if !is_complete {
            return Err(InvalidAddress::Form);
        }
        config.ssl_mode(match mode {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some(_) => return Err(InvalidAddress::Encryption),
            None if is_on_this_machine(&config) => SslMode::Disable,
            None => SslMode::Require,
        });
        Ok(Self(Arc::new(AddressParts { text: text.to_owned(), config })))
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

/// Whether all connections stay on this machine. `hostaddr` takes precedence over the host's name.
fn is_on_this_machine(config: &tokio_postgres::Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
    };
    config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.text.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, bool), InvalidAddress> {
        text.parse::<Address>().map(|address| (address.to_string(), address.is_encrypted()))
    }

    #[test]
    fn a_network_is_encrypted_unless_the_address_says_otherwise() {
        let at = |host: &str| format!("postgres://tandem@{host}/tandem");
        for (host, mode, encrypted) in [
            ("db.example", "", true),
            ("10.0.0.7:5433", "", true),
            ("127.0.0.1", "", false),
            ("localhost:5433", "", false),
            ("[::1]:5433", "", false),
            ("%2Frun%2Fpostgresql", "", false),
            ("localhost,db.example", "", true),
            ("localhost", "?host=db.example", true),
            ("localhost", "?hostaddr=192.0.2.2", true),
            ("localhost", "?host%61ddr=192.0.2.2", true),
            ("localhost", "?hostaddr=127.0.0.1", false),
            ("db.example", "?hostaddr=127.0.0.1", true),
            ("db.example", "?sslmode=disable", false),
            ("db.example", "?sslmode=require", true),
            ("localhost", "?target_session_attrs=read-write&sslmode=verify-full", true),
        ] {
            assert_eq!(read(&format!("{}{mode}", at(host))), Ok((at(host), encrypted)), "{host}{mode}");
        }
    }

    #[test]
    fn an_invalid_address_is_refused_and_not_shown() {
        for (text, refused) in [
            ("", InvalidAddress::Form),
            ("sled:data", InvalidAddress::Form),
            ("postgres://", InvalidAddress::Form),
            ("postgres://db.example/tandem", InvalidAddress::Form),
            ("postgres://tandem@db.example", InvalidAddress::Form),
            ("postgres://tandem@db.example/tandem?no_such=1", InvalidAddress::Form),
            ("postgres://tandem:hunter2@db.example/tandem", InvalidAddress::Password),
            ("postgres://tandem@db.example/tandem?password=hunter2", InvalidAddress::Password),
            ("postgres://tandem@db.example/tandem?sslmode=prefer", InvalidAddress::Encryption),
            ("postgres://tandem@db.example/tandem?sslrootcert=/ca.pem", InvalidAddress::Authority),
        ] {
            assert_eq!(read(text), Err(refused), "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
