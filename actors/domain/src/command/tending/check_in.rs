//! A check-in on all entries that are open for the caller.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    TendingCommand, must_have_room, record,
    request::{
        AdjustmentRequest, CheckInRequest, EntryOutcomeRequest, NeedOutcomeRequest, OrientationRequest, ReminderRequest,
    },
};
use crate::{
    command::{Command, action::MemberAction, fields},
    ids::{InvalidId, NoteId, TendingEntryId},
    private_text::PrivateText,
    rejection::Rejection,
    tending::{
        Adjustment, Blocker, CheckIn, ContinueChoice, EXTEND_BY, EntryNotes, EntryOutcome, NeedOutcome, NewReminder,
        TendingEvent, TendingScope, result_of,
    },
};

/// The most items of each list.
const MOST_ITEMS: usize = 50;
/// An equal check-in within this time is a repeated request whose answer was lost.
const REPEATED_WITHIN: std::time::Duration = std::time::Duration::from_secs(600);

/// A check-in before it has its ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheckIn(pub(crate) CheckIn);

impl TryFrom<CheckInRequest> for Command {
    type Error = Rejection;
    fn try_from(request: CheckInRequest) -> Result<Self, Rejection> {
        let orientations = request.orientations.unwrap_or_default();
        let next = orientations.what_comes_next.unwrap_or_default();
        let choice = "orientations.whatComesNext.continueChoice";
        let choice: ContinueChoice = fields::variant(choice, next.continue_choice)?;
        let action = fields::optional_variant("nextAction", request.next_action)?;
        let other = fields::optional_variant("orientations.whatComesNext.nextAction", next.next_action)?;
        let mut entry_notes = BTreeMap::new();
        let worked = orientation("whatWorked", orientations.what_worked, &mut entry_notes, |notes, words| {
            notes.worked = Some(words);
        })?;
        let support =
            orientation("whereMoreSupport", orientations.where_more_support, &mut entry_notes, |notes, words| {
                notes.support = Some(words);
            })?;
        let mut reminders = list("reminders", request.reminders, reminder)?;
        reminders.extend(list("reminders", next.reminders, reminder)?);
        let draft = CheckIn {
            id: placeholder(),
            choice,
            next_action: action.or(other).unwrap_or(choice.next_action()),
            worked,
            support,
            entry_notes,
            partial_closure: by_entry("partialClosure", next.partial_closure, |value| {
                fields::variant("partialClosure", value)
            })?,
            outcomes: list("entryOutcomes", request.entry_outcomes, outcome)?,
            needs: list("needOutcomes", request.need_outcomes, need)?,
            adjustments: list("adjustments", request.adjustments, adjustment)?,
            reminders,
            included_notes: notes("includedBetweenPeriodNoteIds", request.included_between_period_note_ids)?,
            shared_notes: notes("shareBetweenPeriodNoteIds", request.share_between_period_note_ids)?,
            overrides: request.resolved_enough_override.unwrap_or_default(),
            override_note: fields::optional_text(
                "resolvedEnoughOverrideNote",
                request.resolved_enough_override_note,
                1_000,
            )?,
        };
        Ok(TendingCommand::CheckIn(Box::new(NewCheckIn(draft))).into())
    }
}

fn placeholder<T: FromStr<Err = InvalidId>>() -> T {
    "c00000000".parse().expect("c and eight digits are an id")
}

fn list<R, T>(
    field: &str,
    requests: Option<Vec<R>>,
    parse: fn(R) -> Result<T, Rejection>,
) -> Result<Vec<T>, Rejection> {
    let requests = requests.unwrap_or_default();
    if requests.len() > MOST_ITEMS {
        let found = format_args!("{} items", requests.len()).to_string();
        return Err(Rejection::invalid(field, found, format_args!("{MOST_ITEMS} items at most")));
    }
    requests.into_iter().map(parse).collect()
}

fn by_entry<V, T>(
    field: &str,
    values: Option<BTreeMap<String, Option<V>>>,
    parse: impl Fn(Option<V>) -> Result<T, Rejection>,
) -> Result<BTreeMap<TendingEntryId, T>, Rejection> {
    let values = values.unwrap_or_default();
    if values.len() > MOST_ITEMS {
        let found = format_args!("{} entries", values.len()).to_string();
        return Err(Rejection::invalid(field, found, format_args!("{MOST_ITEMS} entries at most")));
    }
    let values = values.into_iter().filter(|(_, value)| value.is_some());
    values.map(|(id, value)| Ok((fields::id(field, &id)?, parse(value)?))).collect()
}

fn orientation(
    name: &str,
    request: Option<OrientationRequest>,
    all: &mut BTreeMap<TendingEntryId, EntryNotes>,
    keep: fn(&mut EntryNotes, PrivateText),
) -> Result<Option<PrivateText>, Rejection> {
    let request = request.unwrap_or_default();
    let field = format!("orientations.{name}.perEntryNotes");
    for (id, words) in by_entry(&field, request.per_entry_notes, |note| fields::optional_text(&field, note, 2_000))? {
        if let Some(words) = words {
            keep(all.entry(id).or_default(), words);
        }
    }
    fields::optional_text(&format!("orientations.{name}.reflection"), request.reflection, 4_000)
}

fn entry_id(field: &str, id: Option<String>) -> Result<TendingEntryId, Rejection> {
    fields::id(field, &fields::required(field, id, "the id of an entry")?)
}

fn blockers(field: &str, names: Option<Vec<String>>) -> Result<Vec<Blocker>, Rejection> {
    let mut blockers = Vec::new();
    for name in names.unwrap_or_default() {
        let blocker = fields::variant(field, Some(name))?;
        if !blockers.contains(&blocker) {
            blockers.push(blocker);
        }
    }
    Ok(blockers)
}

fn outcome(request: EntryOutcomeRequest) -> Result<EntryOutcome, Rejection> {
    let text = |name: &str, text| fields::optional_text(&format!("entryOutcomes.{name}"), text, 2_000);
    Ok(EntryOutcome {
        tending_entry_id: entry_id("entryOutcomes.tendingEntryId", request.tending_entry_id)?,
        follow_through_status: fields::variant("entryOutcomes.followThroughStatus", request.follow_through_status)?,
        helpfulness_status: fields::optional_variant("entryOutcomes.helpfulnessStatus", request.helpfulness_status)?,
        blocker_categories: blockers("entryOutcomes.blockerCategories", request.blocker_categories)?,
        what_happened: text("whatHappened", request.what_happened)?,
        helped_need: text("helpedNeed", request.helped_need)?,
        blocker_note: text("blockerNote", request.blocker_note)?,
        still_worth_trying: request.still_worth_trying,
    })
}

fn need(request: NeedOutcomeRequest) -> Result<NeedOutcome, Rejection> {
    let plain = |name: &str, text: Option<String>| {
        let words = fields::optional_text(&format!("needOutcomes.{name}"), text, 128)?;
        Ok::<_, Rejection>(words.map(|words| words.reveal().to_owned()))
    };
    Ok(NeedOutcome {
        need_id: plain("needId", request.need_id)?,
        need_label: fields::text("needOutcomes.needLabel", request.need_label, 1..=500)?,
        source_user_id: plain("sourceUserId", request.source_user_id)?,
        resolution_status: fields::variant("needOutcomes.resolutionStatus", request.resolution_status)?,
        note: fields::optional_text("needOutcomes.note", request.note, 2_000)?,
        changed_need_label: fields::optional_text("needOutcomes.changedNeedLabel", request.changed_need_label, 500)?,
        next_action: fields::optional_variant("needOutcomes.nextAction", request.next_action)?,
    })
}

fn reminder(request: ReminderRequest) -> Result<NewReminder, Rejection> {
    let remind_at = fields::date_or_time("reminders.remindAt", request.remind_at)?;
    Ok(NewReminder {
        id: placeholder(),
        entry: request.tending_entry_id.map(|id| fields::id("reminders.tendingEntryId", &id)).transpose()?,
        scope: fields::variant("reminders.scope", request.scope)?,
        remind_at: fields::required("reminders.remindAt", remind_at, "an RFC 3339 date or time")?,
        cadence: fields::optional_text("reminders.cadence", request.cadence, 80)?,
        note: fields::optional_text("reminders.note", request.note, 1_000)?,
    })
}

fn adjustment(request: AdjustmentRequest) -> Result<Adjustment, Rejection> {
    let text = |name: &str, text, longest| fields::optional_text(&format!("adjustments.{name}"), text, longest);
    Ok(Adjustment {
        tending_entry_id: entry_id("adjustments.tendingEntryId", request.tending_entry_id)?,
        privacy_scope: fields::optional_variant("adjustments.privacyScope", request.privacy_scope)?
            .unwrap_or(TendingScope::Private),
        revised_commitment_text: text("revisedCommitmentText", request.revised_commitment_text, 2_000)?,
        revised_cadence: text("revisedCadence", request.revised_cadence, 200)?,
        revised_success_criteria: text("revisedSuccessCriteria", request.revised_success_criteria, 1_000)?,
        reason: text("reason", request.reason, 2_000)?,
        blocker_addressed: blockers("adjustments.blockerAddressed", request.blocker_addressed)?,
    })
}

fn notes(field: &str, ids: Option<Vec<String>>) -> Result<Vec<NoteId>, Rejection> {
    let mut ids = ids.unwrap_or_default();
    ids.sort();
    ids.dedup();
    fields::ids(field, &ids)
}

/// A repetition changes nothing. The second check-in of a cycle ends it.
pub(super) fn decide(action: &mut MemberAction<'_>, NewCheckIn(draft): &NewCheckIn) -> Result<(), Rejection> {
    let tending = &action.session.tending;
    let last = tending.check_ins.iter().rev().find(|taken| taken.by == action.side);
    let is_repeated = last
        .is_some_and(|last| action.ctx.now.since(last.at) <= REPEATED_WITHIN && last.check_in.says_the_same_as(draft));
    if is_repeated {
        return Ok(());
    }
    let open: Vec<_> = tending.open_for(action.side).map(|entry| entry.id.clone()).collect();
    if open.is_empty() {
        return Err(Rejection::gate("there is no open check-in at present"));
    }
    let shared: Vec<_> =
        tending.open_for(action.side).filter(|entry| entry.is_shared()).map(|entry| entry.id.clone()).collect();
    must_fit(draft, &open, &shared)?;
    must_own_notes(action, draft)?;
    must_have_room(action, rmp_serde::to_vec(draft).map_or(0, |bytes| bytes.len()))?;
    let cycle = (!shared.is_empty())
        .then(|| tending.waiting_cycle(&shared).map_or_else(|| action.ctx.fresh(), |cycle| cycle.id.clone()));
    let mut check_in = draft.clone();
    check_in.id = action.ctx.fresh();
    check_in.reminders.iter_mut().for_each(|reminder| reminder.id = action.ctx.fresh());
    record(action, TendingEvent::CheckedIn { check_in: Box::new(check_in.clone()), cycle: cycle.clone() });
    let Some(cycle) = cycle else { return Ok(()) };
    let mut check_ins = tending.check_ins_of(&cycle);
    check_ins.insert(action.side, &check_in);
    if action.session.remaining_sides().iter().all(|side| check_ins.contains_key(side)) {
        let result = result_of(&check_ins.into_values().collect::<Vec<_>>());
        let next = action.ctx.now + EXTEND_BY;
        record(action, TendingEvent::CycleResolved { cycle, result, next });
    }
    Ok(())
}

fn must_fit(draft: &CheckIn, open: &[TendingEntryId], shared: &[TendingEntryId]) -> Result<(), Rejection> {
    let named = [
        ("entryOutcomes.tendingEntryId", draft.outcomes.iter().map(|item| &item.tending_entry_id).collect::<Vec<_>>()),
        ("reminders.tendingEntryId", draft.reminders.iter().filter_map(|item| item.entry.as_ref()).collect()),
        ("adjustments.tendingEntryId", draft.adjustments.iter().map(|item| &item.tending_entry_id).collect()),
    ];
    for (field, ids) in named {
        if ids.iter().any(|id| !open.contains(id)) {
            return Err(Rejection::invalid(field, "another entry", "an entry that is open for you"));
        }
    }
    let is_of_both = |reminder: &NewReminder| reminder.entry.as_ref().is_some_and(|entry| shared.contains(entry));
    if draft.reminders.iter().any(|reminder| reminder.scope == TendingScope::Shared && !is_of_both(reminder)) {
        return Err(Rejection::invalid(
            "reminders.scope",
            "SHARED without an entry of both of you",
            "PRIVATE, or name such an entry",
        ));
    }
    if draft.choice == ContinueChoice::FullClosure && draft.leaves_needs_open() {
        return Err(Rejection::gate(
            "not all needs are resolved: say with resolvedEnoughOverride that it is enough, or choose to go on",
        ));
    }
    Ok(())
}

fn must_own_notes(action: &MemberAction<'_>, draft: &CheckIn) -> Result<(), Rejection> {
    if draft.shared_notes.iter().any(|id| !draft.included_notes.contains(id)) {
        let field = "shareBetweenPeriodNoteIds";
        return Err(Rejection::invalid(field, "a note that is not included", "notes of includedBetweenPeriodNoteIds"));
    }
    let notes = &action.session.tending.notes;
    let is_mine = |id: &NoteId| notes.iter().any(|note| note.id == *id && note.by == action.side);
    if !draft.included_notes.iter().all(is_mine) {
        return Err(Rejection::invalid("includedBetweenPeriodNoteIds", "another note", "notes of your own"));
    }
    Ok(())
}
