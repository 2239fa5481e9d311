//! Erasure: what a person wrote, and the person's name, are taken out of the log; what happened stays, so that the
//! partner's session still replays.

use super::{CapturedNeed, Event, EventBody, NeedEdit};
use crate::{ids::UserId, private_text::PrivateText};

impl Event {
    /// This event of a session of `erased`, without that person's words. What the creator called the invited person names one
    /// of the two and was written by the other, so it goes with either.
    pub fn redacted(&self, erased: &UserId) -> Event {
        let mut event = self.clone();
        if let EventBody::Created { invite_name, .. } = &mut event.body {
            *invite_name = None;
        }
        if self.by.as_ref() == Some(erased) {
            event.body.forget_words();
        }
        event
    }
}

impl EventBody {
    fn forget_words(&mut self) {
        match self {
            EventBody::Created { name, context, invite_name, .. } => forget([name, context, invite_name]),
            EventBody::Joined { name: words, .. }
            | EventBody::Renamed { name: words }
            | EventBody::FeelHeardConfirmed { feedback: words }
            | EventBody::EmpathyJudged { feedback: words, .. }
            | EventBody::RefinementSkipped { reason: words, .. }
            | EventBody::AgreementDeclined { modification: words, .. }
            | EventBody::Closed { summary: words, .. }
            | EventBody::InvitationSent { message: words }
            | EventBody::Viewed { chat_item: words, .. }
            | EventBody::Paused { reason: words } => forget([words]),
            EventBody::InvitationWritten { topic, message } => forget([topic, message]),
            EventBody::TopicFrameConfirmed { topic } => *topic = PrivateText::default(),
            EventBody::EmpathyDraftSaved { content, .. } | EventBody::EmpathyShared { content, .. } => {
                *content = PrivateText::default();
            }
            EventBody::NeedAdded { need, description, .. } => {
                *need = PrivateText::default();
                forget([description]);
            }
            EventBody::NeedsCaptured { needs } => needs.iter_mut().for_each(CapturedNeed::forget_words),
            EventBody::NeedsEdited { edits } => edits.iter_mut().for_each(NeedEdit::forget_words),
            EventBody::NeedsConfirmed { needs, .. } => needs.iter_mut().for_each(|need| need.adjustment = None),
            EventBody::StrategyProposed { description, needs_addressed, duration, measure_of_success, .. } => {
                *description = PrivateText::default();
                needs_addressed.clear();
                forget([duration, measure_of_success]);
            }
            EventBody::StrategyRevised { description, needs_addressed, duration, measure_of_success, .. } => {
                *description = PrivateText::default();
                needs_addressed.clear();
                forget([duration, measure_of_success]);
            }
            EventBody::SelectionsMade { selections, .. } => {
                selections.iter_mut().for_each(|selection| selection.note = None);
            }
            EventBody::Tending(tending) => tending.forget_words(),
            EventBody::SubChatSaid { content, candidate, .. } => {
                *content = PrivateText::default();
                *candidate = None;
            }
            EventBody::AgreementProposed { description, duration, measure_of_success, .. } => {
                *description = PrivateText::default();
                forget([duration, measure_of_success]);
            }
            EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::InvitationDeclined {}
            | EventBody::AppNoticed { .. }
            | EventBody::CompactSigned {}
            | EventBody::FeelHeardOffered {}
            | EventBody::StageCompleted { .. }
            | EventBody::Advanced { .. }
            | EventBody::NeedsShared { .. }
            | EventBody::CommonGroundConfirmed { .. }
            | EventBody::NeedsValidated { .. }
            | EventBody::ConsentRevoked { .. }
            | EventBody::ConsentDenied { .. }
            | EventBody::ReadyToRank {}
            | EventBody::RankingSubmitted { .. }
            | EventBody::OverlapRevealed { .. }
            | EventBody::PathChosen { .. }
            | EventBody::SelectionsShared { .. }
            | EventBody::SelectionsUnshared {}
            | EventBody::NeedDeclined { .. }
            | EventBody::NeedWalked { .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatResolved { .. }
            | EventBody::AgreementConfirmed { .. }
            | EventBody::FollowUpDue { .. }
            | EventBody::Resumed {}
            | EventBody::Resolved {}
            | EventBody::Abandoned { .. }
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::AccountErased {}
            | EventBody::ActivityShown { .. }
            | EventBody::SawShareTab {}
            | EventBody::Nudged {}
            | EventBody::NudgeRefused {} => {}
        }
    }
}

fn forget<const N: usize>(words: [&mut Option<PrivateText>; N]) {
    words.into_iter().for_each(|words| *words = None);
}
