//! Directories that only this user can read, and whose names survive a power cut.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

/// Makes a directory for this user alone, with those above it that are missing. Each new name survives a power cut.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    if path.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

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
