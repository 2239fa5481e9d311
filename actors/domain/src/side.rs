//! The two sides of a session.

use serde::{Deserialize, Serialize};

/// One of the two partners: the creator of the session, or the person who was invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Creator,
    Invitee,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Creator, Side::Invitee];

    pub(crate) const fn other(self) -> Side {
        match self {
            Side::Creator => Side::Invitee,
            Side::Invitee => Side::Creator,
        }
    }
}
