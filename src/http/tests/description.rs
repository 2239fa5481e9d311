//! The OpenAPI description and the routes are the same thing.

use std::collections::BTreeSet;

use super::*;

async fn described() -> Value {
    let answer = Server::start().send(TestRequest::get().uri(openapi::ADDRESS)).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

fn all() -> Vec<(Method, String)> {
    let handlers = |base: &'static str, table: Vec<routes::Route>| {
        table.into_iter().flat_map(move |route| {
            route.handlers.into_iter().map(move |handler| (handler.method, format!("{base}{}", handler.path)))
        })
    };
    handlers("/api/v1", routes::api()).chain(handlers("", routes::root())).collect()
}

#[actix_web::test]
async fn every_mounted_route_is_described_and_every_described_route_is_mounted() {
    let description = described().await;
    let mut described: Vec<(Method, String)> = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    let mut mounted = all();
    let sorted =
        |routes: &mut Vec<(Method, String)>| routes.sort_by_key(|(method, path)| (path.clone(), method.to_string()));
    sorted(&mut described);
    sorted(&mut mounted);
    assert_eq!(described, mounted);
    assert!(mounted.len() > 55, "{} routes", mounted.len());

    for (method, path) in mounted {
        let path = path.replace("{id}", NO_SESSION).replace("{agreementId}", NO_SESSION).replace("{stage}", "1");
        for path in [path.clone(), path.replace("/api/v1", "/api")] {
            let answer = Server::start().send(TestRequest::with_uri(&path).method(method.clone())).await;
            let hidden = path.contains("/operator/");
            let is_unknown = answer.status == 404 && answer.message().contains("no such route");
            assert!(answer.status != 405 && (!is_unknown || hidden), "{method} {path}: {}", answer.status);
        }
    }
}

#[actix_web::test]
async fn a_route_is_open_exactly_if_it_is_described_as_open() {
    let description = described().await;
    for (method, path) in all() {
        let operation = &description["paths"][&path][method.as_str().to_lowercase()];
        let described_open = operation.get("security").is_some_and(|security| *security == json!([{}]));
        let concrete = path.replace("{id}", NO_SESSION).replace("{agreementId}", NO_SESSION).replace("{stage}", "1");
        if let Some(scheme) = ["operator", "service"].into_iter().find(|room| path.contains(&format!("/{room}/"))) {
            assert_eq!(operation["security"], json!([{ scheme: [] }]));
            let refused = if scheme == "service" { 401 } else { 404 };
            assert_eq!(Server::start().send(TestRequest::with_uri(&concrete).method(method)).await.status, refused);
            continue;
        }
        let answer = Server::start().send(TestRequest::with_uri(&concrete).method(method.clone())).await;
        let refused_for_token =
            answer.status == 401 && answer.header("www-authenticate").is_some() && !path.contains("webhooks");
        assert_eq!(refused_for_token, !described_open, "{method} {path}: {}", answer.status);
        assert_eq!(operation["responses"].get("401").is_some(), !described_open || path.contains("webhooks"));
        assert!(operation["summary"].is_string(), "{method} {path} has no summary");
    }
}

#[actix_web::test]
async fn the_description_holds_together() {
    let description = described().await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(description["security"], json!([{ "bearer": [] }]));
    assert_eq!(description["components"]["securitySchemes"]["bearer"]["scheme"], json!("bearer"));
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(description.pointer(pointer).is_some(), "{pointer} is referred to and not described");
    }
    let mut names: Vec<_> = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            names.push(operation["operationId"].as_str().unwrap().to_owned());
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(
                    parameters.iter().any(|p| p["name"] == part && p["in"] == "path" && p["required"] == true),
                    "{path}: {part}"
                );
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response.get("$ref").or(response.get("description")).is_some(), "{path}: {status}");
            }
            let success =
                operation["responses"].as_object().unwrap().iter().find(|(status, _)| status.starts_with('2'));
            assert!(success.is_some_and(|(_, response)| response.get("content").is_some()), "{path} answers nothing");
        }
    }
    let total = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), total, "two operations have the same id");
}

#[actix_web::test]
async fn every_operation_stands_under_a_tag_and_every_tag_has_operations() {
    let description = described().await;
    let names = |value: &Value| value.as_array().into_iter().flatten().map(|name| name.to_string()).collect::<Vec<_>>();
    let tags: BTreeSet<_> = description["tags"].as_array().unwrap().iter().map(|tag| tag["name"].to_string()).collect();
    let mut used = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let of_operation = names(&operation["tags"]);
            assert_eq!(of_operation.len(), 1, "{path} has the tags {of_operation:?}");
            used.extend(of_operation);
        }
    }
    assert_eq!(used, tags);
}

#[actix_web::test]
async fn each_refusal_shows_the_codes_that_its_operation_gives() {
    let description = described().await;
    let codes = |method: &str, path: &str, status: &str| -> Vec<String> {
        let response = &description["paths"][path][method]["responses"][status];
        let reference = response["$ref"].as_str().unwrap_or_else(|| panic!("{method} {path} describes no {status}"));
        let content = &description.pointer(reference.trim_start_matches('#')).unwrap()["content"]["application/json"];
        let examples = content["examples"].as_object().unwrap().iter();
        let shown = examples.map(|(code, example)| {
            assert_eq!(example["value"]["error"]["code"], json!(code));
            code.clone()
        });
        shown.collect()
    };
    assert_eq!(codes("get", "/api/v1/sessions/{id}", "404"), ["NOT_FOUND"]);
    assert_eq!(codes("post", "/api/v1/sessions", "413"), ["VALIDATION_ERROR"]);
    assert_eq!(codes("get", "/api/v1/sessions", "400"), ["VALIDATION_ERROR"]);
    let of_a_stage = codes("post", "/api/v1/sessions/{id}/feel-heard", "400");
    assert!(of_a_stage.contains(&"INVALID_STAGE".to_owned()), "{of_a_stage:?}");
    let listing = &description["paths"]["/api/v1/sessions"]["get"]["responses"];
    assert!(listing.get("403").is_none() && listing.get("410").is_none(), "{listing}");
}

#[actix_web::test]
async fn a_choice_whose_schemas_overlap_is_not_exclusive() {
    let description = described().await;
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        let exclusive = schema["oneOf"].as_array().into_iter().flatten().filter(|it| it["type"] != "null").count();
        assert!(exclusive < 2, "{name}: a value may fit several of its schemas");
    }
}

/// So that a change of the interface is seen when it is reviewed. After a wanted change: `TANDEM_BLESS=1 cargo test
/// --lib description`.
#[test]
fn the_checked_in_description_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi.json");
    let mut description = openapi::description();
    // `src/http/examples.json` has the answers.
    for operation in description.paths.paths.values_mut().flat_map(openapi::operations) {
        openapi::each_answer(operation, &mut |content| content.example = None);
    }
    let description = description.to_pretty_json().unwrap() + "\n";
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::write(path, &description).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    let differs = description.lines().zip(checked_in.lines()).position(|(made, known)| made != known);
    assert!(description == checked_in, "tests/openapi.json differs from line {:?} on", differs.map(|at| at + 1));
}

/// The example of a body, wherever the description has it.
fn example(description: &Value, content: &Value) -> Option<Value> {
    let reference = content["schema"]["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    let schema = reference.map_or(Some(&content["schema"]), |pointer| description.pointer(pointer))?;
    schema.get("example").or_else(|| schema["examples"].get(0)).cloned()
}

#[actix_web::test]
async fn each_body_has_an_example_that_is_understood() {
    let description = described().await;
    let server = Server::start();
    let mut seen = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if content.is_null() || path.ends_with("/webhooks/ably") {
                continue;
            }
            let example = example(&description, content).unwrap_or_else(|| panic!("{method} {path} has no example"));
            let created = server.post("/api/v1/sessions", r#"{"inviteName":"Ben","draft":true}"#).await.json();
            let session = created["data"]["session"]["id"].as_str().unwrap().to_owned();
            let concrete = path.split('/').map(|part| match part {
                "{userId}" => "user_anna",
                part if part.starts_with('{') => &session,
                part => part,
            });
            let request = TestRequest::with_uri(&concrete.collect::<Vec<_>>().join("/"))
                .method(method.to_uppercase().parse().unwrap())
                .set_payload(example.to_string());
            let request = if path.contains("/service/") {
                request.insert_header(("authorization", "Bearer service's token"))
            } else {
                anna(request)
            };
            let answer = server.send(request).await;
            // What the session's stage does not allow is refused as well, by another code.
            let refused = answer.status == 400 && answer.json()["error"]["code"] == "VALIDATION_ERROR";
            assert!(!refused, "{method} {path} {example}: {:?}", answer.json());
            seen += 1;
        }
    }
    assert!(seen > 45, "{seen} bodies");
}

#[actix_web::test]
async fn a_body_may_be_left_out_exactly_if_nothing_in_it_is_needed() {
    let description = described().await;
    let required = |path: &str| description["paths"][path]["post"]["requestBody"]["required"].clone();
    assert_eq!(required("/api/v1/sessions/{id}/needs"), true);
    assert_eq!(required("/api/v1/sessions"), true, "one of two fields");
    assert_eq!(required("/api/v1/sessions/{id}/pause"), false);
}
