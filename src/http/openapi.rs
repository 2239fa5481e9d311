//! The OpenAPI 3.1 description, made from the table of routes. What all routes have in common (path parameters, the
//! bearer token, the errors) is added here, so that a handler describes only what is specific to it.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use tandem_actors::domain::Code;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, Info, License, ObjectBuilder, OpenApi, Paths, Ref, RefOr, Required, Response, Schema,
        SecurityRequirement, Server, Tag,
        path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{AnyOfBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    body_schemas,
    described_errors::{self, REFUSALS},
    error::Failure,
    examples,
    routes::{self, Handler, Schemas},
};

pub const ADDRESS: &str = "/api/v1/openapi.json";

const BASE: &str = "/api/v1";
const BEARER: &str = "bearer";
pub(super) const OPERATOR: &str = "operator";
const SERVICE: &str = "service";

/// The description as it is served.
pub fn json() -> Bytes {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| description().to_json().unwrap_or_default().into());
    JSON.clone()
}

pub fn description() -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas = Schemas::new();
    let mut refused = BTreeMap::new();
    for (base, table) in [(BASE, routes::api()), ("", routes::root())] {
        let is_api = base == BASE;
        for Handler { path, http_method, operation, schemas: referenced, .. } in
            table.into_iter().flat_map(|route| route.handlers)
        {
            referenced(&mut schemas);
            let operation = complete(operation, &path, &http_method, is_api, &mut refused);
            let full = format!("{base}{path}");
            match paths.paths.get_mut(&full) {
                Some(item) => item.merge_operations(PathItem::new(http_method, operation)),
                None => drop(paths.paths.insert(full, PathItem::new(http_method, operation))),
            }
        }
    }
    schemas.push((Failure::name().into(), Failure::schema()));
    Failure::schemas(&mut schemas);

    body_schemas::add_combinations(&mut schemas);
    for operation in paths.paths.values_mut().flat_map(operations) {
        body_schemas::describe_required(operation, &schemas);
    }

    let mut components = Components::new();
    components.schemas.extend(schemas.into_iter().map(|(name, schema)| (name, any_of_untagged(schema))));
    components.responses.extend(refused);
    components.add_security_scheme(BEARER, bearer("A user's JWT.", Some("JWT")));
    components.add_security_scheme(OPERATOR, bearer("The node's operator token.", None));
    components.add_security_scheme(SERVICE, bearer("The AI service's token, `app.service_token`.", None));

    let mut info = Info::new("Tandem", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.into());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let mut openapi = OpenApi::new(info, paths);
    openapi.components = Some(components);
    openapi.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    openapi.servers = Some(vec![Server::new("/")]);
    openapi.tags = Some(TAGS.iter().map(|(name, text)| tag(name, text)).collect());
    openapi
}

const DESCRIPTION: &str = r#"Coordinates sessions of two partners through five stages. All routes under `/api/v1` answer under `/api` too.

## First use

1. Get a token. On the machine of a node that makes its own secret: `tandem token --user alex --name Alex`. Where the node is
   configured for an issuer, the app's sign-in gives it.
2. Press **Authorize**, paste the token at `bearer`, and press **Authorize** there.
3. Try `GET /api/v1/auth/me`: it answers who you are. Then `POST /api/v1/sessions` begins a session, and with the token of a second
   user `POST /api/v1/invitations/{id}/accept` joins it.

In a shell, the token is a header: `curl -H "Authorization: Bearer $TOKEN" …/api/v1/auth/me`.

## Answers

Answers come in an envelope: `{"success": true, "data": …}` or `{"success": false, "error": {"code", "message", "details"}}`. Each
operation lists the codes that it gives. An empty request body counts as `{}`."#;

const TAGS: &[(&str, &str)] = &[
    ("sessions", "A session, its state and its events"),
    ("invitations", "How the second partner joins"),
    ("stages", "Progress, gates, and the way to the next stage"),
    ("compact", "Stage 0: the Curiosity Compact"),
    ("witness", "Stage 1: feeling heard"),
    ("empathy", "Stage 2: empathy attempts"),
    ("needs", "Stage 3: needs and common ground"),
    ("consent", "Consents to sharing what was written"),
    ("strategies", "Stage 4: strategies and their ranking"),
    ("agreements", "Stage 4: agreements"),
    ("stage4", "Stage 4 by proposals: stances instead of rankings"),
    ("tending", "After the session: check-ins on what was agreed"),
    ("account", "The caller's account"),
    ("people", "The people whom the caller has sessions with"),
    ("push", "Devices and notification preferences"),
    ("realtime", "Access to the realtime channels"),
    ("operator", "For the operator of the node"),
    ("service", "What the AI service writes for a member"),
    ("node", "The node's own condition"),
];

fn tag(name: &str, text: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(text.into());
    tag
}

fn bearer(text: &str, format: Option<&str>) -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text));
    SecurityScheme::Http(match format {
        Some(format) => scheme.bearer_format(format).build(),
        None => scheme.build(),
    })
}

/// Adds what the operation has in common with others. `refused` collects the responses that it refers to.
fn complete(
    mut operation: Operation,
    path: &str,
    method: &HttpMethod,
    is_api: bool,
    refused: &mut BTreeMap<String, RefOr<Response>>,
) -> Operation {
    let id = operation.operation_id.clone().unwrap_or_default();
    let is_for_users = operation.security.is_none();
    let has_ids = path.contains('{');
    let is_post = *method == HttpMethod::Post && is_for_users;
    let parameters = operation.parameters.get_or_insert_default();
    parameters.extend(path_parameters(path).map(RefOr::T));
    if is_post {
        parameters.push(RefOr::T(idempotency_key()));
    }
    let asks_for_session = has_ids || parameters.iter().any(|it| matches!(it, RefOr::T(it) if it.name == "sessionId"));
    let takes_parameters = !parameters.is_empty() || operation.request_body.is_some();
    let has_body = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    for (_, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = "The answer".into();
        }
    }
    for (status, name, text) in REFUSALS {
        let gives = |code: &Code| match (status, *code) {
            ("400", Code::ValidationError) => takes_parameters || examples::gives(&id, *code),
            ("400" | "403" | "410", code) => examples::gives(&id, code),
            ("409", code) => is_post || examples::gives(&id, code),
            ("401", _) => is_for_users || path.starts_with("/service/"),
            ("404", _) => asks_for_session || path.starts_with("/operator/"),
            ("413", _) => has_body || is_post,
            ("500" | "503", _) => is_api,
            _ => false,
        };
        let all: Vec<Code> = described_errors::codes(status).collect();
        let given: Vec<Code> = all.iter().copied().filter(gives).collect();
        let codes = match (given.is_empty(), responses.contains_key(status)) {
            (true, false) => continue,
            (true, true) => &all,
            (false, _) => &given,
        };
        // A status with one code has one response for all operations.
        let name = match all.len() {
            1 => name.to_owned(),
            _ => codes.iter().fold(name.to_owned(), |name, code| format!("{name}.{}", code.as_str())),
        };
        refused.entry(name.clone()).or_insert_with(|| RefOr::T(described_errors::response(status, text, codes)));
        responses.insert(status.into(), RefOr::Ref(Ref::from_response_name(name)));
    }
    each_answer(&mut operation, &mut |content| {
        if content.example.is_none() {
            content.example = examples::answer(&id).cloned();
        }
    });
    operation
}

/// Visits the content of each answer that is described with the operation itself.
pub(super) fn each_answer(operation: &mut Operation, visit: &mut dyn FnMut(&mut Content)) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        for content in response.content.values_mut() {
            if let RefOr::T(content) = content {
                visit(content);
            }
        }
    }
}

/// Utoipa describes an untagged enum as `oneOf`, but a value may fit several of its schemas: a draft is an object, and
/// an absent draft is one too. `anyOf` is correct.
fn any_of_untagged(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::OneOf(one)) if one.discriminator.is_none() => {
            let described = AnyOfBuilder::new().description(one.description);
            RefOr::T(one.items.into_iter().fold(described, AnyOfBuilder::item).into())
        }
        other => other,
    }
}

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn path_parameters(path: &str) -> impl Iterator<Item = Parameter> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(move |name| {
        let schema: RefOr<Schema> = match name {
            "stage" => tandem_actors::domain::stage::Stage::schema(),
            _ if name == "userId" || path.starts_with("/people/") => {
                ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128)).into()
            }
            _ => ObjectBuilder::new().schema_type(Type::String).pattern(Some("^c[a-z0-9]{8,63}$")).into(),
        };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(schema))
            .build()
    })
}

fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The same key with the same request gets the same answer again, marked `Idempotent-Replayed: true`.",
        ))
        .schema(Some(schema))
        .build()
}
