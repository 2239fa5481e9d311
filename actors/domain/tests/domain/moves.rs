//! Random moves: every command there is, by either partner or a stranger, sensible or not, as time goes by.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tandem_domain::{Command, Event, EventBody, Query, Rejection, app::Marker, command::*, private_text::PrivateText};

use crate::world::*;

#[derive(Clone, Debug)]
pub struct Move {
    who: u8,
    kind: u8,
    pick: u8,
    yes: bool,
    hours: u32,
    /// Whether to choose among what belongs to the stage that the user is in.
    fits: bool,
}

pub struct Played {
    pub who: &'static str,
    pub command: Command,
}

const KINDS: u8 = 49;

/// What moves a session on, by stage.
const FITTING: [&[u8]; 5] = [
    &[0, 24, 27],
    &[1, 24, 27],
    &[2, 4, 5, 6, 7, 14, 24, 24, 27, 38, 39, 44],
    &[8, 10, 11, 12, 13, 14, 24, 24, 27, 40, 41, 42, 43, 43, 44],
    &[14, 15, 17, 18, 20, 22, 27, 28, 29, 29, 30, 31, 32, 33, 34, 35, 36, 37],
];

pub fn any_move() -> impl Strategy<Value = Move> {
    let who = prop_oneof![8 => Just(0u8), 8 => Just(1u8), 1 => Just(2u8)];
    let hours = prop_oneof![20 => Just(0u32), 4 => 1u32..30, 1 => 100u32..3_000];
    // The rare and final ones come less often, so that the others have a session to act on.
    let kind = prop_oneof![30 => 0u8..KINDS - 4, 1 => KINDS - 4..KINDS];
    let yes = prop::bool::weighted(0.8);
    (who, kind, any::<u8>(), yes, hours, prop::bool::weighted(0.7))
        .prop_map(|(who, kind, pick, yes, hours, fits)| Move { who, kind, pick, yes, hours, fits })
}

impl Move {
    pub fn wait(&self) -> Duration {
        HOUR * self.hours
    }

    /// `number` makes the words of each move different.
    #[expect(clippy::too_many_lines, reason = "one table: the command of each move")]
    pub fn command(&self, world: &World, number: usize) -> Result<Played, Rejection> {
        let who = [ANN, BEN, EVE][usize::from(self.who)];
        let words = |kind: &str| format!("<{kind} of {who} {number}>");
        // What could betray its author in a shared list bears no name.
        let unsigned = |kind: &str| format!("<{kind} {number}>");
        let yes = self.yes;
        let stage = world.query(who, Query::Summary).ok().and_then(|session| session["currentStage"].as_u64());
        let kind = match stage.filter(|_| self.fits && self.kind < KINDS - 4) {
            Some(stage) => FITTING[stage as usize][usize::from(self.kind) % FITTING[stage as usize].len()],
            None => self.kind,
        };
        let command = match kind {
            0 => Ok(Command::SignCompact),
            1 => parse::<FeelHeardRequest>(json!({ "confirmed": yes, "feedback": words("feedback") })),
            2 | 3 => parse::<SaveEmpathyDraftRequest>(json!({ "content": words("draft"), "readyToShare": yes })),
            4 => parse::<ConsentEmpathyRequest>(json!({ "consent": yes })),
            5 => parse::<ConsentEmpathyRequest>(json!({ "consent": true, "finalContent": words("final") })),
            6 | 7 => parse::<ValidateEmpathyRequest>(json!({
                "validated": yes,
                "feedback": words(if self.pick.is_multiple_of(2) { "shared-verdict" } else { "private-verdict" }),
                "consentToShareFeedback": self.pick.is_multiple_of(2),
            })),
            8 | 9 => parse::<AddNeedRequest>(json!({
                "need": words("need"),
                "category": (["SAFETY", "MEANING", "nonsense-<category>"])[usize::from(self.pick) % 3],
                "description": words("description"),
            })),
            10 => parse::<ConfirmNeedsRequest>(json!({ "needIds": self.ids(world, who, Query::Needs, "needs") })),
            11 => parse::<ConfirmNeedsRequest>(json!({ "confirmations": self
                .ids(world, who, Query::Needs, "needs")
                .into_iter()
                .map(|id| {
                    let adjustment = words(&format!("adjustment to {id}"));
                    json!({ "needId": id, "confirmed": yes, "adjustment": adjustment })
                })
                .collect::<Vec<_>>()
            })),
            12 => parse::<ShareNeedsRequest>(json!({ "needIds": self.ids(world, who, Query::Needs, "needs") })),
            13 => parse::<ConfirmCommonGroundRequest>(json!({ "confirmations": self
                .ids(world, who, Query::CommonGround, "commonGround")
                .into_iter()
                .map(|id| json!({ "commonGroundId": id, "confirmed": yes }))
                .collect::<Vec<_>>()
            })),
            14 => parse::<RevokeConsentRequest>(json!({ "kind": if yes { "needs" } else { "empathy" } })),
            15 | 16 => parse::<ProposeStrategyRequest>(json!({
                "description": unsigned("strategy"),
                "needsAddressed": [unsigned("addressed")],
                "duration": unsigned("duration"),
            })),
            17 => Ok(Command::ReadyToRank),
            18 | 19 => parse::<SubmitRankingRequest>(
                json!({ "rankedIds": self.ids(world, who, Query::Strategies, "strategies") }),
            ),
            20 | 21 => parse::<ProposeAgreementRequest>(json!({
                "strategyId": self.ids(world, who, Query::Overlap, "agreementCandidates").into_iter().next(),
                "description": unsigned("agreement"),
                "type": "COMMITMENT",
                "followUpDate": "2027-03-01",
            })),
            22 | 23 => {
                let agreements = self.ids(world, who, Query::Agreements, "agreements");
                let id = agreements.first().map_or("cno0such0agreement", String::as_str).to_owned();
                Ok(answer_agreement(&id, json!({ "confirmed": yes, "modification": unsigned("modification") })))
            }
            24 => parse::<AdvanceRequest>(json!({})),
            25 => parse::<AdvanceRequest>(json!({ "fromStage": self.pick % 6, "toStage": self.pick % 5 })),
            26 => parse::<PauseRequest>(json!({ "reason": unsigned("reason") })),
            27 => Ok(if yes { Command::Resume } else { Command::Nudge }),
            28 => Ok(Stage4Command::Look.into()),
            29 => parse::<SelectManyRequest>(json!({ "selections": self
                .ids(world, who, Query::Strategies, "strategies")
                .into_iter()
                .map(|id| json!({
                    "proposalId": id,
                    "decision": if yes { "WILLING" } else { "NOT_WILLING" },
                    "note": words("stance"),
                }))
                .collect::<Vec<_>>()
            })),
            30 => Ok(if yes { Stage4Command::Share } else { Stage4Command::Unshare }.into()),
            31 => self.sub_chat(world, who, &words("said")),
            32 => parse::<OpenSubChatRequest>(json!({ "anchorKind": "NO_OVERLAP" })),
            33 => self.resolved_sub_chat(world, who, &unsigned("strategy")),
            34 => self.walk(world, who),
            35 if self.pick > 200 => parse::<CloseStage4Request>(json!({ "summary": words("summary") })),
            35 => parse::<CloseStage4Request>(json!({ "kind": "SHARED_AGREEMENT" })),
            36 => self.tending(world, who, &words("note")),
            37 => parse::<CheckInRequest>(json!({
                "orientations": {
                    "whatWorked": { "reflection": words("worked") },
                    "whatComesNext": { "continueChoice": (["EXTEND", "FULL_CLOSURE"])[usize::from(self.pick) % 2] },
                },
            })),
            38 => parse::<ResubmitEmpathyRequest>(json!({ "content": words("resubmitted") })),
            39 => parse::<SkipRefinementRequest>(json!({ "willingToAccept": yes, "reason": words("skip") })),
            40 => parse::<CaptureNeedsRequest>(json!({ "needs": [{
                "need": words("captured"),
                "category": (["SAFETY", "MEANING"])[usize::from(self.pick) % 2],
                "description": words("captured description"),
                "evidence": [words("evidence")],
            }] })),
            41 => parse::<EditNeedsRequest>(json!({ "operations": self.operations(world, who, words) })),
            42 => self.ids(world, who, Query::Needs, "needs").into_iter().next().map_or_else(
                || parse::<EditNeedsRequest>(json!({ "operations": [] })),
                |id| Ok(Command::RemoveNeed(RemoveNeed { need: id.parse().expect("an id") })),
            ),
            43 => parse::<ValidateNeedsRequest>(json!({ "validated": yes })),
            44 => parse::<DecideConsentRequest>(json!({
                "consentRequestId": self.ids(world, who, Query::PendingConsents, "pendingRequests").first(),
                "decision": if yes { "GRANTED" } else { "DENIED" },
                "editedContent": self.pick.is_multiple_of(3).then(|| words("edited")),
            })),
            45 => Ok(if yes { Command::Resolve } else { Command::Archive }),
            46 => Ok(match self.pick % 10 {
                0 => Command::AcceptInvitation,
                1 => parse::<ConfirmInvitationRequest>(json!({}))?,
                2 => Command::ResendInvitation,
                3 => parse::<ConfirmInvitationRequest>(json!({ "message": words("message") }))?,
                4 => parse::<WriteInvitationRequest>(
                    json!({ "topicFrame": words("topic"), "invitationMessage": words("message") }),
                )?,
                5 => Command::ConfirmTopicFrame,
                6 => Command::Notice(if yes { Marker::App } else { Marker::June }),
                7 => Command::SawShareTab,
                8 => Command::OfferFeelHeard,
                _ => parse::<DeclineInvitationRequest>(json!({ "reason": words("decline") }))?,
            }),
            47 => Ok(if yes { Command::Withdraw } else { Command::EraseAccount }),
            _ => Ok(if yes {
                let seen = (self.pick > 99).then_some(self.pick);
                let chat_item = (self.pick.is_multiple_of(3)).then(|| words("chat-item"));
                parse::<ViewedRequest>(json!({ "lastSeenSeq": seen, "lastSeenChatItemId": chat_item }))?
            } else if self.pick.is_multiple_of(2) {
                Command::ShowActivity { shown: self.pick.is_multiple_of(4) }
            } else {
                Command::Rename(Rename { name: Some(PrivateText::new(format!("{who} renamed"))) })
            }),
        };
        command.map(|command| Played { who, command })
    }

    fn open_chat(world: &World, who: &str) -> tandem_domain::ids::SubChatId {
        let opened = |event: &Event| match &event.body {
            EventBody::SubChatOpened { id, .. } if event.by == Some(user(who)) => Some(id.clone()),
            _ => None,
        };
        world.log.iter().rev().find_map(opened).unwrap_or_else(|| "cno0such0chat".parse().expect("an id"))
    }

    fn sub_chat(&self, world: &World, who: &str, content: &str) -> Result<Command, Rejection> {
        let request: SayInSubChatRequest = serde_json::from_value(json!({ "content": content })).expect("right types");
        Command::try_from((Self::open_chat(world, who), request))
    }

    fn resolved_sub_chat(&self, world: &World, who: &str, description: &str) -> Result<Command, Rejection> {
        let updated = self.ids(world, who, Query::Strategies, "strategies").into_iter().take(1);
        let updated: Vec<_> = updated.map(|id| json!({ "proposalId": id, "description": description })).collect();
        let body = json!({ "acceptedProposals": [{ "description": description }], "updatedProposals": updated });
        let request: ResolveSubChatRequest = serde_json::from_value(body).expect("right types");
        Command::try_from((Self::open_chat(world, who), request))
    }

    fn tending(&self, world: &World, who: &str, words: &str) -> Result<Command, Rejection> {
        match (self.pick % 3, self.ids(world, who, Query::Tending, "entries").pop()) {
            (0, Some(entry)) => {
                let body = json!({ "status": "WORKED", "reflection": words });
                let request: RespondTendingRequest = serde_json::from_value(body).expect("right types");
                Command::try_from((entry.parse().expect("an id"), request))
            }
            (1, _) => parse::<ReenterTendingRequest>(json!({ "intent": words })),
            _ => parse::<WriteTendingNoteRequest>(json!({ "content": words })),
        }
    }

    fn walk(&self, world: &World, who: &str) -> Result<Command, Rejection> {
        let need = self.ids(world, who, Query::Needs, "needs").pop().unwrap_or_else(|| "cno0such0need".into());
        let need = need.parse().expect("an id");
        let request: WalkNeedRequest = serde_json::from_value(json!({ "action": "skip" })).expect("right types");
        if self.yes {
            Command::try_from((need, request))
        } else {
            Ok(Stage4Command::DeclineNeed(DeclineNeed { need, declined: true }).into())
        }
    }

    /// One change of a need there is, and one that is new.
    fn operations(&self, world: &World, who: &str, words: impl Fn(&str) -> String) -> Vec<Value> {
        let update = self.ids(world, who, Query::Needs, "needs").into_iter().next().map(|id| {
            let text = words(&format!("rewording of {id}"));
            json!({ "type": "updateNeedText", "needId": id, "newText": text, "newCategory": "FAIRNESS" })
        });
        let add = json!({ "type": "addNeed", "text": words("added"), "category": "AUTONOMY" });
        update.into_iter().chain(self.yes.then_some(add)).collect()
    }

    /// Some of the ids in a list that the user sees, beginning anywhere.
    fn ids(&self, world: &World, who: &str, query: Query, list: &str) -> Vec<String> {
        let seen = world.query(who, query).unwrap_or_default();
        let ids: Vec<_> = match &seen[list] {
            Value::Array(items) => items.iter().map(|item| text(&item["id"])).collect(),
            _ => Vec::new(),
        };
        let from = usize::from(self.pick) % ids.len().max(1);
        ids.iter().cycle().skip(from).take(ids.len().min(1 + usize::from(self.pick) % 4)).cloned().collect()
    }
}
