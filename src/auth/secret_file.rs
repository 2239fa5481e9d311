//! A secret that the node makes for itself and keeps in its data directory.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use rand::{TryRngCore, rngs::OsRng};

use super::secret::Secret;

const BYTES: usize = 32;

/// Reads the secret in `path`, or makes one there that only the owner can read. What is returned is durable.
pub fn secret_file(path: &Path) -> io::Result<Secret> {
    match std::fs::read_to_string(path) {
        Ok(text) => match text.trim() {
            "" => {
                Err(io::Error::new(ErrorKind::InvalidData, "the file is empty; remove it to have a secret generated"))
            }
            secret => Ok(Secret::new(secret)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => generate(path),
        Err(error) => Err(error),
    }
}

fn generate(path: &Path) -> io::Result<Secret> {
    let mut random = [0; BYTES];
    OsRng.try_fill_bytes(&mut random).map_err(io::Error::other)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // Complete or not there: a half-written secret would be one that can be guessed.
    let draft = path.with_extension("new");
    drop(std::fs::remove_file(&draft));
    let mut file = owner_only().open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Another process may have been quicker: its secret stands.
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return secret_file(path),
        Err(error) => return Err(error),
    }
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(Secret::new(text))
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.secret");
        let made = secret_file(&path).unwrap();
        assert_eq!(made.reveal().len(), 64);
        assert_eq!(secret_file(&path).unwrap(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "a draft was left behind");
        let other = secret_file(&directory.path().join("operator.token")).unwrap();
        assert_ne!(other, made);
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(secret_file(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
