//! The two formats of all values: JSON in text frames, MessagePack in binary frames.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{ErrorInfo, lenient::MAX_ELEMENTS, surrogates};

/// The deepest nesting of a value. The JSON reader has its own limit of 128.
const MAX_DEPTH: usize = 96;

/// Most frames are smaller.
const USUAL_SIZE: usize = 512;

/// The encoding of frames and bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Text frames; `application/json`.
    Json,
    /// Binary frames; `application/x-msgpack`.
    Msgpack,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Msgpack => "application/x-msgpack",
        }
    }

    /// In a buffer of just its size.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Bytes {
        let encoded = match self {
            Format::Json => {
                let mut bytes = Vec::with_capacity(USUAL_SIZE);
                serde_json::to_writer(&mut bytes, value).map(|()| bytes).map_err(drop)
            }
            Format::Msgpack => {
                let mut bytes = Vec::with_capacity(USUAL_SIZE);
                let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
                value.serialize(&mut serializer).map(|()| bytes).map_err(drop)
            }
        };
        let bytes = encoded.expect("frames hold only maps with text keys, which both encodings can");
        // Copies the bytes into a buffer of their size, because logs keep them.
        Bytes::copy_from_slice(&bytes)
    }

    /// # Errors
    /// 40000 unless the bytes are one value of this type.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, ErrorInfo> {
        match self {
            Format::Json => serde_json::from_slice(bytes).or_else(|_| {
                let repaired = surrogates::repaired(bytes).and_then(|repaired| serde_json::from_slice(&repaired).ok());
                repaired.ok_or_else(|| unreadable("JSON"))
            }),
            Format::Msgpack => {
                let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
                deserializer.set_max_depth(MAX_DEPTH);
                T::deserialize(&mut deserializer).map_err(|_| unreadable("MessagePack"))
            }
        }
    }
}

/// The library's own error is left out: it quotes the input, which may be private.
fn unreadable(format: &str) -> ErrorInfo {
    ErrorInfo::bad_request(format!(
        "the body or frame is not the {format} expected here; lists may have at most {MAX_ELEMENTS} elements"
    ))
}
