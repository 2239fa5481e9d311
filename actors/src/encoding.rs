//! Values as bytes. They are encoded into a buffer that the thread keeps, and copied from there, because a buffer that
//! grows with each value takes longer.

use std::cell::Cell;

use bytes::Bytes;
use serde::Serialize;

/// A buffer that has grown beyond this is not kept.
const KEPT: usize = 16 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The value as JSON.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<Bytes> {
    encode(|buffer| serde_json::to_writer(buffer, value))
}

/// The value as MessagePack, with names of fields.
pub(crate) fn messagepack(value: &impl Serialize) -> Result<Bytes, rmp_serde::encode::Error> {
    encode(|buffer| rmp_serde::encode::write_named(buffer, value))
}

fn encode<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
    // A value that encodes another one while it is encoded gets a new buffer for it.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let written = write(&mut buffer);
    let bytes = written.map(|()| Bytes::copy_from_slice(&buffer));
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_an_earlier_value_is_left() {
        let long = "long".repeat(KEPT);
        for value in [json!({ "a": "longer" }), json!({ "a": 1 }), json!(long), json!([])] {
            assert_eq!(json(&value).expect("JSON"), serde_json::to_vec(&value).expect("JSON"));
            assert_eq!(
                messagepack(&value).expect("MessagePack"),
                rmp_serde::to_vec_named(&value).expect("MessagePack")
            );
        }
        assert!(BUFFER.take().capacity() <= KEPT);
    }

    #[test]
    fn a_value_that_encodes_another_one_is_whole() {
        struct Outer;
        impl Serialize for Outer {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let inner = json(&"inner").expect("JSON");
                (1, std::str::from_utf8(&inner).expect("text")).serialize(serializer)
            }
        }
        assert_eq!(json(&Outer).expect("JSON"), r#"[1,"\"inner\""]"#);
    }
}
