//! Needs: one's own; of the partner's the confirmed and consented ones, once both have consented.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Done, Eyes};
use crate::domain::{
    command::ConfirmNeeds,
    event::{Event, EventBody},
    ids::{NeedId, Seq},
    needs::{Need, NeedCategory},
    rejection::{Code, Rejection},
    stage::Stage,
    time::Timestamp,
    words::Words,
};

/// One's own need.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedView {
    pub id: NeedId,
    pub need: Words,
    pub category: NeedCategory,
    /// Empty if there is none.
    pub description: Words,
    pub evidence: [String; 0],
    pub confirmed: bool,
    pub shared: bool,
    /// A partner's own words are certain.
    pub ai_confidence: u8,
}

/// A need that both may see.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedNeedView {
    pub id: NeedId,
    pub need: Words,
    pub category: NeedCategory,
    pub description: Words,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedsList {
    pub needs: Vec<NeedView>,
    /// When the stage was opened: needs are entered by hand.
    pub synthesized_at: Timestamp,
    pub is_dirty: bool,
    pub confirmed_at: Option<Timestamp>,
    pub shared_at: Option<Timestamp>,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedAdded {
    pub need: NeedView,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedsConfirmed {
    /// The needs that the request named, as they are now.
    pub updated: Vec<NeedView>,
    pub confirmed: bool,
    pub confirmed_at: Option<Timestamp>,
    pub all_confirmed: bool,
    pub partner_confirmed: bool,
    pub can_advance: bool,
    pub can_proceed_to_common_ground: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedsShared {
    pub consented: bool,
    pub shared_at: Option<Timestamp>,
    pub waiting_for_partner: bool,
    pub common_ground_ready: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedsComparison {
    pub my_needs: Vec<SharedNeedView>,
    pub partner_needs: Vec<SharedNeedView>,
    pub common_ground: Vec<CommonGroundView>,
    pub seq: Seq,
}

/// A category that both have shared.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
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

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonGround {
    pub common_ground: Vec<CommonGroundView>,
    /// Both have shared their needs.
    pub analysis_complete: bool,
    pub both_confirmed: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonGroundConfirmed {
    pub updated: Vec<CommonGroundView>,
    pub all_confirmed_by_me: bool,
    pub all_confirmed_by_both: bool,
    pub can_advance: bool,
    pub seq: Seq,
}

fn own(need: &Need, consent_stands: bool) -> NeedView {
    NeedView {
        id: need.id.clone(),
        need: need.need.clone(),
        category: need.category,
        description: need.description.clone().unwrap_or_default(),
        evidence: [],
        confirmed: need.confirmed,
        shared: consent_stands && need.confirmed && need.shared,
        ai_confidence: 1,
    }
}

fn shared(need: &Need) -> SharedNeedView {
    SharedNeedView {
        id: need.id.clone(),
        need: need.need.clone(),
        category: need.category,
        description: need.description.clone().unwrap_or_default(),
    }
}

impl Eyes<'_> {
    fn my_need(&self, need: &Need) -> NeedView {
        own(need, self.me.needs.consent_stands())
    }

    pub(super) fn needs(&self) -> NeedsList {
        let record = self.me.record(Stage::NeedMapping);
        NeedsList {
            needs: self.me.needs.list.iter().map(|need| self.my_need(need)).collect(),
            synthesized_at: record.map_or(self.session.created_at, |record| record.started_at),
            is_dirty: false,
            confirmed_at: self.me.needs.confirmed_at,
            shared_at: self.me.needs.shared_at.filter(|_| self.me.needs.consent_stands()),
            seq: self.session.seq,
        }
    }

    pub(super) fn need_added(&self, events: &[Event]) -> Answer {
        let added = events.iter().find_map(|event| match &event.body {
            EventBody::NeedAdded { id, .. } => self.me.needs.list.iter().find(|need| need.id == *id),
            _ => None,
        });
        match added {
            Some(need) => Answer::NeedAdded(NeedAdded { need: self.my_need(need), seq: self.session.seq }),
            None => Answer::Done(Done { done: true, seq: self.session.seq }),
        }
    }

    pub(super) fn needs_confirmed(&self, confirm: &ConfirmNeeds) -> NeedsConfirmed {
        let mine = &self.me.needs;
        let is_named = |need: &&Need| confirm.needs.iter().any(|change| change.need == need.id);
        NeedsConfirmed {
            updated: mine.list.iter().filter(is_named).map(|need| self.my_need(need)).collect(),
            confirmed: mine.any_confirmed(),
            confirmed_at: mine.confirmed_at,
            all_confirmed: mine.list.iter().all(|need| need.confirmed),
            partner_confirmed: self.partner.is_some_and(|partner| partner.needs.any_confirmed()),
            can_advance: self.can_advance(),
            can_proceed_to_common_ground: mine.any_confirmed(),
            seq: self.session.seq,
        }
    }

    pub(super) fn needs_shared(&self) -> NeedsShared {
        let partner_shares = self.partner.is_some_and(|partner| partner.needs.consent_stands());
        NeedsShared {
            consented: self.me.needs.consent_stands(),
            shared_at: self.me.needs.shared_at,
            waiting_for_partner: !partner_shares,
            common_ground_ready: partner_shares && self.me.needs.consent_stands(),
            seq: self.session.seq,
        }
    }

    /// Both sides' needs, while both consents stand.
    pub(super) fn needs_comparison(&self) -> Result<NeedsComparison, Rejection> {
        if !self.me.needs.consent_stands() {
            let message = "share your own needs first; then you see your partner's";
            return Err(Rejection::new(Code::ConsentRequired, message));
        }
        let partner = self.partner.filter(|partner| partner.needs.consent_stands());
        let partner = partner.ok_or_else(|| Rejection::partner_not_ready("your partner shares no needs at present"))?;
        Ok(NeedsComparison {
            my_needs: self.me.needs.shared().map(shared).collect(),
            partner_needs: partner.needs.shared().map(shared).collect(),
            common_ground: self.common_ground_items().unwrap_or_default(),
            seq: self.session.seq,
        })
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

    /// Also where there is nothing in common, both have to have seen that.
    fn both_have_answered(&self) -> bool {
        let theirs = self.partner.and_then(|partner| partner.needs.common_ground_at);
        self.me.needs.common_ground_at.is_some() && theirs.is_some()
    }
}

fn is_confirmed_by_both(item: &CommonGroundView) -> bool {
    item.confirmed_by_me && item.confirmed_by_partner
}
