//! A check-in as clients send it.

use std::collections::BTreeMap;

use serde::Deserialize;

#[cfg(feature = "schema")]
use crate::{
    ids::{NoteId, TendingEntryId},
    tending::{Blocker, ContinueChoice, FollowThrough, Helpfulness, NeedResolution, NextAction, TendingScope},
};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrientationRequest {
    /// At most 4000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 4000))]
    pub(super) reflection: Option<String>,
    /// At most 2000 characters for each entry, by its id.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::notes_by_id))]
    pub(super) per_entry_notes: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComesNextRequest {
    /// ANOTHER_ROUND, EXTEND, NEW_PROCESS, PARTIAL_CLOSURE or FULL_CLOSURE.
    #[cfg_attr(feature = "schema", schema(value_type = ContinueChoice))]
    pub(super) continue_choice: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<NextAction>))]
    pub(super) next_action: Option<String>,
    /// RESOLVED or CONTINUING for each entry, by its id.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::resolutions_by_id))]
    pub(super) partial_closure: Option<BTreeMap<String, Option<String>>>,
    pub(super) reminders: Option<Vec<ReminderRequest>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrientationsRequest {
    pub(super) what_worked: Option<OrientationRequest>,
    pub(super) where_more_support: Option<OrientationRequest>,
    #[cfg_attr(feature = "schema", schema(value_type = ComesNextRequest))]
    pub(super) what_comes_next: Option<ComesNextRequest>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryOutcomeRequest {
    #[cfg_attr(feature = "schema", schema(value_type = TendingEntryId))]
    pub(super) tending_entry_id: Option<String>,
    /// HAPPENED, PARTLY_HAPPENED, DID_NOT_HAPPEN or NOT_SURE.
    #[cfg_attr(feature = "schema", schema(value_type = FollowThrough))]
    pub(super) follow_through_status: Option<String>,
    /// HELPED, PARTLY_HELPED, DID_NOT_HELP or NOT_SURE.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Helpfulness>))]
    pub(super) helpfulness_status: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<Blocker>>))]
    pub(super) blocker_categories: Option<Vec<String>>,
    /// At most 2000 characters, like the next two.
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    pub(super) what_happened: Option<String>,
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    pub(super) helped_need: Option<String>,
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    pub(super) blocker_note: Option<String>,
    pub(super) still_worth_trying: Option<bool>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct NeedOutcomeRequest {
    /// A need, or an agreement.
    #[cfg_attr(feature = "schema", schema(max_length = 128))]
    pub(super) need_id: Option<String>,
    /// 1 to 500 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 500, pattern = r"\S"))]
    pub(super) need_label: Option<String>,
    #[cfg_attr(feature = "schema", schema(max_length = 128))]
    pub(super) source_user_id: Option<String>,
    /// RESOLVED, IMPROVING, STILL_OPEN, CHANGED or NOT_SURE.
    #[cfg_attr(feature = "schema", schema(value_type = NeedResolution))]
    pub(super) resolution_status: Option<String>,
    /// At most 2000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    pub(super) note: Option<String>,
    /// At most 500 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    pub(super) changed_need_label: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<NextAction>))]
    pub(super) next_action: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReminderRequest {
    /// A shared reminder needs an entry of both.
    #[cfg_attr(feature = "schema", schema(value_type = Option<TendingEntryId>))]
    pub(super) tending_entry_id: Option<String>,
    /// PRIVATE or SHARED.
    #[cfg_attr(feature = "schema", schema(value_type = TendingScope))]
    pub(super) scope: Option<String>,
    /// RFC 3339 date or time.
    #[cfg_attr(feature = "schema", schema(required, schema_with = crate::command::field_schemas::required_date_or_time))]
    pub(super) remind_at: Option<String>,
    /// ONCE, WEEKLY, MONTHLY or EVERY_COUPLE_MONTHS; any other text of at most 80 characters counts as once.
    #[cfg_attr(feature = "schema", schema(max_length = 80))]
    pub(super) cadence: Option<String>,
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    pub(super) note: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdjustmentRequest {
    #[cfg_attr(feature = "schema", schema(value_type = TendingEntryId))]
    pub(super) tending_entry_id: Option<String>,
    /// PRIVATE or SHARED.
    #[cfg_attr(feature = "schema", schema(value_type = Option<TendingScope>))]
    pub(super) privacy_scope: Option<String>,
    /// At most 2000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    pub(super) revised_commitment_text: Option<String>,
    /// At most 200 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 200))]
    pub(super) revised_cadence: Option<String>,
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    pub(super) revised_success_criteria: Option<String>,
    /// At most 2000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    pub(super) reason: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<Blocker>>))]
    pub(super) blocker_addressed: Option<Vec<String>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "orientations": {"whatWorked": {"reflection": "the walks"}, "whatComesNext": {"continueChoice": "EXTEND"}},
    "entryOutcomes": [],
    "needOutcomes": [{"needLabel": "to be heard", "resolutionStatus": "IMPROVING"}],
    "reminders": []
})))]
/// The body of `POST /sessions/{id}/tending/checkin`.
pub struct CheckInRequest {
    #[cfg_attr(feature = "schema", schema(value_type = OrientationsRequest))]
    pub(super) orientations: Option<OrientationsRequest>,
    pub(super) entry_outcomes: Option<Vec<EntryOutcomeRequest>>,
    pub(super) need_outcomes: Option<Vec<NeedOutcomeRequest>>,
    pub(super) reminders: Option<Vec<ReminderRequest>>,
    pub(super) adjustments: Option<Vec<AdjustmentRequest>>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<NoteId>>))]
    pub(super) included_between_period_note_ids: Option<Vec<String>>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<NoteId>>))]
    pub(super) share_between_period_note_ids: Option<Vec<String>>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<NextAction>))]
    pub(super) next_action: Option<String>,
    /// The needs are not all resolved, and yet it is enough.
    pub(super) resolved_enough_override: Option<bool>,
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    pub(super) resolved_enough_override_note: Option<String>,
}
