//! Output of commands on stdout.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// Writes a line. A closed pipe (`tandem check | head -1`) is not an error; a full disk is.
pub fn print(line: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("stdout cannot be written: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes the line that says where a server listens, without waiting for a reader.
pub fn announce(line: String) {
    let told = move || {
        if let Err(error) = print(&line) {
            tracing::warn!(%error, %line, "stdout cannot be written");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("stdout".into()).spawn(told) {
        tracing::warn!(%error, "the thread that writes to stdout cannot be started");
    }
}
