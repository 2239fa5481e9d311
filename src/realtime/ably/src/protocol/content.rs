//! The content hash of a frame. It distinguishes a repeated frame from a new frame with the same serial.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Inbound, data::RawData};

impl Inbound {
    /// Equal for frames that publish the same content on the same channel.
    pub fn content(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.action().map(|action| action as u8), &self.channel).hash(&mut hasher);
        for message in self.messages.iter().flatten() {
            (&message.id, &message.name, &message.client_id, &message.encoding).hash(&mut hasher);
            message.extras.hash(&mut hasher);
            message.data.hash(&mut hasher);
        }
        for event in self.presence.iter().flatten() {
            (&event.id, event.action, &event.client_id, &event.encoding).hash(&mut hasher);
            event.extras.hash(&mut hasher);
            event.data.hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Hash for RawData {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        std::mem::discriminant(self).hash(hasher);
        match self {
            RawData::None | RawData::Scalar => {}
            RawData::Text(text) => text.hash(hasher),
            RawData::Binary(bytes) => bytes.hash(hasher),
            RawData::Structured(value) => value.hash(hasher),
        }
    }
}

/// The content hash of a frame that cannot be decoded.
pub fn content_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::Format;

    fn content(text: &str) -> u64 {
        super::Inbound::decode(Format::Json, text.as_bytes()).unwrap().content()
    }

    #[test]
    fn the_content_hash_ignores_serials() {
        let first = content(r#"{"action":15,"channel":"c","msgSerial":5,"messages":[{"name":"a","data":{"x":1}}]}"#);
        let again = content(r#"{"messages":[{"data":{"x":1},"name":"a"}],"msgSerial":6,"action":15,"channel":"c"}"#);
        assert_eq!(first, again);
        for other in [
            r#"{"action":15,"channel":"d","messages":[{"name":"a","data":{"x":1}}]}"#,
            r#"{"action":15,"channel":"c","messages":[{"name":"a","data":{"x":2}}]}"#,
            r#"{"action":15,"channel":"c","messages":[{"name":"a","data":"{\"x\":1}"}]}"#,
            r#"{"action":15,"channel":"c","messages":[{"name":"a","data":{"x":1}},{}]}"#,
            r#"{"action":14,"channel":"c","presence":[{"action":2,"data":{"x":1}}]}"#,
        ] {
            assert_ne!(content(other), first, "{other}");
        }
    }
}
