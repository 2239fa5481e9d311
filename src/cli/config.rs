//! `tandem config init` and `tandem config show`.

use std::{fs, io, io::Write};

use super::{CommandResult, Failure, output::print};
use crate::config::{self, Sources};

/// Writes `config.toml` with every setting as a comment, so that later defaults reach this node.
pub fn init(sources: &Sources) -> CommandResult {
    let file = sources.file.clone().unwrap_or_else(|| sources.own_file());
    let failed = |problem: io::Error| match problem.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format_args!(
            "{}: is there already, and is not overwritten; --config names another file",
            file.display()
        )),
        _ => Failure::new(format_args!("{}: cannot be written: {problem}", file.display())),
    };
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        crate::store::create_directory(directory).map_err(failed)?;
    }
    let mut made = fs::File::create_new(&file).map_err(failed)?;
    made.write_all(config::template().as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
    Ok(print(format_args!("wrote {}", file.display()))?)
}

pub fn show(sources: &Sources) -> CommandResult {
    for setting in config::effective(sources)? {
        print(setting)?;
    }
    Ok(())
}
