//! Directories and whole files that only this user can read, and that survive a power cut.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::Disk;

/// Makes a directory for this user alone, with those above it that are missing. Each new name survives a power cut,
/// also one that a killed process has left.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        sync_names_beside(directory)?;
    }
    if !path.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    match sync_names_beside(path) {
        // Who may not read the directory above has not made this one.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Makes the names in the directory above durable.
fn sync_names_beside(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// The name of a file that is being written.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    path.with_file_name(name)
}

/// A file for this user alone.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a whole file. A file of this name stays until the new one is complete on the disk. The caller syncs the
/// directory. Returns the length.
pub(crate) fn place_file(
    disk: &dyn Disk,
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<u64> {
    let length = write_unfinished(disk, path, fill)?;
    fs::rename(unfinished(path), path)?;
    Ok(length)
}

/// Writes the file beside its place, durably.
fn write_unfinished(disk: &dyn Disk, path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<u64> {
    let temporary = unfinished(path);
    let mut file = create_file(&temporary)?;
    fill(&mut file)?;
    disk.sync_path(&temporary)?;
    Ok(file.metadata()?.len())
}

/// Writes files of one directory durably, all with the same content. If there is no room for one of them, none has
/// changed.
pub(crate) fn replace_files_on(disk: &dyn Disk, directory: &Path, names: &[&str], content: &[u8]) -> io::Result<()> {
    let paths: Vec<_> = names.iter().map(|name| directory.join(name)).collect();
    for path in &paths {
        if let Err(error) = write_unfinished(disk, path, |file| file.write_all(content)) {
            // Removed because there is no room. Those that stay are written over the next time.
            let _removed = paths.iter().map(|path| fs::remove_file(unfinished(path))).collect::<Vec<_>>();
            return Err(error);
        }
    }
    paths.iter().try_for_each(|path| fs::rename(unfinished(path), path))?;
    disk.sync_path(directory)
}

/// As [`place_file`], durably.
pub(crate) fn replace_file_on(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    place_file(disk, path, |file| file.write_all(content))?;
    disk.sync_path(path.parent().unwrap_or(Path::new(".")))
}

/// Writes a whole file durably, for this user alone. A file of this name stays until the new one is complete.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_file_on(&crate::RealDisk, path, content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_is_made_with_those_above_it() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("one/two/three");
        create_directory(&path).expect("made");
        create_directory(&path).expect("there");
        assert!(path.ancestors().take(3).all(|part| mode(part) == 0o700));
        fs::write(place.path().join("file"), "").expect("a file");
        create_directory(&place.path().join("file")).expect_err("no directory");
        create_directory(&place.path().join("file/below")).expect_err("no directory");
    }
}
