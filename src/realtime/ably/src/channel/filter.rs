//! Subscription filters: JMESPath expressions over a message's `name` and the `headers` of its extras. They cannot
//! see the data.
//!
//! A filter runs for every message of a channel, and every subscriber can bring one. So only expressions whose cost
//! is linear in their length are accepted. Projections, `map`, `to_string` and whatever else walks or builds lists
//! and objects can be nested to any cost.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use jmespath::{Expression, ast::Ast};
use serde_json::json;

use crate::protocol::{ErrorInfo, Message};

/// The largest number of operators and brackets. Each may add a level of recursion.
const MAX_OPERATORS: usize = 96;
const FUNCTIONS: [&str; 7] = ["contains", "ends_with", "length", "not_null", "starts_with", "to_number", "type"];

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug)]
pub struct Filter(Expression<'static>);

impl Filter {
    /// Parses an expression from a channel qualifier, in base64.
    ///
    /// # Errors
    /// 40010
    pub fn parse(encoded: &str) -> Result<Self, ErrorInfo> {
        let invalid = || ErrorInfo::invalid_channel("a filter must be a JMESPath expression in base64");
        let text = BASE64.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
        if text.matches(|c| "([{!&|.<>=,:".contains(c)).count() > MAX_OPERATORS {
            return Err(ErrorInfo::invalid_channel(format!("a filter must have at most {MAX_OPERATORS} operators")));
        }
        let expression = jmespath::compile(&text).map_err(|_| invalid())?;
        if !is_served(expression.as_ast()) {
            return Err(ErrorInfo::invalid_channel(format!(
                "a filter may contain fields, literals, comparisons, &&, ||, ! and the functions {}",
                FUNCTIONS.join(", ")
            )));
        }
        Ok(Self(expression))
    }

    pub fn wants(&self, message: &Message) -> bool {
        let headers = message.extras.as_ref().and_then(|extras| extras.get("headers"));
        let found = self.0.search(json!({"name": message.name, "headers": headers}));
        found.is_ok_and(|found| found.is_truthy())
    }
}

fn is_served(ast: &Ast) -> bool {
    match ast {
        Ast::Field { .. } | Ast::Index { .. } | Ast::Identity { .. } | Ast::Literal { .. } => true,
        Ast::Not { node, .. } => is_served(node),
        Ast::Comparison { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. } => is_served(lhs) && is_served(rhs),
        Ast::Function { name, args, .. } => FUNCTIONS.contains(&&**name) && args.iter().all(is_served),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Result<Filter, ErrorInfo> {
        Filter::parse(&BASE64.encode(text))
    }

    #[test]
    fn a_filter_sees_names_and_headers() {
        let filter = filter(r#"name == `"sold"` && headers.price > `10`"#).unwrap();
        let message = |name: &str, extras: Option<serde_json::Value>| Message {
            name: Some(name.into()),
            extras: extras.map(Box::new),
            ..Message::default()
        };
        assert!(filter.wants(&message("sold", Some(json!({"headers": {"price": 11}})))));
        assert!(!filter.wants(&message("sold", Some(json!({"headers": {"price": 10}})))));
        assert!(!filter.wants(&message("offered", Some(json!({"headers": {"price": 11}})))));
        assert!(!filter.wants(&message("sold", None)));
        assert!(!filter.wants(&Message::default()));
    }

    #[test]
    fn expressions_of_unbounded_cost_are_refused() {
        for text in [
            "[@, @] | [@, @]",
            "{a: @}",
            "to_string(@)",
            "map(&name, `[1, 1]`)",
            "headers.*",
            "headers[]",
            "a[?b]",
            "name == `1` || !(`[1]`[*])",
        ] {
            assert_eq!(filter(text).unwrap_err().code, 40010, "{text}");
        }
        for text in ["contains(headers.tags, 'a') && !starts_with(name, 'x')", "length(name) > `3`", "headers.a | @"] {
            assert!(filter(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn expressions_that_nest_deeply_are_refused_and_the_deepest_allowed_are_harmless() {
        for (open, close) in
            [("(", ")"), ("!", ""), ("[", "]"), ("a.", ""), ("a || ", ""), ("not_null(", ")"), ("a[?", "]")]
        {
            let nested = |depth: usize| filter(&format!("{}a{}", open.repeat(depth), close.repeat(depth)));
            assert_eq!(nested(MAX_OPERATORS + 1).unwrap_err().code, 40010, "{open}");
            if let Ok(filter) = nested(MAX_OPERATORS / open.matches(|c| "([!.|".contains(c)).count()) {
                filter.wants(&Message::default());
            }
        }
    }
}
