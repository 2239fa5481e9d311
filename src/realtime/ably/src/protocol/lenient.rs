//! Fields that clients write in more than one way. A field that makes no sense counts as absent where the protocol
//! allows that.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// The largest integer that every client can hold.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= MAX_SAFE).map(|float| float as i64)
        }),
        _ => None,
    }
}

/// A whole number, encoded as an integer or a float. Anything else counts as absent.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole(&Value::deserialize(deserializer)?))
}

/// A map of parameters. Values become text.
pub fn params<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let Value::Object(map) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    Ok(map.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect())
}

/// The largest number of elements of a frame or body. An empty element is one byte on the wire and some hundred in
/// memory.
pub const MAX_ELEMENTS: usize = 2_048;

/// An optional list of at most [`MAX_ELEMENTS`].
pub fn bounded_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Bounded<T> {
        type Value = Option<Vec<T>>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MAX_ELEMENTS}")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            // Most lists have one element, and elements are large.
            let mut list = Vec::with_capacity(1);
            while let Some(element) = seq.next_element()? {
                if list.len() == MAX_ELEMENTS {
                    return Err(A::Error::invalid_length(list.len() + 1, &self));
                }
                list.push(element);
            }
            Ok(Some(list))
        }
    }
    deserializer.deserialize_any(Bounded(std::marker::PhantomData))
}

/// One element or a list of at most [`MAX_ELEMENTS`].
#[derive(Debug, Clone)]
pub struct OneOrMany<T> {
    pub list: Vec<T>,
    /// Whether it was written as a list.
    pub is_list: bool,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "an element or a list of at most {MAX_ELEMENTS}")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let one = T::deserialize(serde::de::value::StrDeserializer::new(text))?;
                Ok(OneOrMany { list: vec![one], is_list: false })
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(OneOrMany { list: vec![one], is_list: false })
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let list = bounded_list(serde::de::value::SeqAccessDeserializer::new(seq))?;
                Ok(OneOrMany { list: list.unwrap_or_default(), is_list: true })
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}
