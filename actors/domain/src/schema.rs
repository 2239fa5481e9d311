//! OpenAPI schemas that no derive can make: these types have a JSON form of their own.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use crate::{private_text::PrivateText, stage::Stage, time::Timestamp};

impl PartialSchema for Stage {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("0 Onboarding, 1 The Witness, 2 Perspective Stretch, 3 Need Mapping, 4 Strategic Repair"))
            .minimum(Some(0))
            .maximum(Some(4))
            .into()
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339 in UTC, as 2026-01-31T12:00:00.000Z"))
            .into()
    }
}

impl PartialSchema for PrivateText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

impl ToSchema for Stage {}
impl ToSchema for Timestamp {}
impl ToSchema for PrivateText {}
