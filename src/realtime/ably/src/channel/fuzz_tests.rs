//! What the fuzz targets (`tests/fuzz`) do with names of channels and filters. The tests do it with the corpus.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::name::{Name, check_name};
use crate::protocol::Message;

/// Parses a channel's name. A name that is accepted is also accepted without its qualifier.
///
/// # Panics
/// If that does not hold.
pub fn channel_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(name) = Name::parse(text) else { return };
    assert!(text.ends_with(name.own) && check_name(name.own).is_ok());
    assert_eq!(name.own == text, !Name::is_qualified(text));
    let again = Name::parse(name.own).map_err(|error| error.code).expect("its own name");
    assert_eq!(again.own, name.own);
    assert!(again.params.is_empty() && again.filter.is_none());
}

/// A filter's expression, before it is written in base64. It selects the same messages each time.
///
/// # Panics
/// If that does not hold.
pub fn filter(bytes: &[u8]) {
    let qualified = format!("[filter={}]a", STANDARD.encode(bytes));
    let (Ok(one), Ok(other)) = (Name::parse(&qualified), Name::parse(&qualified)) else { return };
    let (one, other) = (one.filter.expect("a filter"), other.filter.expect("a filter"));
    let extras = [
        None,
        Some(json!({ "headers": { "price": 11, "tags": ["x", 1, null, { "a": [] }], "n": 1e300, "name": "sold" } })),
        Some(json!({ "headers": [[], {}, "", -0.5] })),
        Some(json!([])),
    ];
    for (name, extras) in
        [None, Some("sold"), Some("")].into_iter().flat_map(|name| extras.iter().map(move |e| (name, e)))
    {
        let message =
            Message { name: name.map(Into::into), extras: extras.clone().map(Box::new), ..Message::default() };
        assert_eq!(one.wants(&message), other.wants(&message));
    }
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpora_of_names_and_filters_pass() {
        replay("channel_name", super::channel_name);
        replay("filter", super::filter);
    }
}
