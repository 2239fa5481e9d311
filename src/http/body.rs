//! Request bodies. An empty body counts as absent, whatever its content type: the app sends `Content-Type:
//! application/json` without a body. The error for a malformed body names the place and what would be right, and never
//! repeats the client's text.

use serde::de::DeserializeOwned;
use tandem_actors::domain::Rejection;

use super::{
    body_problem::{self, Problem},
    error::ApiError,
};

/// How a handler reads the body.
pub trait Body: Sized + 'static {
    fn parse(bytes: &[u8]) -> Result<Self, ApiError>;
}

/// For routes without a body. A body is ignored.
impl Body for () {
    fn parse(_: &[u8]) -> Result<Self, ApiError> {
        Ok(())
    }
}

/// A JSON object. An empty body counts as `{}`.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> Body for Json<T> {
    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let bytes = match bytes.trim_ascii() {
            [] => b"{}",
            // serde accepts a list as a struct.
            [b'[', ..] => return Err(Rejection::invalid("the body", "a list", "a JSON object").into()),
            _ => bytes,
        };
        match serde_json::from_slice(bytes) {
            Ok(value) => Ok(Json(value)),
            Err(error) => Err(explain::<T>(bytes, &error)),
        }
    }
}

/// Explains why a body does not fit. It is parsed again, because the first error holds neither the place nor the parts
/// of the problem.
fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        let (line, column) = (error.line(), error.column());
        return ApiError::invalid(format!("the body is not JSON: it cannot be read at line {line}, column {column}"));
    }
    let value = serde_json::from_slice(bytes).unwrap_or_default();
    match body_problem::find::<T>(&value) {
        Some((place, Problem::Mismatch { found, expected })) => Rejection::invalid(&place, found, expected).into(),
        Some((place, Problem::Other(problem))) => ApiError::invalid(format!("{place}: {problem}")),
        // The value fits after parsing: JSON values keep one of two fields with the same name.
        None => ApiError::invalid("each field of the body may be given once; found one that is given twice"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[allow(dead_code, reason = "only its form matters")]
    struct Form {
        confirmed: bool,
        #[serde(default)]
        kinds: Vec<Kind>,
        #[serde(default)]
        id: Option<tandem_actors::domain::ids::SessionId>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "UPPERCASE")]
    enum Kind {
        Empathy,
    }

    fn refusal(body: &str) -> String {
        Json::<Form>::parse(body.as_bytes()).map(|Json(form)| form).unwrap_err().to_string()
    }

    #[test]
    fn the_error_for_a_malformed_body_names_the_place_and_what_would_be_right() {
        for (body, expected) in [
            ("", "VALIDATION_ERROR: the body: missing field `confirmed`"),
            ("{", "VALIDATION_ERROR: the body is not JSON: it cannot be read at line 1, column 1"),
            (
                r#"{"confirmed":true} x"#,
                "VALIDATION_ERROR: the body is not JSON: it cannot be read at line 1, column 20",
            ),
            ("\"my secret\"", "VALIDATION_ERROR: the body must be a JSON object; found string"),
            (r#"{"confirmed":"my secret"}"#, "VALIDATION_ERROR: confirmed must be a boolean; found string"),
            (r#"{"confirmed":"a, expected b"}"#, "VALIDATION_ERROR: confirmed must be a boolean; found string"),
            (r#"{"confirmed":17}"#, "VALIDATION_ERROR: confirmed must be a boolean; found integer"),
            (r#"{"confirmed":null}"#, "VALIDATION_ERROR: confirmed must be a boolean; found null"),
            (
                r#"{"confirmed":true,"kinds":["EMPATHY","my: secret"]}"#,
                "VALIDATION_ERROR: kinds[1] must be `EMPATHY`; found unknown variant",
            ),
            (
                r#"{"confirmed":true,"confirmed":false}"#,
                "VALIDATION_ERROR: each field of the body may be given once; found one that is given twice",
            ),
            (
                r#"{"confirmed":true,"id":"my-secret"}"#,
                "VALIDATION_ERROR: id: a session id must be 'c' followed by 8 to 63 characters of [a-z0-9]",
            ),
        ] {
            assert_eq!(refusal(body), expected, "{body}");
        }
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        #[derive(Deserialize)]
        struct Optional {
            reason: Option<String>,
        }
        for body in ["", "  \r\n", "{}"] {
            assert!(Json::<Optional>::parse(body.as_bytes()).is_ok_and(|Json(body)| body.reason.is_none()));
        }
    }
}
