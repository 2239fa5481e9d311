//! What the session's channel hears of an event: ids, stages and times. The one text in it is the reason of a pause, which
//! a partner writes for the other.

use serde_json::{Map, Value, json};

use super::{Audience, ConsentKind, Event, EventBody, EventName, Push};
use crate::{
    ids::{AgreementId, SessionId, UserId},
    private_text::PrivateText,
    stage::Stage,
    stage4::{ClosedAgreement, ClosureKind},
};

/// A message for the session's channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    pub name: &'static str,
    pub payload: Map<String, Value>,
    pub audience: Audience,
    /// The one member whom it concerns, if it does not concern both: the session's channel, which both hear, is not used.
    pub only: Option<UserId>,
    /// Whether somebody who is not there is told by a push.
    pub pushes: bool,
}

impl Announcement {
    /// The payload of the message for one member. The same for all, unless each gets its own.
    pub fn payload_for(&self, member: &UserId) -> Map<String, Value> {
        let mut payload = self.payload.clone();
        if self.audience == Audience::Each {
            payload.insert("forUserId".into(), member.as_str().into());
        }
        payload
    }
}

impl Event {
    /// The message that decides who is told, and how. None for what concerns its author alone.
    pub fn announcement(&self, session: &SessionId) -> Option<Announcement> {
        let Told { names, fields } = self.told();
        names.first().map(|name| self.announce(*name, fields, session))
    }

    /// Messages beside the first one, for screens that wait for other names. They are published and never pushed.
    pub fn hints(&self, session: &SessionId) -> Vec<Announcement> {
        let Told { names, fields } = self.told();
        let hint = |name: &EventName| Announcement { pushes: false, ..self.announce(*name, fields, session) };
        names.iter().skip(1).map(hint).collect()
    }

    pub fn is_announced(&self) -> bool {
        !self.told().names.is_empty()
    }

    /// The one user whom it concerns, if it is not news for both.
    pub fn only(&self) -> Option<&UserId> {
        match &self.body {
            EventBody::Tending(tending) => tending.only(),
            _ => None,
        }
    }

    /// The name of the message that decides who is told.
    pub fn name(&self) -> Option<&'static str> {
        self.told().names.first().map(|name| name.as_str())
    }

    /// It follows from another event of the same commit, which is the news.
    pub(crate) fn is_implicit(&self) -> bool {
        matches!(self.body, EventBody::Advanced { implicit: true, .. })
    }

    /// A look, or a fact about the client: nothing of the session changes for anybody.
    pub(crate) fn is_about_looking(&self) -> bool {
        matches!(
            self.body,
            EventBody::Viewed { .. }
                | EventBody::SawShareTab {}
                | EventBody::NudgeRefused {}
                | EventBody::ActivityShown { .. }
                | EventBody::AppNoticed { .. }
        )
    }

    fn announce(&self, name: EventName, fields: Fields<'_>, session: &SessionId) -> Announcement {
        let mut payload = self.payload(fields);
        let by = self.by.as_ref().map_or(Value::Null, |user| user.as_str().into());
        payload.insert("sessionId".into(), session.as_str().into());
        payload.insert("seq".into(), self.seq.into());
        payload.insert("timestamp".into(), self.at.as_millis().into());
        // What nobody caused is news for both.
        let audience = match name.audience() {
            Audience::Partner if self.by.is_none() => Audience::Both,
            audience => audience,
        };
        match name.audience() {
            Audience::Partner => {
                payload.insert("excludeUserId".into(), by.clone());
                payload.insert("triggeredByUserId".into(), by);
            }
            Audience::Each => {
                payload.insert("triggeredByUserId".into(), by);
            }
            Audience::Both => {}
        }
        let pushes = name.push() != Push::Never && !self.is_implicit();
        let only = self.only().cloned();
        Announcement { name: name.as_str(), payload, audience, only, pushes }
    }

    /// What the channel hears of this event. A variant that is added is asked here under which names, and with what.
    fn told(&self) -> Told<'_> {
        use EventName::*;
        use Fields::*;
        let (names, fields): (&'static [EventName], Fields<'_>) = match &self.body {
            EventBody::Joined { told_to_app: false, .. } => (&[SessionJoined], Common),
            EventBody::Joined { told_to_app: true, .. } => {
                (&[SessionJoined, PartnerAdvanced], ToStage(Stage::Onboarding))
            }
            EventBody::InvitationDeclined {} => (&[InvitationDeclined], Common),
            EventBody::InvitationSent { .. } => (&[InvitationConfirmed], Common),
            EventBody::CompactSigned {} => (&[PartnerSignedCompact], SignedAt),
            EventBody::StageCompleted { stage, moves_to } => (&[PartnerStageCompleted], Completed(*stage, *moves_to)),
            EventBody::Advanced { to, .. } => (&[PartnerAdvanced], ToStage(*to)),
            EventBody::EmpathyShared { resubmits: true, .. } => (&[PartnerEmpathyShared, EmpathyResubmitted], Common),
            EventBody::EmpathyShared { reveals: true, .. } => (&[PartnerEmpathyShared, EmpathyRevealed], Common),
            EventBody::EmpathyShared { .. } => (&[PartnerEmpathyShared], Common),
            // Screens that do not know a verdict by its name look again at "resubmitted".
            EventBody::EmpathyJudged { validated: true, .. } => (&[PartnerValidated, EmpathyResubmitted], Common),
            EventBody::EmpathyJudged { validated: false, .. } => {
                (&[PartnerRevisionRequested, EmpathyResubmitted], Common)
            }
            EventBody::RefinementSkipped { willing_to_accept, .. } => {
                (&[PartnerSkippedRefinement, EmpathyResubmitted], Willing(*willing_to_accept))
            }
            EventBody::NeedsCaptured { .. } => (&[SessionNeedsExtracted], Common),
            EventBody::NeedsConfirmed { first: true, .. } => (&[PartnerNeedsConfirmed], Common),
            EventBody::NeedsShared { reveals: true, .. } => {
                (&[PartnerNeedsShared, SessionCommonGroundReady, SessionNeedsRevealReady], Common)
            }
            EventBody::NeedsShared { .. } => (&[PartnerNeedsShared], Common),
            EventBody::CommonGroundConfirmed { .. } => (&[PartnerCommonGroundConfirmed], Common),
            EventBody::NeedsValidated { validated: true } => (&[PartnerNeedsValidated], Common),
            // What the screens show has to go at once, also where they do not know a revocation by its name.
            EventBody::ConsentRevoked { kind: kind @ ConsentKind::Empathy } => {
                (&[PartnerConsentRevoked, EmpathyResubmitted], Consent(*kind))
            }
            EventBody::ConsentRevoked { kind: kind @ ConsentKind::Needs } => {
                (&[PartnerConsentRevoked, SessionCommonGroundReady], Consent(*kind))
            }
            // Screens of stage 4 load anew what they show on `partner.marked_ready` or on `session.strategies_updated`.
            EventBody::StrategyProposed { .. } | EventBody::StrategyRevised { .. } => {
                (&[SessionStrategiesUpdated, PartnerMarkedReady], Common)
            }
            EventBody::ReadyToRank {} | EventBody::PathChosen { ready: true, .. } => {
                (&[PartnerReadyToRank, PartnerMarkedReady], Common)
            }
            EventBody::RankingSubmitted { replaces: false, .. } => (&[PartnerRankingSubmitted], Common),
            EventBody::OverlapRevealed { .. } => (&[StrategiesOverlapReady, PartnerMarkedReady], Common),
            EventBody::SelectionsShared { again: false } => {
                (&[PartnerRankingSubmitted, SessionStrategiesUpdated, PartnerMarkedReady], Selections("submitted"))
            }
            EventBody::SelectionsShared { again: true } => {
                (&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("submitted"))
            }
            EventBody::SelectionsMade { takes_back: true, .. } | EventBody::SelectionsUnshared {} => {
                (&[SessionStrategiesUpdated, PartnerMarkedReady], Selections("revised"))
            }
            EventBody::SubChatResolved { created, updated, .. } if !created.is_empty() || !updated.is_empty() => {
                (&[SessionStrategiesUpdated], SubChatResolved)
            }
            EventBody::Closed { kind, agreements, .. } => (&[SessionResolved], Closed(*kind, agreements)),
            EventBody::AgreementProposed { id, .. } => (&[AgreementProposed, PartnerMarkedReady], Agreement(id)),
            EventBody::AgreementConfirmed { id } => (&[AgreementConfirmed, PartnerMarkedReady], Agreement(id)),
            EventBody::AgreementDeclined { id, .. } => {
                (&[AgreementDeclined, SessionStrategiesUpdated, PartnerMarkedReady], Agreement(id))
            }
            EventBody::FollowUpDue { agreements } => (&[AgreementFollowUp], Agreements(agreements)),
            EventBody::Paused { reason } => (&[SessionPaused], Pause(reason.as_ref())),
            EventBody::Resumed {} => (&[SessionResumed], Common),
            EventBody::Resolved {} => (&[SessionResolved], Common),
            EventBody::Abandoned { .. } => (&[SessionAbandoned], Common),
            EventBody::Nudged {} => (&[PartnerNudged], Common),
            EventBody::Tending(tending) => match tending.action() {
                Some(action) => (&[NotificationPendingAction], Action(action)),
                None => (&[], Common),
            },
            EventBody::Created { .. }
            | EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::InvitationWritten { .. }
            | EventBody::TopicFrameConfirmed { .. }
            | EventBody::AppNoticed { .. }
            | EventBody::FeelHeardOffered {}
            | EventBody::FeelHeardConfirmed { .. }
            | EventBody::EmpathyDraftSaved { .. }
            | EventBody::NeedAdded { .. }
            | EventBody::NeedsEdited { .. }
            | EventBody::NeedsValidated { validated: false }
            | EventBody::ConsentDenied { .. }
            | EventBody::NeedsConfirmed { first: false, .. }
            | EventBody::PathChosen { ready: false, .. }
            | EventBody::SelectionsMade { takes_back: false, .. }
            | EventBody::NeedDeclined { .. }
            | EventBody::NeedWalked { .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatSaid { .. }
            | EventBody::SubChatResolved { .. }
            | EventBody::RankingSubmitted { replaces: true, .. }
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::AccountErased {}
            | EventBody::Renamed { .. }
            | EventBody::ActivityShown { .. }
            | EventBody::Viewed { .. }
            | EventBody::SawShareTab {}
            | EventBody::NudgeRefused {} => (&[], Common),
        };
        Told { names, fields }
    }

    fn payload(&self, fields: Fields<'_>) -> Map<String, Value> {
        let fields = match fields {
            Fields::Common => json!({}),
            Fields::SignedAt => json!({ "signedAt": self.at }),
            Fields::Completed(stage, None) => json!({ "stage": stage, "completedAt": self.at }),
            Fields::Completed(stage, Some(next)) => {
                json!({ "stage": stage, "completedAt": self.at, "previousStage": stage, "currentStage": next })
            }
            Fields::ToStage(stage) => json!({ "toStage": stage }),
            Fields::Willing(willing) => json!({ "willingToAccept": willing }),
            Fields::Consent(kind) => json!({ "kind": kind }),
            Fields::Agreement(id) => json!({ "agreementId": id }),
            Fields::Agreements(ids) => json!({ "agreementIds": ids }),
            Fields::Selections(change) => {
                json!({ "change": format!("stage4_selection_{change}"), "submittedBy": self.by })
            }
            // Without an author, like the proposals that came of it.
            Fields::SubChatResolved => json!({ "change": "stage4_subchat_resolved" }),
            Fields::Closed(kind, agreements) => {
                let ids: Vec<_> = agreements.iter().map(|agreement| &agreement.id).collect();
                json!({ "closedBy": self.by, "kind": kind, "agreementIds": ids })
            }
            Fields::Action(action) => json!({ "actionType": action }),
            Fields::Pause(reason) => json!({ "by": self.by, "reason": reason }),
        };
        match fields {
            Value::Object(payload) => payload,
            _ => Map::new(),
        }
    }
}

/// Under which names an event is told, the deciding one first, and what the messages say beyond the common fields.
struct Told<'a> {
    names: &'static [EventName],
    fields: Fields<'a>,
}

#[derive(Clone, Copy)]
enum Fields<'a> {
    Common,
    SignedAt,
    Completed(Stage, Option<Stage>),
    ToStage(Stage),
    Willing(bool),
    Consent(ConsentKind),
    Agreement(&'a AgreementId),
    Agreements(&'a [AgreementId]),
    Selections(&'static str),
    SubChatResolved,
    Action(&'static str),
    Closed(ClosureKind, &'a [ClosedAgreement]),
    Pause(Option<&'a PrivateText>),
}
