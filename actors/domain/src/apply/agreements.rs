//! How events change rankings and agreements: the reveal of the overlap, confirmed and declined agreements.

use crate::{
    agreement::AgreementStatus,
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    session::Session,
    side::Side,
    strategy::Reveal,
    time::Timestamp,
};

/// The number of declined agreements that are kept, so that members can look them up.
const KEPT_DECLINED: usize = 20;

impl Session {
    pub(super) fn reveal_overlap(&mut self, overlap: &[StrategyId], candidates: &[StrategyId], at: Timestamp) {
        if overlap.is_empty() {
            self.pool.rounds_without_overlap += 1;
        }
        for side in Side::BOTH {
            self.update(Some(side), |member| {
                member.round.reveal(overlap.is_empty(), member.stage4.shared_at.is_some(), at);
            });
        }
        self.pool.reveal = Some(Reveal { overlap: overlap.to_vec(), candidates: candidates.to_vec(), at });
    }

    pub(super) fn confirm_agreement(&mut self, id: &AgreementId, at: Timestamp) {
        if let Some(agreement) = self.agreements.iter_mut().find(|agreement| agreement.id == *id) {
            agreement.status = AgreementStatus::Agreed;
            agreement.agreed_at = Some(at);
        }
    }

    pub(super) fn decline_agreement(
        &mut self,
        author: Option<Side>,
        id: &AgreementId,
        modification: Option<&PrivateText>,
    ) {
        if author.is_none() {
            return;
        }
        if let Some(agreement) = self.agreements.iter_mut().find(|agreement| agreement.id == *id) {
            agreement.status = AgreementStatus::Abandoned;
            agreement.declined_by = author;
            agreement.modification = modification.cloned();
        }
        self.forget_oldest_declined();
    }

    fn forget_oldest_declined(&mut self) {
        let declined = self.agreements.iter().filter(|agreement| !agreement.status.is_live()).count();
        if declined > KEPT_DECLINED
            && let Some(oldest) = self.agreements.iter().position(|agreement| !agreement.status.is_live())
        {
            self.agreements.remove(oldest);
        }
    }
}
