//! Hands over channels that are not stored, so that a planned restart loses nothing. A graceful stop writes their
//! logs and members to a file, and the next start reads it. Only the owner can read the file. It is used once, and
//! ignored if it is damaged or so old that no client could continue from it.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use super::Endpoint;
use crate::{persist::Handover, time::Timestamp};

/// The approximate limit of the file's size.
const MOST: usize = 64 << 20;

impl Endpoint {
    /// Writes the file, encrypted by `encrypt`. Called after the last publish.
    pub fn hand_over(&self, file: &Path, encrypt: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let now = self.services.now();
        let mut handover = Handover::new(&self.main.app, now.as_millis());
        let window = self.services.config.continuity;
        let channels = self.main.unstored();
        let omitted = channels
            .iter()
            .inspect(|channel| channel.prune(now, window))
            .filter(|channel| !handover.add(channel, MOST))
            .count();
        if omitted > 0 {
            tracing::warn!(
                channels = omitted,
                "some channels start empty after the restart, because there are too many"
            );
        }
        if let Err(error) = write(file, &encrypt(handover.encode())) {
            tracing::warn!(file = %file.display(), %error, "channels that are not stored start empty after the restart");
        }
    }

    /// Reads the file of an earlier process, restores its channels, and deletes it. `decrypt` gives `None` for a
    /// damaged file. Called before the first connection.
    pub fn take_over(&self, file: &Path, decrypt: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        let bytes = match take(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                return tracing::warn!(file = %file.display(), %error, "the handover file cannot be read");
            }
        };
        let Some(handover) = decrypt(bytes).and_then(|bytes| Handover::decode(&bytes, &self.main.app)) else {
            return tracing::warn!(file = %file.display(), "the handover file is damaged, or of another key, and was ignored");
        };
        let config = &self.services.config;
        let age = self.services.now().since(Timestamp::from_millis(handover.at));
        if age > config.continuity.max(config.connection_state_ttl) {
            return tracing::info!("the handover file is too old and was ignored");
        }
        for kept in handover.channels(&self.services.log_limits()) {
            self.main.take_over(kept.name, kept.log, kept.members);
        }
    }
}

/// Writes the whole file or nothing, readable only by its owner.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = file.with_extension("unfinished");
    let mut open = OpenOptions::new();
    let mut output: File = open.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    output.set_permissions(Permissions::from_mode(0o600))?;
    output.write_all(bytes)?;
    output.sync_all()?;
    fs::rename(unfinished, file)
}

/// Reads the file and deletes it, even if it is damaged.
fn take(file: &Path) -> io::Result<Vec<u8>> {
    let input = File::open(file)?;
    fs::remove_file(file)?;
    let mut bytes = Vec::new();
    input.take(2 * MOST as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
