//! A check-in as clients send it.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrientationRequest {
    /// At most 4000 characters.
    pub reflection: Option<String>,
    /// At most 2000 characters for each entry, by its id.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub per_entry_notes: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ComesNextRequest {
    /// ANOTHER_ROUND, EXTEND, NEW_PROCESS, PARTIAL_CLOSURE or FULL_CLOSURE.
    pub continue_choice: Option<String>,
    pub next_action: Option<String>,
    /// RESOLVED or CONTINUING for each entry, by its id.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub partial_closure: Option<BTreeMap<String, Option<String>>>,
    pub reminders: Option<Vec<ReminderRequest>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrientationsRequest {
    pub what_worked: Option<OrientationRequest>,
    pub where_more_support: Option<OrientationRequest>,
    pub what_comes_next: Option<ComesNextRequest>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EntryOutcomeRequest {
    pub tending_entry_id: Option<String>,
    /// HAPPENED, PARTLY_HAPPENED, DID_NOT_HAPPEN or NOT_SURE.
    pub follow_through_status: Option<String>,
    /// HELPED, PARTLY_HELPED, DID_NOT_HELP or NOT_SURE.
    pub helpfulness_status: Option<String>,
    pub blocker_categories: Option<Vec<String>>,
    /// At most 2000 characters, like the next two.
    pub what_happened: Option<String>,
    pub helped_need: Option<String>,
    pub blocker_note: Option<String>,
    pub still_worth_trying: Option<bool>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedOutcomeRequest {
    /// A need, or an agreement.
    pub need_id: Option<String>,
    /// 1 to 500 characters.
    pub need_label: Option<String>,
    pub source_user_id: Option<String>,
    /// RESOLVED, IMPROVING, STILL_OPEN, CHANGED or NOT_SURE.
    pub resolution_status: Option<String>,
    /// At most 2000 characters.
    pub note: Option<String>,
    /// At most 500 characters.
    pub changed_need_label: Option<String>,
    pub next_action: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReminderRequest {
    /// A shared reminder needs an entry of both.
    pub tending_entry_id: Option<String>,
    /// PRIVATE or SHARED.
    pub scope: Option<String>,
    /// RFC 3339 date or time.
    pub remind_at: Option<String>,
    /// ONCE, WEEKLY, MONTHLY or EVERY_COUPLE_MONTHS; any other text of at most 80 characters counts as once.
    pub cadence: Option<String>,
    /// At most 1000 characters.
    pub note: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AdjustmentRequest {
    pub tending_entry_id: Option<String>,
    /// PRIVATE or SHARED.
    pub privacy_scope: Option<String>,
    /// At most 2000 characters.
    pub revised_commitment_text: Option<String>,
    /// At most 200 characters.
    pub revised_cadence: Option<String>,
    /// At most 1000 characters.
    pub revised_success_criteria: Option<String>,
    /// At most 2000 characters.
    pub reason: Option<String>,
    pub blocker_addressed: Option<Vec<String>>,
}

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckInRequest {
    pub orientations: Option<OrientationsRequest>,
    pub entry_outcomes: Option<Vec<EntryOutcomeRequest>>,
    pub need_outcomes: Option<Vec<NeedOutcomeRequest>>,
    pub reminders: Option<Vec<ReminderRequest>>,
    pub adjustments: Option<Vec<AdjustmentRequest>>,
    pub included_between_period_note_ids: Option<Vec<String>>,
    pub share_between_period_note_ids: Option<Vec<String>>,
    pub next_action: Option<String>,
    /// The needs are not all resolved, and yet it is enough.
    pub resolved_enough_override: Option<bool>,
    /// At most 1000 characters.
    pub resolved_enough_override_note: Option<String>,
}
