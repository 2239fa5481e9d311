//! Channel names, and how clients write them: `[filter=…?rewind=1]name` is the channel `name` with a filter and
//! parameters.

use super::filter::Filter;
use crate::protocol::ErrorInfo;

/// In bytes, including the qualifier.
const MAX_LENGTH: usize = 2_048;

fn too_long() -> ErrorInfo {
    ErrorInfo::invalid_channel(format!("a channel name must have at most {MAX_LENGTH} bytes"))
}

/// Checks a channel's name without a qualifier.
///
/// # Errors
/// 40010 if it is empty, begins with `:`, `,`, `[` or white space, contains control characters, or is longer than
/// 2048 bytes.
pub fn check_name(name: &str) -> Result<(), ErrorInfo> {
    let problem = match name {
        "" => "a channel name must not be empty",
        _ if name.starts_with(':') => "a channel name must not begin with ':'",
        _ if name.starts_with('[') => "a channel name without a qualifier must not begin with '['",
        _ if name.starts_with(|first: char| first == ',' || first.is_whitespace()) => {
            "a channel name must not begin with ',' or white space"
        }
        _ if name.len() > MAX_LENGTH => return Err(too_long()),
        _ if name.chars().any(char::is_control) => "a channel name must not contain control characters",
        _ => return Ok(()),
    };
    Err(ErrorInfo::invalid_channel(problem))
}

/// A channel name as a client writes it.
#[derive(Debug)]
pub struct Name<'a> {
    /// The name without the qualifier.
    pub own: &'a str,
    /// Channel parameters in the qualifier.
    pub params: Vec<(String, String)>,
    /// Selects the messages that the client wants.
    pub filter: Option<Filter>,
}

impl<'a> Name<'a> {
    /// # Errors
    /// 40010 for an invalid name, a qualifier other than `filter`, or an invalid filter.
    pub fn parse(text: &'a str) -> Result<Self, ErrorInfo> {
        if text.len() > MAX_LENGTH {
            return Err(too_long());
        }
        let qualified = text.strip_prefix('[').map(|rest| {
            rest.split_once(']').ok_or_else(|| ErrorInfo::invalid_channel("a channel qualifier must end with ']'"))
        });
        let Some((qualifier, own)) = qualified.transpose()? else {
            check_name(text)?;
            return Ok(Self { own: text, params: Vec::new(), filter: None });
        };
        check_name(own)?;
        let (kind, params) = qualifier.split_once('?').unwrap_or((qualifier, ""));
        let filter = match (kind, kind.strip_prefix("filter=")) {
            ("", _) => None,
            (_, Some(filter)) => Some(Filter::parse(filter)?),
            _ => {
                return Err(ErrorInfo::invalid_channel(
                    "this server supports only the channel qualifiers [filter=…] and parameters, as [?rewind=1]",
                ));
            }
        };
        Ok(Self { own, params: url::form_urlencoded::parse(params.as_bytes()).into_owned().collect(), filter })
    }

    /// Whether the text has a qualifier.
    pub fn is_qualified(text: &str) -> bool {
        text.starts_with('[')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "a:b", "a b", "ünï", "a[b]"] {
            assert!(check_name(name).is_ok() && Name::parse(name).unwrap().own == name, "{name}");
        }
        for name in ["", ":a", "::", ",a", " a", "a\nb"] {
            assert_eq!(check_name(name).unwrap_err().code, 40010, "{name}");
        }
    }

    #[test]
    fn qualifiers_are_read() {
        let name = Name::parse("[?rewind=1&delta=vcdiff]a:b").unwrap();
        assert_eq!((name.own, name.filter.is_none()), ("a:b", true));
        assert_eq!(name.params, [("rewind".into(), "1".into()), ("delta".into(), "vcdiff".into())]);
        let name = Name::parse("[filter=bmFtZQ==?rewind=1]a").unwrap();
        assert_eq!((name.own, name.filter.is_some(), name.params.len()), ("a", true, 1));
        let long = format!("[?x={}]a", "y".repeat(MAX_LENGTH));
        for text in [&*long, "[meta]log", "[?rewind=1]", "[?rewind=1]:a", "[?rewind=1", "[filter=!]a", "[filter=Jg==]a"]
        {
            assert_eq!(Name::parse(text).unwrap_err().code, 40010, "{text}");
        }
    }
}
