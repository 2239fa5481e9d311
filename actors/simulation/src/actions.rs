//! What clients do: the requests as they send them, and the commands that the routes make of them.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strum::VariantArray as _;
use tandem_actors::domain::{
    Command,
    command::{
        AddNeedRequest, AdvanceRequest, ConfirmAgreementRequest, ConfirmNeedsRequest, ConsentEmpathyRequest,
        FeelHeardRequest, PauseRequest, ProposeAgreementRequest, ProposeStrategyRequest, RevokeConsentRequest,
        SaveEmpathyDraftRequest, ShareNeedsRequest, SignCompactRequest, SubmitRankingRequest, ValidateEmpathyRequest,
        ValidateNeedsRequest, ViewedRequest,
    },
};

use crate::{
    oracle::{Model, Status},
    plan::Chance,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    Create,
    Accept,
    Decline,
    Resend,
    Sign,
    Heard,
    Draft,
    Consent,
    Validate,
    AddNeed,
    ConfirmNeeds,
    ShareNeeds,
    ValidateNeeds,
    Revoke,
    Propose,
    Ready,
    Rank,
    ProposeAgreement,
    AnswerAgreement,
    Advance,
    Pause,
    Resume,
    Resolve,
    Archive,
    Withdraw,
    Erase,
    Viewed,
    Nudge,
}

use Action::*;

/// A member does not try these at a random time.
const NOT_AT_RANDOM: [Action; 5] = [Create, Accept, Decline, Withdraw, Erase];

/// What a member may try at any time. A pause is tried twice as often as the others.
fn any_time() -> Vec<Action> {
    Action::VARIANTS.iter().copied().filter(|action| !NOT_AT_RANDOM.contains(action)).chain([Pause]).collect()
}

impl Action {
    /// The name in the trace of a run.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether a text of its request names the operation.
    pub fn has_marker(self) -> bool {
        matches!(self, Create | Draft | AddNeed | Propose | ProposeAgreement | Pause)
    }

    /// The next operation of a member: mostly the one that the stage asks for, sometimes any other.
    pub fn next(model: &Model, side: usize, chance: &mut Chance) -> Self {
        match chance.below(1_000) {
            0..=220 => return *chance.pick(&any_time()).unwrap_or(&Viewed),
            221..=226 => return Withdraw,
            227..=228 => return Erase,
            _ => {}
        }
        let me = &model.members[side];
        let partner = model.members.get(1 - side);
        match model.status {
            Status::Created | Status::Invited => return if me.signed { Viewed } else { Sign },
            Status::Paused => return Resume,
            Status::Resolved | Status::Abandoned | Status::Archived => {
                return if chance.mille(100) { Archive } else { Viewed };
            }
            Status::Active => {}
        }
        match me.stage {
            0 if !me.signed => Sign,
            1 if !me.heard => Heard,
            2 if me.attempt.is_none() && me.draft.as_ref().is_none_or(|(_, ready)| !ready) => Draft,
            2 if me.attempt.is_none() => Consent,
            2 if partner.is_some_and(|partner| partner.attempt.is_some() && partner.verdict != Some(true)) => Validate,
            3 if me.needs.len() < 2 => AddNeed,
            3 if !me.needs.values().any(|need| need.confirmed) => ConfirmNeeds,
            3 if !me.shares_needs => ShareNeeds,
            3 if !me.validated => ValidateNeeds,
            0..=3 => Advance,
            _ => Self::next_repair(model, side, chance),
        }
    }

    fn next_repair(model: &Model, side: usize, chance: &mut Chance) -> Self {
        let me = &model.members[side];
        let open = model.agreements.values().filter(|one| !one.agreed && !one.declined);
        if model.agreements.values().any(|one| one.agreed) {
            return if chance.mille(500) { Resolve } else { Viewed };
        }
        if open.clone().any(|one| one.proposer != side) {
            return AnswerAgreement;
        }
        match () {
            () if model.revealed && open.count() == 0 => ProposeAgreement,
            () if model.strategies.len() < 2 => Propose,
            () if !me.ready => Ready,
            () if !me.ranked => Rank,
            () => Viewed,
        }
    }

    /// The body of the request. Private texts carry a mark: the author, the kind, and the operation's number.
    pub fn body(self, user: &str, number: u64, seen: Option<(&Model, usize)>, chance: &mut Chance) -> Value {
        let mark = |kind: &str| format!("~{user}.{kind}.{number}~");
        let confirmed = || {
            let needs = seen.map(|(model, side)| &model.members[side].needs);
            needs.into_iter().flatten().filter(|(_, need)| need.confirmed).map(|(id, _)| id.clone()).collect::<Vec<_>>()
        };
        match self {
            Create => json!({ "inviteName": "Ben", "context": mark("context") }),
            Heard => json!({ "confirmed": true, "feedback": mark("feedback") }),
            Draft => json!({ "content": mark("draft"), "readyToShare": chance.mille(900) }),
            Consent => json!({ "consent": true }),
            Validate if chance.mille(300) => json!({ "validated": false, "feedback": mark("feedback") }),
            Validate | ValidateNeeds => json!({ "validated": true }),
            AddNeed => json!({ "need": mark("need"), "category": chance.pick(&["SAFETY", "MEANING"]) }),
            ConfirmNeeds => {
                let needs = seen.map(|(model, side)| model.members[side].needs.keys().cloned().collect::<Vec<_>>());
                json!({ "needIds": needs.unwrap_or_default() })
            }
            ShareNeeds => json!({ "needIds": confirmed() }),
            Revoke => json!({ "kind": chance.pick(&["empathy", "needs"]) }),
            Propose => json!({ "description": mark("strategy") }),
            Rank => {
                let mut ids = seen.map(|(model, _)| model.strategies.clone()).unwrap_or_default();
                ids.truncate(3);
                if chance.mille(500) {
                    ids.reverse();
                }
                json!({ "rankedIds": ids })
            }
            ProposeAgreement => {
                let strategy = seen.and_then(|(model, _)| model.candidates.first().cloned());
                json!({ "description": mark("agreement"), "type": "COMMITMENT", "strategyId": strategy })
            }
            AnswerAgreement => {
                let open = seen.and_then(|(model, _)| {
                    let open = model.agreements.iter().filter(|(_, one)| !one.agreed && !one.declined);
                    open.map(|(id, _)| id.clone()).next()
                });
                json!({ "agreementId": open, "confirmed": chance.mille(800) })
            }
            Pause => json!({ "reason": mark("pause") }),
            _ => json!({}),
        }
    }

    /// The command, as a route parses it from the body. None if the body is not valid.
    pub fn command(self, body: &Value) -> Option<Command> {
        match self {
            Accept => Some(Command::AcceptInvitation),
            Decline => Some(Command::DeclineInvitation),
            Resend => Some(Command::ResendInvitation),
            Ready => Some(Command::ReadyToRank),
            Resume => Some(Command::Resume),
            Resolve => Some(Command::Resolve),
            Archive => Some(Command::Archive),
            Withdraw => Some(Command::Withdraw),
            Erase => Some(Command::EraseAccount),
            Nudge => Some(Command::Nudge),
            Sign => parsed::<SignCompactRequest>(body),
            Heard => parsed::<FeelHeardRequest>(body),
            Draft => parsed::<SaveEmpathyDraftRequest>(body),
            Consent => parsed::<ConsentEmpathyRequest>(body),
            Validate => parsed::<ValidateEmpathyRequest>(body),
            AddNeed => parsed::<AddNeedRequest>(body),
            ConfirmNeeds => parsed::<ConfirmNeedsRequest>(body),
            ShareNeeds => parsed::<ShareNeedsRequest>(body),
            ValidateNeeds => parsed::<ValidateNeedsRequest>(body),
            Revoke => parsed::<RevokeConsentRequest>(body),
            Propose => parsed::<ProposeStrategyRequest>(body),
            Rank => parsed::<SubmitRankingRequest>(body),
            ProposeAgreement => parsed::<ProposeAgreementRequest>(body),
            AnswerAgreement => {
                let id = body["agreementId"].as_str()?.parse().ok()?;
                let request: ConfirmAgreementRequest = serde_json::from_value(body.clone()).ok()?;
                Command::try_from((id, request)).ok()
            }
            Advance => parsed::<AdvanceRequest>(body),
            Pause => parsed::<PauseRequest>(body),
            Viewed => parsed::<ViewedRequest>(body),
            Create => None,
        }
    }
}

fn parsed<R>(body: &Value) -> Option<Command>
where
    R: DeserializeOwned,
    Command: TryFrom<R>,
{
    let request: R = R::deserialize(body).ok()?;
    Command::try_from(request).ok()
}
