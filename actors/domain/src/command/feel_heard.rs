//! Stage 1: the partner confirms to feel heard.

use serde::Deserialize;

use super::{Command, fields, turn::Turn};
use crate::{event::EventBody, private_text::PrivateText, rejection::Rejection, stage::Stage};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "confirmed": true, "feedback": "thank you" })))]
pub struct FeelHeardRequest {
    /// `false`: not yet. Changes nothing.
    #[cfg_attr(feature = "schema", schema(value_type = bool))]
    pub confirmed: Option<bool>,
    /// At most 500 characters; stays with its author.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    pub feedback: Option<String>,
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

pub(super) fn decide(turn: &mut Turn<'_>, confirm: &ConfirmFeelHeard) -> Result<(), Rejection> {
    if turn.me.in_app_mode() && turn.me.has_left(Stage::Witness) {
        return Ok(());
    }
    turn.must_be_in(Stage::Witness)?;
    if confirm.confirmed && turn.me.feel_heard_at.is_none() {
        turn.record(EventBody::FeelHeardConfirmed { feedback: confirm.feedback.clone() });
        turn.complete_stage(Stage::Witness, true);
    }
    Ok(())
}

/// The AI service's part: the app shows the button once it is offered.
pub(super) fn offer(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    turn.must_be_in(Stage::Witness)?;
    if turn.me.feel_heard_offered_at.is_none() {
        turn.record(EventBody::FeelHeardOffered {});
    }
    Ok(())
}
