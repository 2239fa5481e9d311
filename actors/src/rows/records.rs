//! Stored rows, as MessagePack maps with field names. Fields can be added: an absent field takes its default.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        Command, Event,
        command::Rename,
        event,
        ids::{Seq, SessionId, UserId},
        private_text::PrivateText,
        stage::SessionStatus,
        time::Timestamp,
    },
    encoding,
    ports::StoreError,
    trace::RequestId,
};

/// A push that waits to be sent. The session's actor writes it in the same batch as the event, or later within the
/// leave-grace. The push sender takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushJob {
    /// The session of the event.
    pub session: SessionId,
    /// The user who gets the push.
    pub user: UserId,
    /// The event.
    pub seq: Seq,
    /// The event's name, which chooses the text.
    pub event: String,
    /// When the push was decided.
    pub created_at: Timestamp,
    /// The reason of the decision, in stable words ("absent", "left unseen", …).
    pub reason: String,
}

/// A row as it is stored.
pub fn encode<T: Serialize>(row: &T) -> bytes::Bytes {
    encoding::messagepack(row).expect("rows hold only what MessagePack can")
}

/// Reads a stored row.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| StoreError::new(format_args!("a stored row cannot be read: {}", problem(&error))))
}

/// The problem of an unreadable row. The library's own text may quote a value, which may be private text.
fn problem(error: &rmp_serde::decode::Error) -> &'static str {
    use rmp_serde::decode::Error;
    match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "it ends too early",
        Error::TypeMismatch(_) => "a value is of another type",
        Error::OutOfRange => "a number is out of range",
        Error::LengthMismatch(_) => "a list has another length",
        Error::Utf8Error(_) => "a text is not UTF-8",
        Error::DepthLimitExceeded => "it is nested too deeply",
        Error::Uncategorized(_) | Error::Syntax(_) => "a field is missing or is not what it should be",
    }
}

/// A stored event with its delivery decisions, which explain later why a partner got a push.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRow {
    /// In the domain's own versioned form.
    pub event: Event,
    /// The delivery decisions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routing: Vec<RecordedDecision>,
    /// Of the request that made the event, to find it in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl EventRow {
    /// Reads a stored event. The error names a version that this program does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            v: u8,
        }
        #[derive(Deserialize)]
        struct VersionOnly {
            event: Version,
        }
        decode(bytes).map_err(|error| match rmp_serde::from_slice(bytes) {
            Ok(VersionOnly { event: Version { v } }) if v != event::VERSION => StoreError::new(format_args!(
                "a stored event has version {v}; this program reads versions up to {}",
                event::VERSION
            )),
            _ => error,
        })
    }
}

/// The delivery decision for one partner and one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDecision {
    /// The partner.
    pub user: UserId,
    /// When it was decided.
    pub at: Timestamp,
    /// `publish`, `push`, `publish_and_push` or `resolve`.
    pub legs: std::borrow::Cow<'static, str>,
    /// Why, in stable words.
    pub reason: std::borrow::Cow<'static, str>,
}

/// A user's membership of a session, as lists read it without waking the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The session's status.
    pub status: SessionStatus,
    /// The other partner, or the person invited, if known.
    pub partner: Option<UserId>,
    /// When the session was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When both partners had joined; `None` before that, and after one has withdrawn.
    #[serde(default)]
    pub connected_at: Option<Timestamp>,
    /// The user has withdrawn and no longer sees the session. The row stays: it leads an erasure of the account to
    /// what the user wrote.
    #[serde(default)]
    pub left: bool,
}

impl Membership {
    /// The partner, if both are in the session.
    pub fn connected_person(&self) -> Option<UserId> {
        self.partner.clone().filter(|_| self.connected_at.is_some())
    }
}

/// Account operations of a user that a session could not carry out. They are carried out when the session works again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountWork {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<PrivateText>,
    /// Whether partners may see when the user was active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_activity: Option<bool>,
    /// The account is erased.
    pub erase: bool,
}

impl AccountWork {
    /// Adds later operations. An erasure replaces all others.
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

    /// The commands that carry them out.
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
    /// [`SNAPSHOT_VERSION`] when it was written.
    pub v: u8,
    /// The state.
    pub session: S,
}

/// The version of [`Snapshot`] written now.
pub const SNAPSHOT_VERSION: u8 = 3;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // MessagePack maps keep the order in which they are written; the version has to be first.
    #[derive(Serialize)]
    struct Stored {
        v: u8,
        body: serde_json::Value,
    }

    #[derive(Serialize)]
    struct StoredRow {
        event: Stored,
    }

    fn refusal(v: u8, body: serde_json::Value) -> String {
        let row = StoredRow { event: Stored { v, body } };
        EventRow::decode(&encode(&row)).unwrap_err().to_string()
    }

    #[test]
    fn the_refusal_of_a_later_version_names_it() {
        let error = refusal(99, json!({ "resumed": {} }));
        assert!(error.contains("version 99"), "{error}");
    }

    #[test]
    fn the_refusal_of_a_damaged_event_quotes_nothing_of_it() {
        let error = refusal(event::VERSION, json!({ "a partner wrote this": {} }));
        assert!(error.contains("a field is missing or is not what it should be"), "{error}");
        assert!(!error.contains("wrote"), "{error}");
    }
}
