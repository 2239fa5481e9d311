//! Secrets that a node generates at its first start, in files of its data directory that only its user can read. If two
//! processes generate one at the same moment, both get the same.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{config::Settings, realtime::ApiKey, secret::Secret, store::SecretFile};

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("secret {}: cannot be {doing}: {source}: the data directory must be writable by this user", .path.display())]
    File { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("secret {}: must hold {expected}: put one there, or remove the file to have one made", .path.display())]
    Malformed { path: PathBuf, expected: &'static str },
    #[error(
        "there is no {AUTH_SECRET} in {data}: no node has run there; start one with `tandem serve --data {data}`, or name the \
         directory of one with --data", data = .data.display()
    )]
    Absent { data: PathBuf },
}

const AUTH_SECRET: &str = "auth.secret";
const REALTIME_KEY: &str = "realtime.key";

/// The files of secrets that a data directory may hold.
pub const FILES: [&str; 2] = [AUTH_SECRET, REALTIME_KEY];

/// The files of a data directory that a backup of the store takes along.
pub fn files_of(data: &Path) -> Vec<SecretFile> {
    let names = FILES.into_iter().chain(["config.toml", "realtime.handover"]);
    names.map(|name| SecretFile { name, path: data.join(name) }).collect()
}

/// The secret of `HS256` tokens: the configured one, or `auth.secret`. `None` if tokens come from an issuer alone
/// (`auth.jwks_url` without `auth.hs256_secret`).
pub fn token_secret(settings: &Settings) -> Result<Option<Secret>, SecretError> {
    match (&settings.auth.hs256_secret, &settings.auth.jwks_url) {
        (Some(secret), _) => Ok(Some(secret.clone())),
        (None, Some(_)) => Ok(None),
        (None, None) => file(&settings.data, AUTH_SECRET, random).map(|text| Some(Secret::new(text))),
    }
}

/// Like [`token_secret`], for a node that has run before: generates nothing.
pub fn existing_token_secret(settings: &Settings) -> Result<Option<Secret>, SecretError> {
    let generated = settings.auth.hs256_secret.is_none() && settings.auth.jwks_url.is_none();
    if generated && !settings.data.join(AUTH_SECRET).exists() {
        return Err(SecretError::Absent { data: settings.data.clone() });
    }
    token_secret(settings)
}

/// The embedded endpoint's key in `realtime.key`, if none is configured.
pub fn realtime_key(settings: &Settings) -> Result<Option<ApiKey>, SecretError> {
    if !settings.realtime.embedded.keys.is_empty() {
        return Ok(None);
    }
    let text = file(&settings.data, REALTIME_KEY, || format!("tandem.{}:{}", &random()[..8], random()))?;
    let malformed =
        |_| SecretError::Malformed { path: settings.data.join(REALTIME_KEY), expected: "one line, app.key:secret" };
    ApiKey::parse(&text).map(Some).map_err(malformed)
}

/// 32 random bytes, base64url.
fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The content of the file. A missing file is made.
fn file(data: &Path, name: &str, make: impl FnOnce() -> String) -> Result<String, SecretError> {
    let path = data.join(name);
    let failed = |doing| {
        let path = path.clone();
        move |source| SecretError::File { path, doing, source }
    };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(data, &path, &make()).map_err(failed("made"))?;
            tracing::info!(file = %path.display(), "made a secret");
            fs::read_to_string(&path).map_err(failed("read"))?
        }
        read => read.map_err(failed("read"))?,
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(SecretError::Malformed { path, expected: "one line with a secret" });
    }
    if fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(file = %path.display(), "other users can read this secret: chmod 600 it");
    }
    Ok(text.to_owned())
}

/// Makes the file atomically: it is written under another name, synced, and renamed, unless another process was faster.
fn create(data: &Path, path: &Path, text: &str) -> io::Result<()> {
    crate::store::create_directory(data)?;
    let mut unfinished =
        tempfile::Builder::new().prefix(".secret.").permissions(fs::Permissions::from_mode(0o600)).tempfile_in(data)?;
    unfinished.write_all(text.as_bytes())?;
    unfinished.write_all(b"\n")?;
    unfinished.as_file().sync_all()?;
    match unfinished.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
        _ => {}
    }
    fs::File::open(data)?.sync_all()
}

/// Copies the secrets of one data directory into another, without overwriting. Returns the copied names.
pub fn copy(from: &Path, to: &Path) -> Result<Vec<&'static str>, SecretError> {
    let mut copied = Vec::new();
    for name in FILES {
        let failed = |path: &Path, doing| {
            let path = path.to_owned();
            move |source| SecretError::File { path, doing, source }
        };
        let (source, target) = (from.join(name), to.join(name));
        match fs::read_to_string(&source) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            text => {
                let text = text.map_err(failed(&source, "read"))?;
                if !target.exists() {
                    create(to, &target, text.trim_end()).map_err(failed(&target, "made"))?;
                    copied.push(name);
                }
            }
        }
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    fn settings(data: &Path) -> Settings {
        Settings { data: data.to_owned(), ..Settings::default() }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_made_once_and_only_for_this_user() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings(&directory.path().join("data"));
        let secret = token_secret(&settings).expect("made").expect("there");
        assert_eq!(URL_SAFE_NO_PAD.decode(secret.reveal()).expect("base64url").len(), 32);
        assert_eq!(mode(&settings.data.join("auth.secret")), 0o600);
        assert_eq!(token_secret(&settings).expect("read"), Some(secret));

        let key = realtime_key(&settings).expect("made").expect("there");
        assert!(key.name.starts_with("tandem.") && !key.name.contains(':'));
        assert_eq!(mode(&settings.data.join("realtime.key")), 0o600);
        assert_eq!(realtime_key(&settings).expect("read"), Some(key));
        assert_eq!(settings.data.read_dir().expect("a directory").count(), 2, "nothing unfinished stays");
    }

    #[test]
    fn processes_that_make_a_secret_at_once_get_the_same() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().expect("a directory");
            let settings = settings(directory.path());
            let secrets: HashSet<String> = thread::scope(|scope| {
                let make = || token_secret(&settings).expect("made").expect("there").reveal().to_owned();
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert_eq!(secrets.len(), 1);
        }
    }

    #[test]
    fn with_a_configured_secret_nothing_is_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = settings(directory.path());
        settings.auth.jwks_url = Some("https://issuer.example/jwks".into());
        assert_eq!(token_secret(&settings).expect("no error"), None);
        settings.auth.hs256_secret = Some(Secret::new("configured"));
        assert_eq!(token_secret(&settings).expect("no error"), Some(Secret::new("configured")));
        assert_eq!(directory.path().read_dir().expect("a directory").count(), 0);
    }

    #[test]
    fn a_broken_secret_is_refused_and_not_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings(directory.path());
        fs::write(directory.path().join("auth.secret"), "\n").expect("written");
        fs::write(directory.path().join("realtime.key"), "no colon").expect("written");
        token_secret(&settings).expect_err("empty");
        let error = realtime_key(&settings).expect_err("no key").to_string();
        assert!(!error.contains("no colon"), "{error}");
    }
}
