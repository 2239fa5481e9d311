//! `tandem store dump`: every row of a stopped node as a line of JSON. Texts of people are left out unless they are
//! requested.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use tandem_actors::{
    keys::{self, Key},
    ports::StoreError,
};

use super::{
    Location, Options, Place, StoreOpenError,
    directory::Directory,
    names::record,
    row_check::seals_of,
    rows::{Rows, Strictness, in_pages},
};

/// Why the rows were not printed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum DumpError {
    #[error(transparent)]
    Open(#[from] StoreOpenError),
    #[error("reading {0}: {1}")]
    Read(Place, StoreError),
    #[error("writing: {0}")]
    Write(#[from] io::Error),
}

/// Prints all rows of the store, with private text if `words` is set. Returns the number of rows; `progress` gets the
/// number so far.
///
/// # Errors
/// If there is no store, or it cannot be read.
pub fn dump(
    place: &Place,
    options: &Options,
    words: bool,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, DumpError> {
    if let Place::Directory(location) = place {
        check_there(location)?;
    }
    let rows = place.rows(options, Strictness::Lenient)?;
    dump_rows(rows.as_ref(), place, words, out, progress)
}

/// Whether there is a store.
fn check_there(location: &Location) -> Result<(), StoreOpenError> {
    if Directory::holds_store(&location.path) {
        return Ok(());
    }
    Err(StoreOpenError::Absent { path: location.path.clone(), engine: location.engine })
}

/// Prints all rows, with private text if `words` is set. Returns the number of rows.
fn dump_rows(
    rows: &dyn Rows,
    place: &Place,
    words: bool,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, DumpError> {
    let read = |error| DumpError::Read(place.clone(), error);
    let seals = seals_of(rows).map_err(read)?;
    let mut count = 0;
    in_pages(rows, b"", read, |page| {
        for (key, stored) in page {
            let value = rows.row_coding().decode(&key, stored, seals).ok();
            serde_json::to_writer(&mut *out, &line(&key, value.as_deref(), words)).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            count += 1;
        }
        progress(count);
        Ok(())
    })?;
    Ok(count)
}

fn line(key: &Key, value: Option<&[u8]>, words: bool) -> Value {
    let mut line = Map::new();
    line.insert("record".into(), record(key).into());
    if words {
        // Keys hold ids of users.
        line.insert("key".into(), key.as_bytes().escape_ascii().to_string().into());
    }
    let Some(value) = value else {
        line.insert("damaged".into(), true.into());
        return line.into();
    };
    line.insert("bytes".into(), value.len().into());
    let is_plain = *key == keys::meta("schema") || !value.is_empty();
    if let Some(decoded) = decoded(value).filter(|_| is_plain) {
        line.insert("value".into(), if words { decoded } else { redacted(decoded) });
    }
    line.into()
}

/// Rows are MessagePack; some hold bytes of another kind.
fn decoded(value: &[u8]) -> Option<Value> {
    let mut rest = value;
    let decoded = rmp_serde::from_read(&mut rest).ok()?;
    rest.is_empty().then_some(decoded)
}

fn redacted(value: Value) -> Value {
    match value {
        Value::String(text) if is_id(&text) => text.into(),
        Value::String(text) => json!({ "characters": text.chars().count() }),
        Value::Array(values) if values.iter().all(Value::is_u64) && values.len() > 8 => {
            json!({ "items": values.len() })
        }
        Value::Array(values) => values.into_iter().map(redacted).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, redacted(value))).collect(),
        plain => plain,
    }
}

/// An id that Tandem has made.
fn is_id(text: &str) -> bool {
    text.len() == 25
        && text.starts_with('c')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_text_is_left_out_unless_it_is_requested() {
        let session = "cabcdefghijklmnopqrstuvwx".parse().expect("an id");
        let key = keys::event(&session, 3);
        let value = rmp_serde::to_vec_named(&json!({
            "type": "need_added", "need": "to be heard, for once", "by": "cabcdefghijklmnopqrstuvwx", "at": 17,
            "bytes": [1, 2, 3, 4, 5, 6, 7, 8, 9]
        }));
        let value = value.expect("encoded");
        let told = line(&key, Some(&value), false);
        assert_eq!(told["record"], "event 3 of session cabcdefghijklmnopqrstuvwx");
        assert_eq!((&told["value"]["at"], &told["value"]["by"]), (&json!(17), &json!("cabcdefghijklmnopqrstuvwx")));
        let told = told.to_string();
        assert!(!told.contains("heard") && !told.contains("\"key\"") && !told.contains("[1,"), "{told}");
        assert!(line(&key, Some(&value), true).to_string().contains("to be heard, for once"));
        assert_eq!(line(&key, None, true)["damaged"], true);
        assert_eq!(line(&key, Some(b"\xff plain"), true)["bytes"], 7);
    }
}
