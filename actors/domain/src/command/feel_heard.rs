//! Stage 1: the partner confirms to feel heard.

use serde::Deserialize;

use super::{Command, action::MemberAction, fields};
use crate::{event::EventBody, private_text::PrivateText, rejection::Rejection, stage::Stage};

/// The body of `POST /sessions/{id}/feel-heard`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "confirmed": true, "feedback": "thank you" })))]
pub struct FeelHeardRequest {
    /// `false`: not yet. Changes nothing.
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    confirmed: Option<bool>,
    /// At most 500 characters; stays with its author.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    feedback: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmFeelHeard {
    confirmed: bool,
    feedback: Option<PrivateText>,
}

impl TryFrom<FeelHeardRequest> for Command {
    type Error = Rejection;
    fn try_from(request: FeelHeardRequest) -> Result<Self, Rejection> {
        Ok(Command::ConfirmFeelHeard(ConfirmFeelHeard {
            confirmed: fields::required("confirmed", request.confirmed, "true or false")?,
            feedback: fields::optional_text("feedback", request.feedback, 500)?,
        }))
    }
}

pub(super) fn decide(action: &mut MemberAction<'_>, confirm: &ConfirmFeelHeard) -> Result<(), Rejection> {
    if action.me.in_app_mode() && action.me.has_left(Stage::Witness) {
        return Ok(());
    }
    action.must_be_in(Stage::Witness)?;
    if confirm.confirmed && action.me.feel_heard_at.is_none() {
        action.record(EventBody::FeelHeardConfirmed { feedback: confirm.feedback.clone() });
        action.complete_stage(Stage::Witness);
    }
    Ok(())
}

/// The AI service offers the confirmation. The app then shows its button.
pub(super) fn offer(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    action.must_be_in(Stage::Witness)?;
    if action.me.feel_heard_offered_at.is_none() {
        action.record(EventBody::FeelHeardOffered {});
    }
    Ok(())
}
