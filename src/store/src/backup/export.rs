//! All rows as lines of JSON, between engines and versions.
//!
//! ```text
//! {"tandem":"export","version":1,"schema":4,"position":17,"createdAt":"2026-01-31T12:00:00.000Z"}
//! {"key":"s…","value":{…}}          a row whose value is MessagePack, as JSON
//! {"key":"e…%00%00…","raw":"…"}     any other row, in base64
//! {"rows":2,"sha256":"…"}           the SHA-256 of all earlier lines
//! ```
//!
//! In a key, `%` and each byte that is not a printable ASCII character are written as `%` and two hexadecimal digits.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use tandem_actors::{domain::time::Timestamp, keys::Key};

use super::{BackupError, RestoreProgress, plan::RestorePlan, rows::each_page, value::OrderedValue};
use crate::{
    Location, Options, StoreOpenError,
    digests::has_no_digest,
    new_store::{fill_page, make_filled},
    own_rows::SCHEMA,
    rows::{PAGE, Rows},
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    tandem: String,
    version: u32,
    schema: u32,
    position: u64,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ExportedRow {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    value: Option<OrderedValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
}

/// JSON's null is a value. `None` means that the field is absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OrderedValue>, D::Error> {
    OrderedValue::deserialize(deserializer).map(Some)
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Trailer {
    rows: u64,
    sha256: String,
}

/// Why a file is not imported.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum ImportError {
    #[error("import: {}, line {line}: {problem}", .file.display())]
    Line { file: std::path::PathBuf, line: u64, problem: String },
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Store(#[from] StoreOpenError),
}

impl RestorePlan {
    /// Writes all rows as lines of JSON. Returns how many there are.
    ///
    /// # Errors
    /// If the backup cannot be read, or `out` cannot be written.
    pub fn export(
        &self,
        options: &Options,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(RestoreProgress),
    ) -> Result<u64, BackupError> {
        let coding = self.row_coding(options)?;
        let (mut sum, mut rows) = (Sha256::new(), 0);
        let failed = |source: io::Error| BackupError::at("write", Path::new("the export"))(source);
        let mut put = |line: Vec<u8>| {
            sum.update(&line);
            sum.update(b"\n");
            out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(failed)
        };
        put(line(&Header {
            tandem: "export".into(),
            version: VERSION,
            schema: SCHEMA,
            position: self.position,
            created_at: self.manifest.created_at,
        }))?;
        each_page(self, &coding, |page| {
            for (key, value) in page {
                put(line(&ExportedRow::of(&key, &value)))?;
                rows += 1;
            }
            progress(RestoreProgress { is_verifying: false, rows, total: self.manifest.rows });
            Ok(())
        })?;
        let trailer = line(&Trailer { rows, sha256: HEXLOWER.encode(&sum.finalize()) });
        out.write_all(&trailer).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
        Ok(rows)
    }
}

pub(super) fn line(of: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(of).expect("its fields have forms in JSON")
}

impl ExportedRow {
    pub fn of(key: &Key, value: &Bytes) -> Self {
        let known = OrderedValue::of_messagepack(value);
        let raw = known.is_none().then(|| STANDARD.encode(value));
        Self { key: encoded(key), value: known, raw }
    }

    pub fn read(self) -> Option<(Key, Bytes)> {
        let value = match (self.value, self.raw) {
            (Some(value), None) => value.to_messagepack()?,
            (None, Some(raw)) => STANDARD.decode(raw).ok()?,
            _ => return None,
        };
        Some((decoded(&self.key)?, value.into()))
    }
}

fn encoded(key: &Key) -> String {
    let text = |byte: &u8| match byte {
        b'%' => "%25".to_owned(),
        0x20..0x7f => char::from(*byte).to_string(),
        other => format!("%{other:02x}"),
    };
    key.as_bytes().iter().map(text).collect()
}

fn decoded(text: &str) -> Option<Key> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        (bytes, rest) = if *first == b'%' {
            bytes.extend(HEXLOWER_PERMISSIVE.decode(behind.get(..2)?).ok()?);
            (bytes, &behind[2..])
        } else {
            bytes.push(*first);
            (bytes, behind)
        };
    }
    Some(Key::from_bytes(bytes))
}

/// Makes a store at `to` from an export. There must be no store at `to`. The whole file is read and checked before
/// anything is written.
///
/// # Errors
/// The first invalid line, or the reason why the store cannot be made.
pub fn import(
    file: &Path,
    to: &Location,
    options: &Options,
    progress: &mut dyn FnMut(RestoreProgress),
) -> Result<u64, ImportError> {
    let total = check(file, progress)?;
    make_filled(to, options, |target| fill(file, target, total, progress))?;
    Ok(total)
}

/// Reads and checks the whole file. Returns the number of rows.
pub(super) fn check(file: &Path, progress: &mut dyn FnMut(RestoreProgress)) -> Result<u64, ImportError> {
    each_row(file, |_, _, rows| {
        progress(RestoreProgress { is_verifying: true, rows, total: 0 });
        Ok(())
    })
}

/// Writes all rows of the file into a new store. They all have seals, and the store does not say so yet.
pub(super) fn fill(
    file: &Path,
    target: &dyn Rows,
    total: u64,
    progress: &mut dyn FnMut(RestoreProgress),
) -> Result<(), ImportError> {
    let mut page = Vec::with_capacity(PAGE);
    let fill = |page| fill_page(target, page).map_err(BackupError::from);
    each_row(file, |key, value, rows| {
        page.push((key, value));
        if page.len() >= PAGE {
            fill(std::mem::take(&mut page))?;
            progress(RestoreProgress { is_verifying: false, rows, total });
        }
        Ok(())
    })?;
    Ok(fill(page)?)
}

/// Passes each row to `take`, with the number of rows so far. Returns the number of rows.
fn each_row(file: &Path, mut take: impl FnMut(Key, Bytes, u64) -> Result<(), ImportError>) -> Result<u64, ImportError> {
    let wrong = |line: u64, problem: &str| ImportError::Line { file: file.to_owned(), line, problem: problem.into() };
    let opened = File::open(file).map_err(BackupError::at("read", file))?;
    let (mut sum, mut rows, mut last): (_, u64, Option<Key>) = (Sha256::new(), 0, None);
    let mut lines = BufReader::new(opened).split(b'\n');
    let first = lines.next().transpose().map_err(BackupError::at("read", file))?.unwrap_or_default();
    let header: Header =
        serde_json::from_slice(&first).map_err(|_| wrong(1, "it must be the header that `tandem export` writes"))?;
    if header.tandem != "export" || header.version != VERSION {
        return Err(wrong(1, &format!("it must be an export of version {VERSION}")));
    }
    if header.schema > SCHEMA {
        return Err(wrong(
            1,
            &format!("its schema is {}, this program knows {SCHEMA}: use a later version", header.schema),
        ));
    }
    let digest = |sum: &mut Sha256, line: &[u8]| {
        sum.update(line);
        sum.update(b"\n");
    };
    digest(&mut sum, &first);
    for (number, line) in (2..).zip(lines) {
        let line = line.map_err(BackupError::at("read", file))?;
        if let Ok(trailer) = serde_json::from_slice::<Trailer>(&line) {
            let found = Trailer { rows, sha256: HEXLOWER.encode(&sum.finalize()) };
            let problem = "the lines before are not those that were exported: one is missing or changed";
            return if trailer == found { Ok(rows) } else { Err(wrong(number, problem)) };
        }
        let row: ExportedRow = serde_json::from_slice(&line)
            .map_err(|_| wrong(number, "it must be a row, as {\"key\":…,\"value\":…}, or the last line"))?;
        let (key, value) = row.read().ok_or_else(|| {
            wrong(number, "a key has hexadecimal digits behind each %, and a row has a value or raw, which is base64")
        })?;
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(wrong(number, "keys must ascend"));
        }
        if has_no_digest(&key) || !crate::rows::is_allowed(&key) {
            return Err(wrong(number, "the key belongs to the store itself"));
        }
        last = Some(key.clone());
        digest(&mut sum, &line);
        rows += 1;
        take(key, value, rows)?;
    }
    Err(wrong(rows + 2, "the last line is missing: the file was cut off"))
}
