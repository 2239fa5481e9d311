//! How events change the needs of a member: capture, sharing, common ground.

use crate::{
    consents::ConsentKind,
    ids::NeedId,
    needs::{CapturedNeed, CommonGroundConfirmation, Needs},
    session::Session,
    side::Side,
    stage::Stage,
    time::Timestamp,
};

impl Needs {
    /// Captured needs replace the unconfirmed ones.
    pub(super) fn capture(&mut self, captured: &[CapturedNeed], at: Timestamp) {
        self.list.retain(|need| need.confirmed);
        captured.iter().for_each(|need| self.add(need.clone(), at));
    }

    pub(super) fn confirm_common_ground(&mut self, answers: &[CommonGroundConfirmation], at: Timestamp) {
        for answer in answers {
            if answer.confirmed {
                self.common_ground.entry(answer.category).or_insert(at);
            } else {
                self.common_ground.remove(&answer.category);
            }
        }
        self.common_ground_at = Some(at);
    }
}

impl Session {
    pub(super) fn share_needs(&mut self, author: Option<Side>, needs: &[NeedId], at: Timestamp) {
        self.update(author, |me| {
            me.needs.list.iter_mut().for_each(|need| need.shared = needs.contains(&need.id));
            me.needs.shared_at = Some(at);
            me.needs.revoked_at = None;
            let version = me.consent_version(ConsentKind::Needs);
            me.consents.grant(ConsentKind::Needs, version, needs.to_vec(), at);
        });
        // The partner's validation was about the previous list, so it no longer counts.
        self.update(author.map(Side::other), |partner| {
            if !partner.has_left(Stage::NeedMapping) {
                partner.needs.validated_at = None;
            }
        });
    }
}
