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
pub struct SharedNeedView {
    pub id: NeedId,
    pub need: PrivateText,
    pub category: NeedCategory,
    pub description: PrivateText,
    /// Empty: it stays with the need's owner.
    pub evidence: [String; 0],
    pub confirmed: bool,
    pub ai_confidence: u8,
    /// When it was shared.
    pub created_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsComparison {
    pub my_needs: Vec<SharedNeedView>,
    pub partner_needs: Vec<SharedNeedView>,
    pub common_ground: Vec<CommonGroundView>,
    /// Both have shared their needs.
    pub analysis_complete: bool,
    /// Both have shared, and no category is in both lists.
    pub no_overlap: bool,
    pub my_validated: bool,
    pub partner_validated: bool,
    pub can_advance: bool,
    pub seq: Seq,
}

/// A category that both have shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommonGroundView {
    pub id: String,
    pub need: &'static str,
    pub category: NeedCategory,
    pub description: String,
    pub confirmed_by_me: bool,
    pub confirmed_by_partner: bool,
    /// When both had confirmed it.
    pub confirmed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommonGround {
    pub common_ground: Vec<CommonGroundView>,
    /// Both have shared their needs.
    pub analysis_complete: bool,
    pub both_confirmed: bool,
    /// Both have shared, and no category is in both lists.
    pub no_overlap: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommonGroundConfirmed {
    pub updated: Vec<CommonGroundView>,
    pub all_confirmed_by_me: bool,
    pub all_confirmed_by_both: bool,
    pub can_advance: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsValidated {
    pub validated: bool,
    pub validated_at: Option<Timestamp>,
    pub partner_validated: bool,
    pub can_advance: bool,
    pub seq: Seq,
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
