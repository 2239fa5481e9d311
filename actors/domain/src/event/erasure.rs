//! Erasure: removes a person's text and name from the log. The events themselves stay, so that the partner's session
//! can still be replayed. The type of a field decides: every [`PrivateText`] is erased.

use super::{AbandonCause, Event, EventBody};
use crate::{
    agreement::AgreementType,
    consents::ConsentKind,
    ids::{AgreementId, DraftId, InvitationId, NeedId, SessionId, StrategyId, SubChatId, UserId},
    needs::{CapturedNeed, CommonGroundConfirmation, NeedCategory, NeedConfirmation, NeedEdit},
    private_text::{PrivateText, Salt},
    stage::Stage,
    stage4::{
        Anchor, Candidate, ChatRole, ClosedAgreement, ClosureKind, ClosureReason, Selection, Stage4Path, WalkStep,
    },
    tending::TendingEvent,
    time::Timestamp,
};

/// What an erasure leaves of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Remainder {
    /// Nothing: the collection or option that holds the value drops it.
    Nothing,
    Something,
}

/// A value in an event that may contain the text of a partner.
pub(super) trait Erase {
    fn erase(&mut self) -> Remainder;
}

impl Event {
    /// This event without the text of `erased`. The name that the creator gave to the invited person is removed for
    /// either of the two: it names one of them and was written by the other.
    pub fn redacted(&self, erased: &UserId) -> Event {
        let mut event = self.clone();
        if let EventBody::Created { invite_name, .. } = &mut event.body {
            *invite_name = None;
        }
        if self.by.as_ref() == Some(erased) {
            event.body.erase();
        }
        event
    }
}

impl Erase for PrivateText {
    fn erase(&mut self) -> Remainder {
        *self = PrivateText::default();
        Remainder::Nothing
    }
}

impl<T: Erase> Erase for Option<T> {
    fn erase(&mut self) -> Remainder {
        if self.as_mut().is_some_and(|value| value.erase() == Remainder::Nothing) {
            *self = None;
        }
        Remainder::Something
    }
}

impl<T: Erase> Erase for Vec<T> {
    fn erase(&mut self) -> Remainder {
        self.retain_mut(|value| value.erase() == Remainder::Something);
        Remainder::Something
    }
}

impl Erase for CapturedNeed {
    fn erase(&mut self) -> Remainder {
        self.need.erase();
        self.description.erase();
        self.evidence.erase()
    }
}

impl Erase for NeedEdit {
    fn erase(&mut self) -> Remainder {
        match self {
            NeedEdit::Added { need, .. } => need.erase(),
            NeedEdit::Reworded { before, after, .. } => {
                before.erase();
                after.erase()
            }
            NeedEdit::Removed { before, .. } => before.erase(),
            NeedEdit::Recategorized { .. } => Remainder::Something,
        };
        Remainder::Something
    }
}

impl Erase for NeedConfirmation {
    fn erase(&mut self) -> Remainder {
        self.adjustment.erase()
    }
}

impl Erase for Selection {
    fn erase(&mut self) -> Remainder {
        self.note.erase()
    }
}

impl Erase for Candidate {
    fn erase(&mut self) -> Remainder {
        Remainder::Nothing
    }
}

impl Erase for TendingEvent {
    fn erase(&mut self) -> Remainder {
        self.forget_texts();
        Remainder::Something
    }
}

/// Types that hold no text of a partner. A `String` in an event is an id.
macro_rules! without_text {
    ($($kept:ty),+ $(,)?) => { $(
        impl Erase for $kept {
            fn erase(&mut self) -> Remainder {
                Remainder::Something
            }
        }
    )+ };
}

without_text!(
    AbandonCause,
    AgreementId,
    AgreementType,
    Anchor,
    ChatRole,
    ClosedAgreement,
    ClosureKind,
    ClosureReason,
    CommonGroundConfirmation,
    ConsentKind,
    DraftId,
    InvitationId,
    NeedCategory,
    NeedId,
    Stage4Path,
    Salt,
    SessionId,
    Stage,
    StrategyId,
    String,
    SubChatId,
    Timestamp,
    UserId,
    WalkStep,
    bool,
    u32,
    u64,
);
