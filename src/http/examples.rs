//! Recorded answers and error codes of each operation, for the OpenAPI description.
//! `tests/openapi/examples.mjs` makes the file from the answers that tests got.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;
use tandem_actors::domain::Code;

#[derive(Deserialize)]
struct Recorded {
    codes: Vec<String>,
    answer: Option<Value>,
}

/// By the operation's id.
static RECORDED: LazyLock<HashMap<String, Recorded>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("examples.json")).expect("examples.json is what examples.mjs writes: tested")
});

/// An answer of the operation.
pub(super) fn answer(operation: &str) -> Option<&'static Value> {
    RECORDED.get(operation)?.answer.as_ref()
}

/// Whether the operation gives this error code.
pub(super) fn gives(operation: &str, code: Code) -> bool {
    RECORDED.get(operation).is_some_and(|recorded| recorded.codes.iter().any(|known| known == code.as_str()))
}
