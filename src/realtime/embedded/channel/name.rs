//! What a channel may be called.

use crate::realtime::embedded::protocol::ErrorInfo;

/// Checks a channel's name.
///
/// # Errors
/// 40010 if it is empty, begins with `:`, `,`, `[` or white space, holds control characters, or is longer than 2048 bytes.
pub fn check_name(name: &str) -> Result<(), ErrorInfo> {
    let problem = match name {
        "" => "a channel name must not be empty",
        _ if name.starts_with(':') => "a channel name must not begin with ':'",
        _ if name.starts_with('[') => {
            "a channel name must not begin with '[': channel qualifiers are not supported by this server"
        }
        _ if name.starts_with(|first: char| first == ',' || first.is_whitespace()) => {
            "a channel name must not begin with ',' or white space"
        }
        _ if name.len() > 2048 => "a channel name must have at most 2048 bytes",
        _ if name.chars().any(char::is_control) => "a channel name must not hold control characters",
        _ => return Ok(()),
    };
    Err(ErrorInfo::invalid_channel(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "a:b", "a b", "ünï", "a[b]"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ":a", "::", "[meta]log", "[?rewind=1]a", ",a", " a", "a\nb"] {
            assert_eq!(check_name(name).unwrap_err().code, 40010, "{name}");
        }
    }
}
