//! Identifiers. An id of the coordinator is `c` followed by `[a-z0-9]`, at least nine characters in all. The app checks
//! this before it calls. The id of a user is the `sub` of the token, unchanged.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}")]
pub struct InvalidId {
    pub(crate) what: &'static str,
    pub(crate) expected: &'static str,
}

fn is_coordinator_id(text: &str) -> bool {
    (9..=64).contains(&text.len())
        && text.starts_with('c')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_user_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text != "*" && !text.chars().any(char::is_control)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $pattern:literal, $valid:path) => {
        #[doc = concat!("The form of ", $what, ": ", $expected, ".")]
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as requests and answers hold it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
                text.description(Some(concat!($what, ": ", $expected))).pattern(Some($pattern)).into()
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $name {}

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if $valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { what: $what, expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! coordinator_id {
    ($name:ident, $what:literal) => {
        id!($name, $what, "'c' followed by 8 to 63 characters of [a-z0-9]", "^c[a-z0-9]{8,63}$", is_coordinator_id);
    };
}

coordinator_id!(SessionId, "a session id");
coordinator_id!(InvitationId, "an invitation id");
coordinator_id!(DraftId, "a draft id");
coordinator_id!(NeedId, "a need id");
coordinator_id!(StrategyId, "a strategy id");
coordinator_id!(AgreementId, "an agreement id");
coordinator_id!(SubChatId, "a sub-chat id");
coordinator_id!(TendingEntryId, "a check-in's id");
coordinator_id!(CheckInId, "the id of a check-in that was handed in");
coordinator_id!(CycleId, "a cycle's id");
coordinator_id!(NoteId, "a note's id");
coordinator_id!(ReminderId, "a reminder's id");
id!(
    /// The `sub` of the caller's token; also the `clientId` on realtime channels.
    UserId,
    "a user id",
    "1 to 128 characters without control characters, and not '*'",
    r"^(?!\*$)[^\x00-\x1f\x7f-\x9f]{1,128}$",
    is_user_id
);

/// A session's strictly increasing event number; the first event is 1.
pub type Seq = u64;

/// The id of the relationship of two people. It is the same in all of their sessions, and for both orders of the
/// arguments.
pub fn relationship(one: &UserId, other: &UserId) -> String {
    let (low, high) = (one.min(other), one.max(other));
    derived(&[b"people", low.as_str().as_bytes(), high.as_str().as_bytes()])
}

pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// An id in the coordinator's form that is computed from its parts.
pub(super) fn derived(parts: &[&[u8]]) -> String {
    from_numbers(digest(parts))
}

/// The number of different characters in an id of the coordinator, after the `c`.
pub const ALPHABET_SIZE: u8 = 36;

/// An id in the coordinator's form: `c` and one character for each of the first 24 numbers, modulo [`ALPHABET_SIZE`].
pub fn from_numbers(numbers: impl IntoIterator<Item = u8>) -> String {
    const ALPHABET: &[u8; ALPHABET_SIZE as usize] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let characters =
        numbers.into_iter().take(24).map(|number| char::from(ALPHABET[usize::from(number % ALPHABET_SIZE)]));
    std::iter::once('c').chain(characters).collect()
}
