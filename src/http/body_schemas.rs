//! Completes the schemas of request bodies: which fields must be given together. Schemas derived from types cannot
//! express this.

use utoipa::openapi::{
    ObjectBuilder, RefOr, Schema,
    path::Operation,
    schema::{AllOfBuilder, AnyOfBuilder, Type},
};

use super::routes::Schemas;

/// One accepted combination: these fields, each with one of these values if any are listed.
type Combination = &'static [(&'static str, Type, &'static [&'static str])];

const TRUE: &str = "true";
/// In place of a value: the text may be blank.
const BLANK_TOO: &str = "";

/// For each schema the combinations. A body needs at least one of them.
const COMBINATIONS: &[(&str, &[Combination])] = &[
    ("CreateSessionRequest", &[&[("inviteName", Type::String, &[])], &[("personId", Type::String, &[])]]),
    ("WriteInvitationRequest", &[&[("topicFrame", Type::String, &[])], &[("invitationMessage", Type::String, &[])]]),
    ("ConsentEmpathyRequest", &[&[("consent", Type::Boolean, &[])], &[("draftId", Type::String, &[])]]),
    ("ValidateEmpathyRequest", &[&[("validated", Type::Boolean, &[TRUE])], &[("feedback", Type::String, &[])]]),
    ("RevokeConsentRequest", &[&[("kind", Type::String, &[])], &[("consentRecordId", Type::String, &[])]]),
    (
        "ConfirmNeedsRequest",
        &[
            &[("needIds", Type::Array, &[])],
            &[("confirmations", Type::Array, &[])],
            &[("adjustments", Type::Array, &[])],
        ],
    ),
    (
        "NeedOperationRequest",
        &[
            &[
                ("type", Type::String, &["updateNeedText"]),
                ("needId", Type::String, &[]),
                ("newText", Type::String, &[]),
            ],
            &[
                ("type", Type::String, &["updateNeedText"]),
                ("needId", Type::String, &[]),
                ("newCategory", Type::String, &[]),
            ],
            &[("type", Type::String, &["updateNeedText"]), ("needId", Type::String, &[]), ("text", Type::String, &[])],
            &[
                ("type", Type::String, &["updateNeedText"]),
                ("needId", Type::String, &[]),
                ("category", Type::String, &[]),
            ],
            &[("type", Type::String, &["addNeed"]), ("text", Type::String, &[])],
            &[("type", Type::String, &["addNeed"]), ("newText", Type::String, &[])],
            &[("type", Type::String, &["removeNeed"]), ("needId", Type::String, &[])],
        ],
    ),
    (
        "NamesRequest",
        &[
            &[("name", Type::String, &[])],
            &[("firstName", Type::String, &[])],
            &[("lastName", Type::String, &[BLANK_TOO])],
        ],
    ),
    ("BiometricRequest", &[&[("biometricEnabled", Type::Boolean, &[])], &[("enabled", Type::Boolean, &[])]]),
];

fn combination(fields: Combination) -> Schema {
    let field = |object: ObjectBuilder, (name, kind, values): &(&'static str, Type, &'static [&'static str])| {
        let value = ObjectBuilder::new().schema_type(kind.clone());
        let value = match *values {
            [] if *kind == Type::String => value.pattern(Some(r"\S")),
            [] | [BLANK_TOO] => value,
            [TRUE] => value.enum_values(Some([true])),
            values => value.enum_values(Some(values.iter().copied())),
        };
        object.property(*name, value).required(*name)
    };
    fields.iter().fold(ObjectBuilder::new().schema_type(Type::Object), field).into()
}

/// Adds to the schemas which of their fields must be given together.
pub(super) fn add_combinations(schemas: &mut Schemas) {
    for (name, schema) in schemas {
        let Some((_, combinations)) = COMBINATIONS.iter().find(|(of, _)| of == name) else { continue };
        let RefOr::T(Schema::Object(object)) = schema else { continue };
        let one_of_them = combinations.iter().fold(AnyOfBuilder::new(), |any, fields| any.item(combination(fields)));
        let mut object = std::mem::take(object);
        let (description, example) = (object.description.take(), object.example.take());
        let both = AllOfBuilder::new().item(object).item(Schema::from(one_of_them));
        #[expect(deprecated, reason = "the schemas that are derived have `example`, too")]
        let described = both.description(description).example(example);
        *schema = RefOr::T(described.into());
    }
}

/// Describes whether a body is required. An empty body counts as `{}`, so it may be left out where `{}` is accepted.
pub(super) fn describe_required(operation: &mut Operation, schemas: &Schemas) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let reference = body.content.values().find_map(|content| match content {
        RefOr::T(content) => match &content.schema {
            Some(RefOr::Ref(reference)) => reference.ref_location.rsplit('/').next().map(str::to_owned),
            _ => None,
        },
        RefOr::Ref(_) => None,
    });
    let schema = reference.and_then(|name| schemas.iter().find(|(of, _)| *of == name));
    let is_needed = match schema.map(|(_, schema)| schema) {
        Some(RefOr::T(Schema::Object(object))) => !object.required.is_empty(),
        Some(RefOr::T(Schema::AllOf(_))) => true,
        _ => false,
    };
    body.required = Some(if is_needed { utoipa::openapi::Required::True } else { utoipa::openapi::Required::False });
}
