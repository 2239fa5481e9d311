//! Gives tests what fuzzing has found to be worth keeping: the files in `tests/fuzz/corpus`. So the tests of the normal
//! run do with them what the fuzz targets do.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// Passes each file of a target's corpus to what the target calls.
///
/// # Panics
/// If that panics, and if there is no corpus. The message names the file.
pub fn replay(target: &str, exercise: impl Fn(&[u8])) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let outcome = catch_unwind(AssertUnwindSafe(|| exercise(&bytes)));
        assert!(outcome.is_ok(), "{} fails: what it says is above", file.display());
    }
}
