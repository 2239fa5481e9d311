//! The needs of both partners side by side. Every read checks that both consents stand.

use serde::Serialize;

use super::Viewer;
use crate::{
    ids::{NeedId, Seq},
    member::Member,
    needs::{Need, NeedCategory},
    private_text::PrivateText,
    rejection::{Code, Rejection},
    stage::Stage,
    time::Timestamp,
};

/// A need that both may see.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct SharedNeedView {
    id: NeedId,
    need: PrivateText,
    category: NeedCategory,
    description: PrivateText,
    /// Empty: it stays with the need's owner.
    evidence: [String; 0],
    confirmed: bool,
    /// Always 1: a partner's own words are certain.
    ai_confidence: u8,
    /// When it was shared.
    created_at: Option<Timestamp>,
}

/// The answer to `GET /sessions/{id}/needs/comparison`: the shared needs of both partners.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsComparison {
    my_needs: Vec<SharedNeedView>,
    partner_needs: Vec<SharedNeedView>,
    common_ground: Vec<CommonGroundView>,
    /// Both have shared their needs.
    analysis_complete: bool,
    /// Both have shared, and no category is in both lists.
    no_overlap: bool,
    /// The viewer calls both lists right.
    my_validated: bool,
    partner_validated: bool,
    can_advance: bool,
    seq: Seq,
}

/// A category that both have shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct CommonGroundView {
    id: String,
    need: &'static str,
    category: NeedCategory,
    description: String,
    confirmed_by_me: bool,
    confirmed_by_partner: bool,
    /// When both had confirmed it.
    confirmed_at: Option<Timestamp>,
}

/// The answer to `GET /sessions/{id}/common-ground`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommonGround {
    common_ground: Vec<CommonGroundView>,
    /// Both have shared their needs.
    analysis_complete: bool,
    /// Both have confirmed all of it, even if it is empty.
    both_confirmed: bool,
    /// Both have shared, and no category is in both lists.
    no_overlap: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/common-ground/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommonGroundConfirmed {
    updated: Vec<CommonGroundView>,
    all_confirmed_by_me: bool,
    all_confirmed_by_both: bool,
    can_advance: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/needs/validate`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsValidated {
    validated: bool,
    validated_at: Option<Timestamp>,
    partner_validated: bool,
    can_advance: bool,
    seq: Seq,
}

fn shared(need: &Need, shared_at: Option<Timestamp>) -> SharedNeedView {
    SharedNeedView {
        id: need.id.clone(),
        need: need.need.clone(),
        category: need.category,
        description: need.description.clone().unwrap_or_default(),
        evidence: [],
        confirmed: true,
        ai_confidence: 1,
        created_at: shared_at,
    }
}

impl Viewer<'_> {
    /// The needs of both partners, while both consents stand. The app asks earlier, and expects empty lists then.
    pub(super) fn needs_comparison(&self) -> Result<NeedsComparison, Rejection> {
        match self.both_sides() {
            Ok((mine, theirs)) => Ok(self.comparison(mine, theirs)),
            Err(_) if self.me.in_app_mode() => Ok(self.comparison(Vec::new(), Vec::new())),
            Err(refusal) => Err(refusal),
        }
    }

    fn both_sides(&self) -> Result<(Vec<SharedNeedView>, Vec<SharedNeedView>), Rejection> {
        if !self.me.needs.consent_stands() {
            let message = "share your own needs first; then you see your partner's";
            return Err(Rejection::new(Code::ConsentRequired, message));
        }
        let partner = self.partner.filter(|partner| partner.needs.consent_stands());
        let partner = partner.ok_or_else(|| Rejection::partner_not_ready("your partner shares no needs at present"))?;
        let each = |member: &Member| {
            member.needs.shared().map(|need| shared(need, member.needs.shared_at)).collect::<Vec<_>>()
        };
        Ok((each(self.me), each(partner)))
    }

    fn comparison(&self, my_needs: Vec<SharedNeedView>, partner_needs: Vec<SharedNeedView>) -> NeedsComparison {
        let items = self.common_ground_items();
        NeedsComparison {
            my_needs,
            partner_needs,
            analysis_complete: items.is_some(),
            no_overlap: items.as_ref().is_some_and(Vec::is_empty),
            common_ground: items.unwrap_or_default(),
            my_validated: self.me.needs.validated_at.is_some(),
            partner_validated: self.partner_validated_needs(),
            can_advance: self.can_advance(),
            seq: self.session.seq,
        }
    }

    fn partner_validated_needs(&self) -> bool {
        self.partner.is_some_and(|partner| partner.needs.validated_at.is_some())
    }

    pub(super) fn needs_validated(&self) -> NeedsValidated {
        NeedsValidated {
            validated: self.me.needs.validated_at.is_some() || self.me.has_left(Stage::NeedMapping),
            validated_at: self.me.needs.validated_at,
            partner_validated: self.partner_validated_needs(),
            can_advance: self.can_advance(),
            seq: self.session.seq,
        }
    }

    fn common_ground_items(&self) -> Option<Vec<CommonGroundView>> {
        let theirs = &self.partner?.needs.common_ground;
        let mine = &self.me.needs.common_ground;
        let view = |category: NeedCategory| CommonGroundView {
            id: category.common_ground_id(&self.session.id),
            need: category.label(),
            category,
            description: format!("You both need {}", category.label().to_lowercase()),
            confirmed_by_me: mine.contains_key(&category),
            confirmed_by_partner: theirs.contains_key(&category),
            confirmed_at: mine.get(&category).zip(theirs.get(&category)).map(|(one, other)| *one.max(other)),
        };
        Some(self.session.common_ground()?.into_iter().map(view).collect())
    }

    pub(super) fn common_ground(&self) -> CommonGround {
        let items = self.common_ground_items();
        let answered = self.both_have_answered();
        CommonGround {
            analysis_complete: items.is_some(),
            no_overlap: items.as_ref().is_some_and(Vec::is_empty),
            both_confirmed: answered && items.as_ref().is_some_and(|items| items.iter().all(is_confirmed_by_both)),
            common_ground: items.unwrap_or_default(),
            seq: self.session.seq,
        }
    }

    pub(super) fn common_ground_confirmed(&self) -> CommonGroundConfirmed {
        let items = self.common_ground_items().unwrap_or_default();
        CommonGroundConfirmed {
            all_confirmed_by_me: items.iter().all(|item| item.confirmed_by_me),
            all_confirmed_by_both: self.both_have_answered() && items.iter().all(is_confirmed_by_both),
            updated: items,
            can_advance: self.can_advance(),
            seq: self.session.seq,
        }
    }

    /// Both have to confirm even an empty common ground.
    fn both_have_answered(&self) -> bool {
        let theirs = self.partner.and_then(|partner| partner.needs.common_ground_at);
        self.me.needs.common_ground_at.is_some() && theirs.is_some()
    }
}

fn is_confirmed_by_both(item: &CommonGroundView) -> bool {
    item.confirmed_by_me && item.confirmed_by_partner
}
