//! What an erasure may change in the log: the texts of the user whose account is erased go, everything else stays.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;

use super::{Row, Session};

const ERASED: &str = "account_erased";

/// The user whose account this row says is erased.
pub(super) fn erased_by(row: &Bytes) -> Option<String> {
    let is_likely = row.windows(ERASED.len()).any(|window| window == ERASED.as_bytes());
    let row: Row = is_likely.then(|| rmp_serde::from_slice(row).ok())??;
    row.event.by.clone().filter(|_| row.event.parts().0 == ERASED)
}

impl Session {
    /// Checks that a durable event says what it said before, apart from the texts of erased users.
    pub(super) fn check_kept(&self, before: &Row, after: &Row) -> Result<(), &'static str> {
        let parts = |row: &Row| (row.event.seq, row.event.at, row.event.by.clone());
        if parts(before) != parts(after) {
            return Err("was changed after it was durable");
        }
        let (was, is) = (&before.event.body, &after.event.body);
        let text = is.to_string();
        if self.erased.iter().any(|user| text.contains(&format!("~{user}."))) {
            return Err("holds a text of a user who was erased");
        }
        let is_own = before.event.by.as_ref().is_some_and(|by| self.erased.contains(by));
        let kept = was == is
            || is_own && bare(was) == bare(is) && strings(is).is_subset(&strings(was))
            || !self.erased.is_empty() && without_invite_name(was) == without_invite_name(is);
        if kept { Ok(()) } else { Err("was changed after it was durable") }
    }

    /// Checks that no text of the user is stored after an erasure.
    pub(super) fn forgotten(&self, id: &str, user: &str) -> Result<(), String> {
        let mark = format!("~{user}.");
        match self.stored.iter().find(|stored| stored.row.event.body.to_string().contains(&mark)) {
            Some(left) => Err(format!("{id}: event {} holds a text of {user}, who was erased", left.row.event.seq)),
            None => Ok(()),
        }
    }
}

/// Either partner's erasure takes the name that the invitation was written with.
fn without_invite_name(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.get_mut("created").and_then(Value::as_object_mut) {
        fields.remove("invite_name");
    }
    body
}

/// The value without strings, and without what held nothing else.
fn bare(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::Null,
        Value::Array(items) => some(items.iter().map(bare).filter(|item| !item.is_null()).collect()),
        Value::Object(fields) => {
            let fields: serde_json::Map<_, _> = fields
                .iter()
                .map(|(name, value)| (name.clone(), bare(value)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            if fields.is_empty() { Value::Null } else { fields.into() }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn some(items: Vec<Value>) -> Value {
    if items.is_empty() { Value::Null } else { items.into() }
}

/// All strings in the value that are not empty.
fn strings(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::String(text) => [text.as_str()].into_iter().filter(|text| !text.is_empty()).collect(),
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}
