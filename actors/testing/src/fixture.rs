//! Directories that an earlier version wrote, kept in the repository with each file compressed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// Files that the next start makes anew.
const LEFT_OUT: [&str; 2] = ["lock", "spare"];

fn entries(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let named =
        |entry: io::Result<fs::DirEntry>| entry.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path()));
    fs::read_dir(directory)?.map(named).collect()
}

/// Writes the compressed files of a directory.
///
/// # Errors
/// If a file cannot be read or written.
pub fn pack(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for (name, path) in entries(from)? {
        if path.is_dir() {
            pack(&path, &to.join(name))?;
        } else if !LEFT_OUT.contains(&name.as_str()) {
            let mut packed = GzEncoder::new(File::create(to.join(format!("{name}.gz")))?, Compression::best());
            io::copy(&mut File::open(path)?, &mut packed)?;
            packed.finish()?;
        }
    }
    Ok(())
}

/// Writes the files of a directory that [`pack`] has made.
///
/// # Errors
/// If a file cannot be read or written.
pub fn unpack(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for (name, path) in entries(from)? {
        match name.strip_suffix(".gz") {
            None => unpack(&path, &to.join(name))?,
            Some(name) => {
                io::copy(&mut GzDecoder::new(File::open(path)?), &mut File::create(to.join(name))?)?;
            }
        }
    }
    // git keeps no empty directories.
    if to.ends_with("sled") {
        fs::create_dir_all(to.join("blobs"))?;
    }
    Ok(())
}
