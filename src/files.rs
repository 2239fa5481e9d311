//! The files of a node are readable only by its own user, because they hold private text and secrets.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

/// Makes new files readable only by this user, and switches core dumps off.
pub fn keep_to_this_user() {
    umask(Mode::RWXG | Mode::RWXO);
    // There is nothing to do about a failure of either.
    let _limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // The limit alone does not stop a kernel that pipes core dumps to a program.
    #[cfg(target_os = "linux")]
    let _off = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Lets other users read new files, for those that hold nothing private.
pub fn share_with_all_users() {
    umask(Mode::WGRP | Mode::WOTH);
}

/// Names in a data directory: those that a node makes, and those that an operator puts there.
const DATA: &[&str] = &[
    "auth.secret",
    "realtime.key",
    "realtime.handover",
    "operator.json",
    "config.toml",
    "acme",
    "store",
    "store.made",
];
/// Names in a store's directory.
const STORE: &[&str] = &[
    "lock",
    "engine",
    "engine.unfinished",
    "keys",
    "keys.unfinished",
    "keys.copy",
    "keys.copy.unfinished",
    "acknowledged",
    "cluster",
    "cluster.unfinished",
    "digests",
    "digests.unfinished",
    "archived",
    "archived.unfinished",
    "copying",
    "spare",
    "sled",
    "sled.2",
    "sled.unfinished",
    "redb",
    "redb.2",
    "redb.unfinished",
    "journal",
];
/// What `tandem store repair` leaves beside the store.
const DAMAGED: &str = "store.damaged-";

/// Removes other users' rights from a node's files, which an earlier version or a copy may have left open. It leaves
/// alone links, and data directories that hold anything else, as `/tmp` would.
pub fn restrict_modes(data: &Path, store: &Path) {
    for (directory, names) in [(data, DATA), (store, STORE)] {
        if let Err(error) = restrict_directory(directory, names) {
            tracing::warn!(path = %directory.display(), %error, "the permissions of this directory are unknown");
        }
    }
}

fn restrict_directory(directory: &Path, names: &[&str]) -> io::Result<()> {
    let mut all_known = true;
    let entries = match directory.read_dir() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_damaged_store = name.to_str().is_some_and(|name| name.starts_with(DAMAGED));
        if !is_damaged_store && !names.iter().any(|known| name == *known) {
            all_known = false;
        } else if entry.file_type()?.is_file() {
            restrict(&entry.path());
        } else if entry.file_type()?.is_dir() && entry.file_name() != "store" {
            restrict_tree(&entry.path())?;
        }
    }
    if all_known {
        restrict(directory);
    }
    Ok(())
}

fn restrict_tree(directory: &Path) -> io::Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            restrict_tree(&entry.path())?;
        } else if kind.is_file() {
            restrict(&entry.path());
        }
    }
    restrict(directory);
    Ok(())
}

fn restrict(path: &Path) {
    let Ok(mode) = fs::metadata(path).map(|file| file.permissions().mode()) else { return };
    if mode & 0o077 == 0 {
        return;
    }
    match fs::set_permissions(path, Permissions::from_mode(mode & 0o700)) {
        Ok(()) => tracing::info!(path = %path.display(), "the permissions of other users were removed"),
        Err(error) => tracing::warn!(path = %path.display(), %error, "other users may be able to read this: chmod it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    fn open_to_all(path: &Path) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn other_users_lose_their_rights_on_a_nodes_files() {
        let place = tempfile::tempdir().expect("a directory");
        let data = place.path().join("data");
        let store = data.join("store");
        let sled = store.join("sled");
        fs::create_dir_all(sled.join("blobs")).expect("directories");
        let files = [data.join("auth.secret"), store.join("lock"), sled.join("db")];
        files.iter().for_each(|file| fs::write(file, "").expect("a file"));
        let all = || files.iter().chain([&data, &store, &sled]);
        all().for_each(|path| open_to_all(path));
        restrict_modes(&data, &store);
        assert!(all().all(|path| mode(path) & 0o077 == 0));
    }

    #[test]
    fn files_that_are_not_a_nodes_own_stay_as_they_are() {
        let place = tempfile::tempdir().expect("a directory");
        let others = place.path().join("somebody's");
        fs::write(&others, "").expect("a file");
        [place.path(), &others].into_iter().for_each(open_to_all);
        restrict_modes(place.path(), &place.path().join("store"));
        assert_eq!((mode(place.path()), mode(&others)), (0o755, 0o644));
    }
}
