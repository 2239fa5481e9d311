//! The process's limit of open files. Each connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files for the store, the log and outgoing connections, and for connections that are being accepted or closed.
const OTHERS: u64 = 256;

/// Raises the process's limit as far as the system allows. Returns how many of the `wanted` connections fit.
pub fn connections_that_fit(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let needed = (wanted as u64).saturating_add(OTHERS);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        let asked = rustix::process::Rlimit { current: Some(raised), ..limit };
        if setrlimit(Resource::Nofile, asked).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let fit = limit.current.map_or(wanted, |files| fitting(files, wanted));
    if fit < wanted {
        tracing::warn!(
            connections = fit,
            wanted,
            "the process may open too few files for limits.connections; raise its limit (ulimit -n, LimitNOFILE)"
        );
    }
    fit
}

fn fitting(files: u64, wanted: usize) -> usize {
    let for_others = OTHERS.min(files / 2);
    usize::try_from(files - for_others).map_or(wanted, |free| free.min(wanted)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(fitting(128, 16_384), 64);
        assert_eq!(fitting(1_024, 16_384), 768);
        assert_eq!(fitting(1_048_576, 16_384), 16_384);
        assert_eq!(fitting(0, 16_384), 1);
    }
}
