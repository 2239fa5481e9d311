//! Stage 3: changes of a partner's own list of needs. The AI service captures needs from the conversation, and the
//! partner edits them. Shared needs cannot be changed: revoke the consent first.

use serde::Deserialize;

use super::{
    Command,
    action::MemberAction,
    fields,
    needs::{LONGEST_DESCRIPTION, MOST, category, not_own_need},
};
use crate::{
    event::EventBody,
    ids::NeedId,
    needs::{CapturedNeed, Need, NeedCategory, NeedEdit, Needs},
    private_text::PrivateText,
    rejection::{Code, Rejection},
    stage::Stage,
};

const LONGEST_EDIT: usize = 500;
const MOST_EVIDENCE: usize = 10;
const MOST_OPERATIONS: usize = 50;

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "needs": [{"need": "a quiet evening", "category": "SAFETY", "description": "without phones", "evidence": ["you said so on Monday"]}]
})))]
/// The body of `POST /sessions/{id}/needs/capture`.
pub struct CaptureNeedsRequest {
    /// 1 to 50. They take the place of the caller's unconfirmed needs.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<CapturedNeedRequest>, min_items = 1, max_items = 50))]
    needs: Option<Vec<CapturedNeedRequest>>,
}

/// A need that was read from the conversation.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct CapturedNeedRequest {
    /// 1 to 200 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 200, pattern = r"\S"))]
    need: Option<String>,
    /// One of SAFETY, CONNECTION, AUTONOMY, RECOGNITION, MEANING, FAIRNESS.
    #[cfg_attr(feature = "schema", schema(value_type = NeedCategory))]
    category: Option<String>,
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    description: Option<String>,
    /// At most 10 texts of at most 500 characters. They stay with the caller.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::evidence))]
    evidence: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewNeed {
    need: PrivateText,
    category: NeedCategory,
    description: Option<PrivateText>,
    evidence: Vec<PrivateText>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureNeeds {
    needs: Vec<NewNeed>,
}

impl TryFrom<CaptureNeedsRequest> for Command {
    type Error = Rejection;
    fn try_from(request: CaptureNeedsRequest) -> Result<Self, Rejection> {
        let expected = format!("a list of 1 to {MOST} needs");
        let list = fields::required("needs", request.needs, &expected)?;
        if !(1..=MOST).contains(&list.len()) {
            return Err(Rejection::invalid("needs", format_args!("{} needs", list.len()), expected));
        }
        let needs = list.into_iter().map(NewNeed::try_from).collect::<Result<_, _>>()?;
        Ok(Command::CaptureNeeds(CaptureNeeds { needs }))
    }
}

impl TryFrom<CapturedNeedRequest> for NewNeed {
    type Error = Rejection;
    fn try_from(request: CapturedNeedRequest) -> Result<Self, Rejection> {
        let evidence = request.evidence.unwrap_or_default();
        if evidence.len() > MOST_EVIDENCE {
            let expected = format_args!("a list of at most {MOST_EVIDENCE} texts").to_string();
            return Err(Rejection::invalid("needs.evidence", format_args!("{} texts", evidence.len()), expected));
        }
        let texts: Vec<_> = evidence
            .into_iter()
            .map(|text| fields::optional_text("needs.evidence", Some(text), LONGEST_EDIT))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            need: fields::text("needs.need", request.need, 1..=200)?,
            category: category("needs.category", request.category)?,
            description: fields::optional_text("needs.description", request.description, LONGEST_DESCRIPTION)?,
            evidence: texts.into_iter().flatten().collect(),
        })
    }
}

/// The body of `POST /sessions/{id}/needs/apply-edits`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "operations": [{"type": "addNeed", "text": "time to think", "category": "AUTONOMY"}] }
)))]
pub struct EditNeedsRequest {
    /// 1 to 50. They are carried out all together or not at all.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<NeedOperationRequest>, min_items = 1, max_items = 50))]
    operations: Option<Vec<NeedOperationRequest>>,
}

/// One change. `needId` is required, except for `addNeed`, which takes none.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedOperationRequest {
    /// `updateNeedText`, `addNeed` or `removeNeed`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^(updateNeedText|addNeed|removeNeed)$"))]
    kind: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<NeedId>))]
    need_id: Option<String>,
    /// 1 to 500 characters, for `updateNeedText`.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 500, pattern = r"\S"))]
    new_text: Option<String>,
    /// 1 to 500 characters, for `addNeed`.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 500, pattern = r"\S"))]
    text: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<NeedCategory>))]
    category: Option<String>,
    #[cfg_attr(feature = "schema", schema(value_type = Option<NeedCategory>))]
    new_category: Option<String>,
}

#[derive(Clone, Copy)]
enum OperationKind {
    Update,
    Add,
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Update { need: NeedId, text: Option<PrivateText>, category: Option<NeedCategory> },
    Add { text: PrivateText, category: Option<NeedCategory> },
    Remove { need: NeedId },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditNeeds {
    operations: Vec<Operation>,
}

impl EditNeeds {
    /// Whether an added need has the assumed category, because the request named none.
    pub(crate) fn assumes_category(&self) -> bool {
        self.operations.iter().any(|operation| matches!(operation, Operation::Add { category: None, .. }))
    }
}

impl TryFrom<EditNeedsRequest> for Command {
    type Error = Rejection;
    fn try_from(request: EditNeedsRequest) -> Result<Self, Rejection> {
        let expected = format!("a list of 1 to {MOST_OPERATIONS} operations");
        let list = fields::required("operations", request.operations, &expected)?;
        if !(1..=MOST_OPERATIONS).contains(&list.len()) {
            return Err(Rejection::invalid("operations", format_args!("{} operations", list.len()), expected));
        }
        let operations = list.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?;
        Ok(Command::EditNeeds(EditNeeds { operations }))
    }
}

impl TryFrom<NeedOperationRequest> for Operation {
    type Error = Rejection;
    fn try_from(request: NeedOperationRequest) -> Result<Self, Rejection> {
        let kinds = [
            ("updateNeedText", OperationKind::Update),
            ("addNeed", OperationKind::Add),
            ("removeNeed", OperationKind::Remove),
        ];
        let kind = fields::name("operations.type", request.kind, &kinds)?;
        let need = || {
            let id = fields::required("operations.needId", request.need_id.as_ref(), "the id of one of your needs")?;
            fields::id("operations.needId", id)
        };
        let named = request.new_category.or(request.category);
        let category = named.map(|name| category("operations.category", Some(name))).transpose()?;
        let (new_text, text) = (request.new_text.clone(), request.text.clone());
        Ok(match kind {
            OperationKind::Update => {
                let text = new_text.or(text).map(|text| edit_text("operations.newText", Some(text))).transpose()?;
                if text.is_none() && category.is_none() {
                    let expected = "a text of 1 to 500 characters, or newCategory given instead";
                    return Err(Rejection::invalid("operations.newText", "nothing", expected));
                }
                Operation::Update { need: need()?, text, category }
            }
            OperationKind::Add => Operation::Add { text: edit_text("operations.text", text.or(new_text))?, category },
            OperationKind::Remove => Operation::Remove { need: need()? },
        })
    }
}

fn edit_text(field: &str, text: Option<String>) -> Result<PrivateText, Rejection> {
    fields::text(field, text, 1..=LONGEST_EDIT)
}

/// The removal of one of the caller's needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveNeed {
    /// One of the caller's own needs, confirmed or not.
    pub need: NeedId,
}

pub(super) fn capture(action: &mut MemberAction<'_>, capture: &CaptureNeeds) -> Result<(), Rejection> {
    must_be_open(action)?;
    let kept = action.me.needs.list.iter().filter(|need| need.confirmed).count();
    must_have_room(kept + capture.needs.len())?;
    let captured = |need: &NewNeed| CapturedNeed {
        id: action.ctx.fresh(),
        need: need.need.clone(),
        category: need.category,
        description: need.description.clone(),
        evidence: need.evidence.clone(),
    };
    let needs = capture.needs.iter().map(captured).collect();
    action.record(EventBody::NeedsCaptured { needs });
    Ok(())
}

pub(super) fn edit(action: &mut MemberAction<'_>, edit: &EditNeeds) -> Result<(), Rejection> {
    must_be_open(action)?;
    // Each operation acts on the result of the operations before it.
    let mut list = action.me.needs.clone();
    let mut edits = Vec::new();
    for operation in &edit.operations {
        for change in edits_of(action, &list, operation)? {
            list.edit(&change, action.ctx.now);
            edits.push(change);
        }
    }
    must_have_room(list.list.len())?;
    if !edits.is_empty() {
        action.record(EventBody::NeedsEdited { edits });
    }
    Ok(())
}

/// The edits that carry out an operation on the list; none if the operation changes nothing.
fn edits_of(action: &MemberAction<'_>, list: &Needs, operation: &Operation) -> Result<Vec<NeedEdit>, Rejection> {
    let find = |id| -> Result<&Need, Rejection> { list.find(id).ok_or_else(|| not_own_need("operations.needId")) };
    Ok(match operation {
        Operation::Add { text, category } => {
            let category = category.unwrap_or(ASSUMED_CATEGORY);
            vec![NeedEdit::Added { id: action.ctx.fresh(), need: text.clone(), category }]
        }
        Operation::Remove { need } => {
            vec![NeedEdit::Removed { need: need.clone(), before: find(need)?.need.clone() }]
        }
        Operation::Update { need, text, category } => {
            let known = find(need)?;
            let text = text.as_ref().filter(|text| **text != known.need).map(|text| NeedEdit::Reworded {
                need: need.clone(),
                before: known.need.clone(),
                after: text.clone(),
            });
            let category = category.filter(|category| *category != known.category).map(|category| {
                NeedEdit::Recategorized { need: need.clone(), before: known.category, after: category }
            });
            text.into_iter().chain(category).collect()
        }
    })
}

/// The category of an added need, if the request names none.
pub(crate) const ASSUMED_CATEGORY: NeedCategory = NeedCategory::Meaning;

pub(super) fn remove(action: &mut MemberAction<'_>, remove: &RemoveNeed) -> Result<(), Rejection> {
    must_be_open(action)?;
    let mine = &action.me.needs;
    if mine.removed.iter().any(|removed| removed.id == remove.need) {
        return Ok(());
    }
    let need = mine.find(&remove.need).ok_or_else(no_such_need)?;
    let edit = NeedEdit::Removed { need: need.id.clone(), before: need.need.clone() };
    action.record(EventBody::NeedsEdited { edits: vec![edit] });
    Ok(())
}

/// For an id that is not among the caller's needs, even if it is among the partner's.
pub fn no_such_need() -> Rejection {
    Rejection::new(Code::NotFound, "there is no such need among yours")
}

fn must_be_open(action: &MemberAction<'_>) -> Result<(), Rejection> {
    action.must_be_in(Stage::NeedMapping)?;
    if action.me.needs.consent_stands() {
        return Err(Rejection::forbidden("your needs are shared and cannot be changed; revoke your consent first"));
    }
    Ok(())
}

fn must_have_room(needs: usize) -> Result<(), Rejection> {
    if needs > MOST {
        return Err(Rejection::conflict(format!("you can have {MOST} needs at most")));
    }
    Ok(())
}
