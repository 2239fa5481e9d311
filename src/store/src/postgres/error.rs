//! What the errors of PostgreSQL mean.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use super::{Address, PostgresError};

/// Why a statement or a connection failed, in the server's words, without data.
pub(super) fn reason_of(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return server.message().to_owned();
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Whether the same statement can succeed later: the server restarts, is a standby, or lacks a resource for the moment.
/// Nothing was written.
pub(super) fn is_transient(error: &tokio_postgres::Error) -> bool {
    const CLASSES: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
    error.code().is_some_and(|code| {
        *code == SqlState::READ_ONLY_SQL_TRANSACTION
            || code.code().get(..2).is_some_and(|class| CLASSES.contains(&class))
    })
}

/// The error of a failed connection.
pub(super) fn not_connected(address: &Address, error: tokio_postgres::Error) -> PostgresError {
    let (address, reason) = (address.clone(), reason_of(&error));
    let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
    let source = Some(error.into());
    match class.as_deref() {
        Some("28" | "3D" | "42") => PostgresError::NotAdmitted { address, reason, source },
        // The server has too many connections, in all or from this user.
        Some("53") => PostgresError::Failed { address, doing: "open another connection", reason, source },
        // The server asks for a password, and none is configured. tokio-postgres says this in its text only.
        None if reason.contains("password") => PostgresError::NotAdmitted { address, reason, source },
        _ => PostgresError::Unreachable { address, reason, source },
    }
}
