//! A message's data and its encodings. The server keeps binary data as bytes. Only JSON needs a last encoding step
//! `base64`, so each format can deliver what the other published. All other encodings are opaque.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::ErrorInfo;

/// Encodings up to this length do not count as data. Names of ciphers are long, and clients do not count them.
const MAX_ENCODING: usize = 256;

/// Data of a client. `Debug` omits it, because it may be private.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    Text(Box<str>),
    Binary(Bytes),
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Text(text) => write!(f, "<text, {} bytes>", text.len()),
            Data::Binary(bytes) => write!(f, "<binary, {} bytes>", bytes.len()),
        }
    }
}

/// Data in an incoming frame.
#[derive(Clone, Default, PartialEq)]
pub enum RawData {
    #[default]
    None,
    Text(String),
    Binary(Vec<u8>),
    /// An object or a list. It becomes text with the encoding `json`.
    Structured(Value),
    /// A number or a boolean, which is refused.
    Scalar,
}

impl fmt::Debug for RawData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<data>")
    }
}

/// Data with its encoding, in the stored form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub data: Option<Data>,
    pub encoding: Option<Box<str>>,
}

impl Payload {
    /// # Errors
    /// 40013 for numbers and booleans.
    pub fn accept(raw: RawData, encoding: Option<String>) -> Result<Self, ErrorInfo> {
        let encoding = encoding.filter(|text| !text.is_empty());
        let kept = |data, encoding: Option<String>| Payload { data: Some(data), encoding: encoding.map(Into::into) };
        Ok(match raw {
            RawData::None => Payload { data: None, encoding: encoding.map(Into::into) },
            RawData::Binary(bytes) => kept(Data::Binary(bytes.into()), encoding),
            RawData::Text(text) => match encoding.as_deref().and_then(before_base64) {
                Some(rest) => match STANDARD.decode(text.as_bytes()) {
                    Ok(bytes) => {
                        let rest = (!rest.is_empty()).then(|| rest.to_owned());
                        kept(Data::Binary(bytes.into()), rest)
                    }
                    Err(_) => kept(Data::Text(text.into()), encoding),
                },
                None => kept(Data::Text(text.into()), encoding),
            },
            RawData::Structured(value) => {
                let encoding = encoding.map_or_else(|| "json".to_owned(), |before| before + "/json");
                kept(Data::Text(value.to_string().into()), Some(encoding))
            }
            RawData::Scalar => {
                return Err(ErrorInfo::invalid_data("data must be text, binary, an object or a list"));
            }
        })
    }

    pub fn size(&self) -> usize {
        let data = match &self.data {
            None => 0,
            Some(Data::Text(text)) => text.len(),
            Some(Data::Binary(bytes)) => bytes.len(),
        };
        // A longer encoding counts as data.
        data + self.encoding.as_ref().map_or(0, |encoding| encoding.len().saturating_sub(MAX_ENCODING))
    }

    /// The encoding on the wire. JSON adds the base64 step that binary data needs.
    pub fn wire_encoding(&self, human_readable: bool) -> Option<std::borrow::Cow<'_, str>> {
        let own = self.encoding.as_deref();
        match &self.data {
            Some(Data::Binary(_)) if human_readable => {
                Some(own.map_or("base64".into(), |own| format!("{own}/base64").into()))
            }
            _ => own.map(Into::into),
        }
    }
}

/// The encoding without its last step `base64`.
fn before_base64(encoding: &str) -> Option<&str> {
    match encoding.rsplit_once('/') {
        Some((rest, "base64")) => Some(rest),
        None if encoding == "base64" => Some(""),
        _ => None,
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Data::Text(text) => serializer.serialize_str(text),
            Data::Binary(bytes) if serializer.is_human_readable() => serializer.serialize_str(&STANDARD.encode(bytes)),
            Data::Binary(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

impl<'de> Deserialize<'de> for RawData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyData;
        impl<'de> Visitor<'de> for AnyData {
            type Value = RawData;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("data")
            }
            fn visit_unit<E: Error>(self) -> Result<RawData, E> {
                Ok(RawData::None)
            }
            fn visit_none<E: Error>(self) -> Result<RawData, E> {
                Ok(RawData::None)
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<RawData, E> {
                Ok(RawData::Scalar)
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<RawData, E> {
                Ok(RawData::Scalar)
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<RawData, E> {
                Ok(RawData::Scalar)
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<RawData, E> {
                Ok(RawData::Scalar)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawData, E> {
                Ok(RawData::Text(text.to_owned()))
            }
            fn visit_string<E: Error>(self, text: String) -> Result<RawData, E> {
                Ok(RawData::Text(text))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<RawData, E> {
                Ok(RawData::Binary(bytes.to_owned()))
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<RawData, E> {
                Ok(RawData::Binary(bytes))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawData, A::Error> {
                Value::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(RawData::Structured)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawData, A::Error> {
                Value::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(RawData::Structured)
            }
        }
        deserializer.deserialize_any(AnyData)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> RawData {
        RawData::Text(value.to_owned())
    }

    #[test]
    fn base64_of_json_becomes_binary_and_comes_back_as_base64() {
        let payload = Payload::accept(text("3q2+7w=="), Some("base64".into())).unwrap();
        assert_eq!(payload.data, Some(Data::Binary(Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef]))));
        assert_eq!(payload.encoding, None);
        assert_eq!(payload.wire_encoding(true).as_deref(), Some("base64"));
        assert_eq!(payload.wire_encoding(false), None);
        assert_eq!(serde_json::to_value(payload.data.unwrap()).unwrap(), "3q2+7w==");
    }

    #[test]
    fn other_encodings_are_opaque() {
        let cipher = "json/utf-8/cipher+aes-128-cbc";
        let payload = Payload::accept(text("AAEC"), Some(format!("{cipher}/base64"))).unwrap();
        assert_eq!(payload.wire_encoding(false).as_deref(), Some(cipher));
        assert_eq!(payload.wire_encoding(true).unwrap(), format!("{cipher}/base64"));
        let plain = Payload::accept(text("{}"), Some("json/utf-8".into())).unwrap();
        assert_eq!(plain.wire_encoding(true).as_deref(), Some("json/utf-8"));
        let broken = Payload::accept(text("not base64!"), Some("base64".into())).unwrap();
        assert_eq!((broken.size(), broken.wire_encoding(false).as_deref()), (11, Some("base64")));
    }

    #[test]
    fn objects_become_text_and_numbers_are_refused() {
        let raw: RawData = serde_json::from_str(r#"{"a":[1]}"#).unwrap();
        let payload = Payload::accept(raw, None).unwrap();
        assert_eq!(payload.data, Some(Data::Text(r#"{"a":[1]}"#.into())));
        assert_eq!(payload.encoding.as_deref(), Some("json"));
        assert_eq!(Payload::accept(serde_json::from_str("7").unwrap(), None).unwrap_err().code, 40013);
    }

    #[test]
    fn debug_shows_no_content() {
        let payload = Payload::accept(text("what a partner wrote"), None).unwrap();
        assert!(!format!("{payload:?}").contains("partner"));
    }
}
