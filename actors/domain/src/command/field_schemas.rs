//! OpenAPI schemas of request fields whose Rust type does not say all: lists of texts, dates, maps by id.

use utoipa::openapi::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat,
    schema::{AllOfBuilder, AnyOfBuilder, Type},
};

fn text(format: KnownFormat) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
}

/// An RFC 3339 date or time, as [`super::fields::date_or_time`] reads it.
pub(crate) fn required_date_or_time() -> RefOr<Schema> {
    let either = AnyOfBuilder::new().item(text(KnownFormat::Date)).item(text(KnownFormat::DateTime));
    RefOr::T(either.description(Some("RFC 3339 date or time.")).into())
}

pub(crate) fn date_or_time() -> RefOr<Schema> {
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    let either = AnyOfBuilder::new().item(text(KnownFormat::Date)).item(text(KnownFormat::DateTime)).item(nothing);
    RefOr::T(either.description(Some("RFC 3339 date or time.")).into())
}

fn texts(most: usize, shortest: usize, longest: usize) -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length((shortest > 0).then_some(shortest))
        .max_length(Some(longest))
        .pattern((shortest > 0).then_some(r"\S"));
    let list = ArrayBuilder::new().items(text).max_items(Some(most));
    RefOr::T(AnyOfBuilder::new().item(list).item(ObjectBuilder::new().schema_type(Type::Null)).into())
}

/// The needs that a strategy addresses.
pub(crate) fn three_labels() -> RefOr<Schema> {
    texts(3, 1, 200)
}

/// The needs that a draft of a sub-chat addresses.
pub(crate) fn ten_labels() -> RefOr<Schema> {
    texts(10, 1, 200)
}

pub(crate) fn evidence() -> RefOr<Schema> {
    texts(10, 0, 500)
}

/// An object whose keys are ids of the coordinator, or null.
fn by_id(value: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^c[a-z0-9]{8,63}$"));
    let nothing = || ObjectBuilder::new().schema_type(Type::Null);
    let value = AnyOfBuilder::new().item(value).item(nothing()).build();
    let values = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(Schema::from(id.build())))
        .additional_properties(Some(RefOr::T(Schema::from(value))));
    RefOr::T(AnyOfBuilder::new().item(values).item(nothing()).into())
}

/// RFC 3339 dates or times.
pub(crate) fn dates_by_id() -> RefOr<Schema> {
    by_id(required_date_or_time())
}

/// Notes on check-ins.
pub(crate) fn notes_by_id() -> RefOr<Schema> {
    by_id(ObjectBuilder::new().schema_type(Type::String).max_length(Some(2_000)))
}

/// What becomes of each entry.
pub(crate) fn resolutions_by_id() -> RefOr<Schema> {
    by_id(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["RESOLVED", "CONTINUING"])))
}

/// `true` or null: the field by which a partner agrees to the compact.
pub(crate) fn agreed() -> RefOr<Schema> {
    let agreed = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    RefOr::T(AnyOfBuilder::new().item(agreed).item(ObjectBuilder::new().schema_type(Type::Null)).into())
}

/// Drafts that name a proposal.
pub(crate) fn updated_drafts() -> RefOr<Schema> {
    let named = ObjectBuilder::new().property("proposalId", ObjectBuilder::new().schema_type(Type::String));
    let draft = AllOfBuilder::new().item(Ref::from_schema_name("DraftRequest")).item(named.required("proposalId"));
    let list = ArrayBuilder::new().items(draft).max_items(Some(10));
    RefOr::T(AnyOfBuilder::new().item(list).item(ObjectBuilder::new().schema_type(Type::Null)).into())
}
