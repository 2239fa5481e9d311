//! Stored rows that more than one room reads. MessagePack maps with field names, so that fields can be added; an absent field
//! takes its default.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        Command, Event,
        command::Rename,
        ids::{Seq, SessionId, UserId},
        private_text::PrivateText,
        stage::SessionStatus,
        time::Timestamp,
    },
    ports::StoreError,
    trace::RequestId,
};

/// A push that waits to be sent. Written by the session's actor in the same batch as the event it tells of (or, within the
/// leave-grace, after it); taken by the push sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushJob {
    pub session: SessionId,
    pub user: UserId,
    pub seq: Seq,
    /// The event's name, which chooses the text.
    pub event: String,
    pub created_at: Timestamp,
    /// Why the push was decided, in stable words ("absent", "left within grace", …).
    pub reason: String,
}

pub fn encode<T: Serialize>(row: &T) -> bytes::Bytes {
    rmp_serde::to_vec_named(row).expect("rows hold only what MessagePack can").into()
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| StoreError::new(format_args!("a stored row cannot be read: {}", problem(&error))))
}

/// What is wrong with a row. The library's own text may quote a value, which may be a partner's words.
fn problem(error: &rmp_serde::decode::Error) -> &str {
    use rmp_serde::decode::Error;
    match error {
        // Our own words: they hold a version's number, and nothing of the row besides.
        Error::Uncategorized(text) | Error::Syntax(text) if text.starts_with("a stored event ") => text,
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "it ends too early",
        Error::TypeMismatch(_) => "a value is of another type",
        Error::OutOfRange => "a number is out of range",
        Error::LengthMismatch(_) => "a list has another length",
        Error::Utf8Error(_) => "a text is not UTF-8",
        Error::DepthLimitExceeded => "it is nested too deeply",
        Error::Uncategorized(_) | Error::Syntax(_) => "a field is missing or is not what it should be",
    }
}

/// A stored event with the decisions made of it: "why did this partner get a push?" has its answer beside the event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRow {
    /// In the domain's own versioned form.
    pub event: Event,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routing: Vec<RecordedDecision>,
    /// Of the request that made the event, to find it in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// How one partner was to be told of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDecision {
    pub user: UserId,
    pub at: Timestamp,
    /// `publish`, `push`, `publish_and_push` or `resolve`.
    pub legs: std::borrow::Cow<'static, str>,
    pub reason: std::borrow::Cow<'static, str>,
}

/// A user's part in a session, as the list needs it without waking the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub status: SessionStatus,
    /// The other partner, or the person invited, if known.
    pub partner: Option<UserId>,
    pub resolved_at: Option<Timestamp>,
    /// When the two came together; none as long as one of them has not joined, or once one has withdrawn.
    #[serde(default)]
    pub connected_at: Option<Timestamp>,
    /// Has withdrawn and no longer sees the session. The row stays: what they wrote is found by it when they erase their account.
    #[serde(default)]
    pub left: bool,
}

impl Membership {
    /// The partner, if both are in the session.
    pub fn connected_person(&self) -> Option<UserId> {
        self.partner.clone().filter(|_| self.connected_at.is_some())
    }
}

/// What a user asked of the account while a session could not do it. It is done when the session works again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountWork {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<PrivateText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_activity: Option<bool>,
    pub erase: bool,
}

impl AccountWork {
    /// With what was asked later. An erasure is the end of everything else.
    #[must_use]
    pub fn and_then(self, later: &AccountWork) -> Self {
        if self.erase || later.erase {
            return Self { erase: true, ..Self::default() };
        }
        Self {
            rename: later.rename.clone().or(self.rename),
            show_activity: later.show_activity.or(self.show_activity),
            erase: false,
        }
    }

    /// The commands that do it.
    pub fn commands(self) -> Vec<Command> {
        if self.erase {
            return vec![Command::EraseAccount];
        }
        let rename = self.rename.map(|name| Command::Rename(Rename { name: Some(name) }));
        let activity = self.show_activity.map(|shown| Command::ShowActivity { shown });
        rename.into_iter().chain(activity).collect()
    }
}

/// A session's state as of its `seq`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot<S> {
    pub v: u8,
    pub session: S,
}

/// The version of [`Snapshot`] written now.
pub const SNAPSHOT_VERSION: u8 = 2;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_refusal_of_a_later_version_names_it() {
        // MessagePack maps keep the order in which they are written; the version has to be first.
        #[derive(Serialize)]
        struct Later {
            v: u8,
            body: serde_json::Value,
        }
        let later = encode(&Later { v: 99, body: json!({ "resumed": {} }) });
        let error = decode::<Event>(&later).unwrap_err().to_string();
        assert!(error.contains("version 99"), "{error}");
    }
}
