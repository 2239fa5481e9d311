//! The viewer's own needs, and the answers to the commands of stage 3.

use serde::Serialize;

use super::{Answer, Viewer};
use crate::{
    command::{ASSUMED_CATEGORY, ConfirmNeeds, EditNeeds, RemoveNeed},
    event::{Event, EventBody},
    ids::{NeedId, Seq},
    needs::{Need, NeedCategory, NeedEdit, RemovedNeed},
    private_text::PrivateText,
    stage::Stage,
    time::Timestamp,
};

/// Goes with [`ASSUMED_CATEGORY`].
const ASSUMED_CATEGORY_WARNING: &str = "a need was added without a category and is listed under MEANING";
const _: () = assert!(matches!(ASSUMED_CATEGORY, NeedCategory::Meaning));

/// One's own need.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct NeedView {
    id: NeedId,
    need: PrivateText,
    category: NeedCategory,
    /// Empty if there is none.
    description: PrivateText,
    evidence: Vec<PrivateText>,
    confirmed: bool,
    shared: bool,
    /// A partner's own words are certain.
    ai_confidence: u8,
    created_at: Timestamp,
    status: NeedStatus,
    /// When it was confirmed as it is.
    locked_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    /// Always null.
    superseded_by_need_id: Option<NeedId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum NeedStatus {
    Draft,
    /// The author has confirmed the need.
    Locked,
    Deleted,
}

/// The answer to `GET /sessions/{id}/needs`: the caller's own needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsList {
    needs: Vec<NeedView>,
    /// When the stage was opened: needs are entered by hand.
    synthesized_at: Timestamp,
    /// Another service may be at work on needs; this one never is.
    extracting: bool,
    /// Always false.
    is_dirty: bool,
    confirmed_at: Option<Timestamp>,
    shared_at: Option<Timestamp>,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/needs`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedAdded {
    need: NeedView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/needs/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsConfirmed {
    /// The needs that the request named, as they are now.
    updated: Vec<NeedView>,
    confirmed: bool,
    confirmed_at: Option<Timestamp>,
    all_confirmed: bool,
    partner_confirmed: bool,
    can_advance: bool,
    /// Any need of the caller is confirmed.
    can_proceed_to_common_ground: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/needs/consent`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsShared {
    consented: bool,
    shared_at: Option<Timestamp>,
    /// The partner shares nothing at present.
    waiting_for_partner: bool,
    /// Both partners have shared their needs.
    common_ground_ready: bool,
    /// Both lists can be seen.
    needs_reveal_ready: bool,
    /// The caller is in stage 4. Sharing alone never leads there.
    advanced_to_stage4: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/needs/capture`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsCaptured {
    /// The caller's needs.
    needs: Vec<NeedView>,
    captured_at: Timestamp,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/needs/apply-edits`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedsEdited {
    /// The caller's needs.
    needs: Vec<NeedView>,
    /// What has changed, in order.
    applied: Vec<AppliedEdit>,
    /// In English, for the caller; empty if there is nothing to note.
    warnings: Vec<&'static str>,
    seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct AppliedEdit {
    need_id: NeedId,
    /// A text, or the name of a category.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<PrivateText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<PrivateText>,
    /// The kind of change. `before` is left out for `add`, `after` for `remove`.
    operation: EditOperation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum EditOperation {
    TextChange,
    CategoryChange,
    Add,
    Remove,
}

/// The answer to `DELETE /sessions/{id}/needs/{needId}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedRemoved {
    deleted: bool,
    need_id: NeedId,
    /// The need before it was deleted.
    need: Option<NeedView>,
    seq: Seq,
}

fn own(need: &Need, consent_stands: bool) -> NeedView {
    NeedView {
        id: need.id.clone(),
        need: need.need.clone(),
        category: need.category,
        description: need.description.clone().unwrap_or_default(),
        evidence: need.evidence.clone(),
        confirmed: need.confirmed,
        shared: consent_stands && need.confirmed && need.shared,
        ai_confidence: 1,
        created_at: need.created_at,
        status: if need.confirmed { NeedStatus::Locked } else { NeedStatus::Draft },
        locked_at: need.confirmed_at,
        deleted_at: None,
        superseded_by_need_id: None,
    }
}

/// `text` is the former text of the need, which is no longer in the state.
fn removed(need: &RemovedNeed, text: PrivateText) -> NeedView {
    NeedView {
        id: need.id.clone(),
        need: text,
        category: need.category,
        description: PrivateText::default(),
        evidence: Vec::new(),
        confirmed: false,
        shared: false,
        ai_confidence: 1,
        created_at: need.created_at,
        status: NeedStatus::Deleted,
        locked_at: None,
        deleted_at: Some(need.at),
        superseded_by_need_id: None,
    }
}

fn applied(edit: &NeedEdit) -> AppliedEdit {
    let name = |category: &NeedCategory| Some(PrivateText::new(<&str>::from(category)));
    let (need_id, before, after, operation) = match edit {
        NeedEdit::Added { id, need, .. } => (id, None, Some(need.clone()), EditOperation::Add),
        NeedEdit::Reworded { need, before, after } => {
            (need, Some(before.clone()), Some(after.clone()), EditOperation::TextChange)
        }
        NeedEdit::Recategorized { need, before, after } => {
            (need, name(before), name(after), EditOperation::CategoryChange)
        }
        NeedEdit::Removed { need, before } => (need, Some(before.clone()), None, EditOperation::Remove),
    };
    AppliedEdit { need_id: need_id.clone(), before, after, operation }
}

fn edits(events: &[Event]) -> impl Iterator<Item = &NeedEdit> {
    let edits = events.iter().filter_map(|event| {
        let EventBody::NeedsEdited { edits } = &event.body else { return None };
        Some(edits)
    });
    edits.flatten()
}

impl Viewer<'_> {
    fn my_need(&self, need: &Need) -> NeedView {
        own(need, self.me.needs.consent_stands())
    }

    fn my_needs(&self) -> Vec<NeedView> {
        self.me.needs.list.iter().map(|need| self.my_need(need)).collect()
    }

    pub(super) fn needs_captured(&self) -> NeedsCaptured {
        let at = self.session.last_event_at;
        NeedsCaptured { needs: self.my_needs(), captured_at: at, seq: self.session.seq }
    }

    pub(super) fn needs_edited(&self, edit: &EditNeeds, events: &[Event]) -> NeedsEdited {
        let assumed = edit.assumes_category().then_some(ASSUMED_CATEGORY_WARNING);
        NeedsEdited {
            needs: self.my_needs(),
            applied: edits(events).map(applied).collect(),
            warnings: assumed.into_iter().collect(),
            seq: self.session.seq,
        }
    }

    pub(super) fn need_removed(&self, remove: &RemoveNeed, events: &[Event]) -> NeedRemoved {
        let text = edits(events).find_map(|edit| {
            let NeedEdit::Removed { before, .. } = edit else { return None };
            Some(before.clone())
        });
        let need = self.me.needs.removed.iter().find(|need| need.id == remove.need);
        NeedRemoved {
            deleted: need.is_some(),
            need_id: remove.need.clone(),
            need: need.map(|need| removed(need, text.unwrap_or_default())),
            seq: self.session.seq,
        }
    }

    pub(super) fn needs(&self) -> NeedsList {
        let record = self.me.record(Stage::NeedMapping);
        NeedsList {
            needs: self.my_needs(),
            synthesized_at: record.map_or(self.session.created_at, |record| record.started_at),
            extracting: false,
            is_dirty: false,
            confirmed_at: self.me.needs.confirmed_at,
            shared_at: self.me.needs.shared_at.filter(|_| self.me.needs.consent_stands()),
            seq: self.session.seq,
        }
    }

    pub(super) fn need_added(&self, events: &[Event]) -> Answer {
        let added = events.iter().find_map(|event| {
            let EventBody::NeedAdded { id, .. } = &event.body else { return None };
            self.me.needs.list.iter().find(|need| need.id == *id)
        });
        match added {
            Some(need) => Answer::NeedAdded(Box::new(NeedAdded { need: self.my_need(need), seq: self.session.seq })),
            None => Answer::done(self.session.seq),
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
            needs_reveal_ready: partner_shares && self.me.needs.consent_stands(),
            advanced_to_stage4: self.me.stage() == Stage::StrategicRepair,
            seq: self.session.seq,
        }
    }
}
