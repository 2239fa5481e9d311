use bytes::Bytes;

use super::{
    chunks,
    export::{ExportedRow, line},
};

/// A chunk of rows, a line of an export, and a row that is exported. What is read comes back as it was.
///
/// # Panics
/// If that does not hold.
pub fn backup(bytes: &[u8]) {
    let chunk = Bytes::copy_from_slice(bytes);
    for (key, value) in chunks::rows(&chunk).into_iter().flatten() {
        let line = line(&ExportedRow::of(&key, &value));
        let read: ExportedRow = serde_json::from_slice(&line).expect("what is written can be read");
        assert_eq!(read.read(), Some((key, value)));
    }
    let Some((key, value)) = serde_json::from_slice::<ExportedRow>(bytes).ok().and_then(ExportedRow::read) else {
        return;
    };
    let read: ExportedRow =
        serde_json::from_slice(&line(&ExportedRow::of(&key, &value))).expect("what is written can be read");
    assert_eq!(read.read(), Some((key, value)));
}

#[cfg(test)]
mod tests {
    use tandem_actors::keys::Key;

    use super::*;

    #[test]
    fn a_row_of_any_value_and_key_comes_back_from_its_line() {
        for value in [&b"\xc0"[..], b"", b"\x81\xa1a\xc0", b"\x81\xa1a\x01", b"?"] {
            let (key, value) = (Key::from_bytes(*b"e\x00%+f"), Bytes::copy_from_slice(value));
            let read: ExportedRow = serde_json::from_slice(&line(&ExportedRow::of(&key, &value))).expect("a line");
            assert_eq!(read.read(), Some((key, value)));
        }
        let unescaped: ExportedRow = serde_json::from_str(r#"{"key":"%+f","raw":""}"#).expect("a line");
        assert_eq!(unescaped.read(), None, "a key that no export has");
    }
}
