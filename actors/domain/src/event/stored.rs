//! The stored form of events: `{v, seq, at, by, body}`. The version comes first, so that a reader knows the form of the
//! body before it reads it. Older forms are converted while they are read.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
    ser::SerializeStruct,
};

use super::{Event, EventBody};

/// The version of newly written events. Raise it when a field changes its meaning, and let [`read_body`] convert the
/// former version.
pub const VERSION: u8 = 1;

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Event", 5)?;
        record.serialize_field("v", &VERSION)?;
        record.serialize_field("seq", &self.seq)?;
        record.serialize_field("at", &self.at)?;
        record.serialize_field("by", &self.by)?;
        record.serialize_field("body", &self.body)?;
        record.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Event", &["v", "seq", "at", "by", "body"], EventVisitor)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Field {
    V,
    Seq,
    At,
    By,
    Body,
    #[serde(other)]
    Unknown,
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored event, {v, seq, at, by, body}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let (mut version, mut seq, mut at, mut by, mut body) = (None, None, None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::V => version = Some(map.next_value()?),
                Field::Seq => seq = Some(map.next_value()?),
                Field::At => at = Some(map.next_value()?),
                Field::By => by = map.next_value()?,
                Field::Body => {
                    let version =
                        version.ok_or_else(|| A::Error::custom("a stored event must begin with its version"))?;
                    body = Some(read_body(version, &mut map)?);
                }
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Event {
            seq: seq.ok_or_else(|| A::Error::missing_field("seq"))?,
            at: at.ok_or_else(|| A::Error::missing_field("at"))?,
            by,
            body: body.ok_or_else(|| A::Error::missing_field("body"))?,
        })
    }
}

/// Reads a body of any known version and converts it to the current form.
fn read_body<'de, A: MapAccess<'de>>(version: u8, map: &mut A) -> Result<EventBody, A::Error> {
    match version {
        VERSION => map.next_value(),
        other => Err(A::Error::custom(format_args!(
            "a stored event has version {other}; this program reads versions up to {VERSION}"
        ))),
    }
}
