//! What the shell and `man` need: completions and manual pages.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, CommandResult, Failure, output::print};

pub fn completions(shell: Shell) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut script);
    Ok(print(String::from_utf8_lossy(&script).trim_end())?)
}

/// A page for the program and one for each of its commands, in a directory that is made if it is missing.
pub fn manual(directory: &Path) -> CommandResult {
    let failed = |problem| Failure::new(format_args!("{}: cannot be written: {problem}", directory.display()));
    crate::files::share_with_all_users();
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
    Ok(print(format_args!("wrote manual pages into {}", directory.display()))?)
}
