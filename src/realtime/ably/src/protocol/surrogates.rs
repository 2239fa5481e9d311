//! Lone surrogates in JSON. JavaScript can cut a text in the middle of an emoji and writes `"\ud83d"`, which is not a
//! character. It is read as U+FFFD, as in UTF-8 encoders.

/// The JSON with U+FFFD for each lone surrogate. None if there is none.
pub fn repaired(json: &[u8]) -> Option<Vec<u8>> {
    let mut repaired = Vec::with_capacity(json.len());
    let mut found = false;
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(at);
        repaired.extend_from_slice(before);
        let pair = is_high(escape) && escape.get(6..).is_some_and(is_low);
        let length = if pair { 12 } else { 2 };
        if !pair && (is_high(escape) || is_low(escape)) {
            found = true;
            repaired.extend_from_slice(br"\ufffd");
            rest = &escape[6..];
            continue;
        }
        let (escape, after) = escape.split_at(length.min(escape.len()));
        repaired.extend_from_slice(escape);
        rest = after;
    }
    repaired.extend_from_slice(rest);
    found.then_some(repaired)
}

/// Whether the text begins with the escape of a high surrogate.
fn is_high(text: &[u8]) -> bool {
    unit(text).is_some_and(|unit| (0xd800..0xdc00).contains(&unit))
}

fn is_low(text: &[u8]) -> bool {
    unit(text).is_some_and(|unit| (0xdc00..0xe000).contains(&unit))
}

fn unit(text: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(text.strip_prefix(br"\u")?.get(..4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<String> {
        let repaired = repaired(json.as_bytes())?;
        serde_json::from_slice(&repaired).unwrap()
    }

    #[test]
    fn unpaired_surrogates_become_replacement_characters() {
        assert_eq!(read(r#""a\ud83d""#).as_deref(), Some("a\u{fffd}"));
        assert_eq!(read(r#""\udc00\uD83D\ude00\ud83d\ud83d\ude00""#).as_deref(), Some("\u{fffd}😀\u{fffd}😀"));
    }

    #[test]
    fn other_escapes_stay_unchanged() {
        for json in [r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u00e9\n\"""#, r#""\"#, r#""\u12"#, ""] {
            assert_eq!(repaired(json.as_bytes()), None, "{json}");
        }
    }
}
