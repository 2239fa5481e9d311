//! Capabilities: the operations that are allowed on each channel. A resource is one of: `[*]*` (everything), `*`
//! (every channel), a pattern, or an exact name. A pattern is segments between colons, any of which may be `*`. A
//! last segment `*` stands for one or more segments.

use std::collections::BTreeMap;

use serde_json::Value;

use super::operation::{Operation, Operations};
use crate::protocol::{ErrorInfo, Modes};

/// What a key or a token allows: operations by channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability(BTreeMap<String, Operations>);

impl Capability {
    /// `{"*":["*"]}`
    pub fn everything() -> Self {
        Self(BTreeMap::from([("*".to_owned(), Operations::All)]))
    }

    /// Reads the JSON text of a capability.
    ///
    /// # Errors
    /// 40000 for text that is not a JSON object of resources, each with at least one known operation. `*` must be the
    /// only operation of its list.
    pub fn parse(text: &str) -> Result<Self, ErrorInfo> {
        let invalid = || {
            ErrorInfo::bad_request(
                "a capability must be a JSON object of channel names, each with a list of operations",
            )
        };
        let value: Value = serde_json::from_str(text).map_err(|_| invalid())?;
        Self::from_value(&value).ok_or_else(invalid)
    }

    fn from_value(value: &Value) -> Option<Self> {
        let resources = value.as_object().filter(|map| !map.is_empty())?;
        let mut capability = BTreeMap::new();
        for (resource, list) in resources {
            let names: Vec<&str> = list.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
            let operations = match names.as_slice() {
                [] => return None,
                ["*"] => Operations::All,
                names => Operations::Some(names.iter().map(|name| Operation::named(name)).collect::<Option<_>>()?),
            };
            if resource.is_empty() {
                return None;
            }
            capability.insert(resource.clone(), operations);
        }
        Some(Self(capability))
    }

    /// Whether the operation is allowed on a channel of this name.
    pub fn allows(&self, channel: &str, operation: Operation) -> bool {
        self.0.iter().any(|(resource, operations)| operations.has(operation) && covers(resource, channel))
    }

    /// Whether an operation that needs no channel is allowed.
    pub fn allows_somewhere(&self, operation: Operation) -> bool {
        self.0.values().any(|operations| operations.has(operation))
    }

    /// The channel modes that the operations give.
    pub fn modes(&self, channel: &str) -> Modes {
        let granted = |operation, modes| if self.allows(channel, operation) { modes } else { Modes::NONE };
        granted(Operation::Subscribe, Modes::SUBSCRIBE.or(Modes::PRESENCE_SUBSCRIBE))
            .or(granted(Operation::Publish, Modes::PUBLISH))
            .or(granted(Operation::Presence, Modes::PRESENCE))
            .or(granted(Operation::AnnotationPublish, Modes::ANNOTATION_PUBLISH))
    }

    /// The union of both capabilities.
    #[must_use]
    pub fn united_with(mut self, other: Capability) -> Self {
        for (resource, operations) in other.0 {
            match self.0.get_mut(&resource) {
                Some(own) => own.unite(operations),
                None => drop(self.0.insert(resource, operations)),
            }
        }
        self
    }

    /// The intersection of both capabilities. None if it is empty.
    pub fn intersect(&self, asked: &Capability) -> Option<Capability> {
        let mut common: BTreeMap<String, Operations> = BTreeMap::new();
        for (asked_resource, asked_operations) in &asked.0 {
            for (own_resource, own_operations) in &self.0 {
                let narrower = if covers(own_resource, asked_resource) {
                    asked_resource
                } else if covers(asked_resource, own_resource) {
                    own_resource
                } else {
                    continue;
                };
                let operations = own_operations.intersect(asked_operations);
                if operations.is_empty() {
                    continue;
                }
                match common.get_mut(narrower) {
                    Some(known) => known.unite(operations),
                    None => drop(common.insert(narrower.clone(), operations)),
                }
            }
        }
        (!common.is_empty()).then_some(Capability(common))
    }
}

impl std::fmt::Display for Capability {
    /// Canonical JSON: sorted resources, sorted operations.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let map: BTreeMap<&str, Vec<&str>> =
            self.0.iter().map(|(name, operations)| (&**name, operations.names())).collect();
        f.write_str(&serde_json::to_string(&map).map_err(|_| std::fmt::Error)?)
    }
}

/// Whether `pattern` matches every name that `inner`, a name or a pattern, stands for.
fn covers(pattern: &str, inner: &str) -> bool {
    if pattern == "[*]*" || pattern == inner {
        return true;
    }
    // `[*]name` means the channel with and without qualifiers. Qualifiers are not part of a name.
    if let Some(pattern) = pattern.strip_prefix("[*]") {
        return covers(pattern, inner.strip_prefix("[*]").unwrap_or(inner));
    }
    if inner.starts_with('[') {
        return false;
    }
    let mut inner_segments = inner.split(':');
    let mut segments = pattern.split(':').peekable();
    while let Some(segment) = segments.next() {
        let Some(inner_segment) = inner_segments.next() else { return false };
        let last = segments.peek().is_none();
        match segment {
            "*" if last => return true,
            "*" => {}
            // A last `*` in the inner pattern matches more segments than this segment.
            exact if exact == inner_segment && exact != "*" => {}
            _ => return false,
        }
    }
    inner_segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(text: &str) -> Capability {
        Capability::parse(text).unwrap()
    }

    #[test]
    fn resources_match_by_segments() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", "a:b:c", true),
            ("*", "[meta]log", false),
            ("[*]*", "[meta]log", true),
            ("[*]a:*", "a:b", true),
            ("[*]a", "b", false),
            ("a", "[*]a", false),
            ("ns:*", "ns:a:b", true),
            ("ns:*", "ns", false),
            ("ns:*", "nsx:a", false),
            ("a:*:c", "a:b:c", true),
            ("a:*:c", "a:b:b:c", false),
            ("exact", "exact", true),
            ("exact", "exact:more", false),
        ] {
            assert_eq!(covers(pattern, name), expected, "{pattern} covers {name}");
        }
    }

    #[test]
    fn operations_are_the_union_over_all_matching_resources() {
        let both = capability(r#"{"canpublish:*":["publish"],"canpublish:andpresence":["presence"]}"#);
        assert!(both.allows("canpublish:andpresence", Operation::Publish));
        assert!(both.allows("canpublish:andpresence", Operation::Presence));
        assert!(!both.allows("canpublish:other", Operation::Presence));
        assert_eq!(both.modes("canpublish:andpresence"), Modes::PUBLISH.or(Modes::PRESENCE));
    }

    #[test]
    fn a_requested_capability_is_limited_to_that_of_the_key() {
        let key = capability(r#"{"channel2":["publish","subscribe"],"channel6":["*"],"ns:*":["subscribe"]}"#);
        for (asked, expected) in [
            (r#"{"channel2":["presence","subscribe"],"channelx":["presence"]}"#, Some(r#"{"channel2":["subscribe"]}"#)),
            (r#"{"channel2":["*"]}"#, Some(r#"{"channel2":["publish","subscribe"]}"#)),
            (r#"{"channel6":["subscribe","publish"]}"#, Some(r#"{"channel6":["publish","subscribe"]}"#)),
            (r#"{"ns:a":["subscribe"]}"#, Some(r#"{"ns:a":["subscribe"]}"#)),
            (
                r#"{"*":["subscribe"]}"#,
                Some(r#"{"channel2":["subscribe"],"channel6":["subscribe"],"ns:*":["subscribe"]}"#),
            ),
            (r#"{"channelx":["publish"]}"#, None),
            (r#"{"channel2":["presence"]}"#, None),
        ] {
            let common = key.intersect(&capability(asked)).map(|common| common.to_string());
            assert_eq!(common.as_deref(), expected, "{asked}");
        }
    }

    #[test]
    fn malformed_capabilities_are_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"a":[]}"#,
            r#"{"a":["publish_"]}"#,
            r#"{"a":["*","publish"]}"#,
            r#"{"a":"*"}"#,
            r#"{"":["*"]}"#,
        ] {
            assert_eq!(Capability::parse(text).unwrap_err().status_code, 400, "{text}");
        }
    }

    #[test]
    fn operations_are_declared_in_the_order_of_their_names() {
        let names: Vec<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert!(names.is_sorted());
    }
}
