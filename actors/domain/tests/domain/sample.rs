//! A sample of an event, made from its type: every option is given, every list has one element, and of every other
//! enum it takes the first variant. So an event needs no sample written by hand.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, SeqAccess, VariantAccess, Visitor,
        value::{Error, U32Deserializer},
    },
    forward_to_deserialize_any,
};
use tandem_domain::EventBody;

/// Every text is this one: an id has to be well formed.
const TEXT: &str = "cabcdefghijklmnopqrstuvwx";

/// The sample of the variant with this index in [`EventBody::VARIANTS`].
pub fn of_variant(index: usize) -> EventBody {
    let variant = u32::try_from(index).unwrap();
    EventBody::deserialize(Sample { variant }).unwrap_or_else(|error| panic!("{}: {error}", EventBody::VARIANTS[index]))
}

/// Gives each type what it asks for.
#[derive(Clone, Copy)]
struct Sample {
    /// The variant, if the type is an enum.
    variant: u32,
}

const INNER: Sample = Sample { variant: 0 };

/// So many samples, for the fields of a struct or the elements of a list.
struct Samples(usize);

impl<'de> SeqAccess<'de> for Samples {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        seed.deserialize(INNER).map(Some)
    }
}

impl<'de> EnumAccess<'de> for Sample {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(U32Deserializer::new(self.variant))?, self))
    }
}

impl<'de> VariantAccess<'de> for Sample {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(INNER)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Samples(length))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Samples(fields.len()))
    }
}

impl<'de> Deserializer<'de> for Sample {
    type Error = Error;

    /// As the store's MessagePack: times are integers.
    fn is_human_readable(&self) -> bool {
        false
    }

    /// Integers of any width.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u8(1)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(TEXT)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(TEXT)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(INNER)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(INNER)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Samples(1))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Samples(fields.len()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct map
        identifier ignored_any
    }
}
