//! Answers of the API, written down for its description. With `TANDEM_RECORD=DIRECTORY` each answer to a test is kept;
//! `node tests/openapi/examples.mjs DIRECTORY` makes the description's examples and error codes of them.

use std::{io::Write as _, sync::LazyLock};

use serde_json::{Value, json};

use super::answer::Answer;

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi.json")).expect("the description is JSON"));

pub fn record(answer: &Answer) {
    let Some(directory) = std::env::var_os("TANDEM_RECORD") else { return };
    let Some(operation) = answer.to.split_once(' ').and_then(|(method, path)| operation(method, path)) else { return };
    let line = json!({ "operation": operation, "status": answer.status, "body": answer.json() });
    let file = std::path::Path::new(&directory).join(format!("{}.jsonl", std::process::id()));
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("a file to record in");
    file.write_all(format!("{line}\n").as_bytes()).expect("room to record");
}

/// The id of the operation that a request asked for.
fn operation(method: &str, path: &str) -> Option<&'static str> {
    let path = path.split('?').next()?;
    let below = path.strip_prefix("/api/v1").or_else(|| path.strip_prefix("/api")).unwrap_or(path);
    let parts: Vec<&str> = below.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.trim_start_matches("/api/v1").split('/').collect();
        let same = |(wanted, part): (&&str, &&str)| wanted == part || (wanted.starts_with('{') && !part.is_empty());
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(same)
    };
    let paths = DESCRIPTION["paths"].as_object()?;
    // A fixed part goes before a placeholder, as in the router.
    let (_, item) = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count())?;
    item[method.to_lowercase()]["operationId"].as_str()
}
