//! What the session's channel hears of an event: ids, stages and times. The one text in it is the reason of a pause, which
//! a partner writes for the other.

use serde_json::{Map, Value, json};

use super::{Event, EventBody};
use crate::domain::ids::SessionId;

/// For whom an event is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The partner of whoever caused it.
    Partner,
    /// Nobody caused it.
    Both,
}

/// A message for the session's channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    pub name: &'static str,
    pub payload: Map<String, Value>,
    pub audience: Audience,
    /// Whether somebody who is not there is told by a push.
    pub pushes: bool,
}

/// All names that the coordinator publishes under; nobody else may.
pub const NAMES: [&str; 24] = [
    "agreement.confirmed",
    "agreement.declined",
    "agreement.follow_up",
    "agreement.proposed",
    "invitation.declined",
    "partner.advanced",
    "partner.consent_revoked",
    "partner.empathy_shared",
    "partner.needs_confirmed",
    "partner.needs_shared",
    "partner.nudged",
    "partner.ranking_submitted",
    "partner.ready_to_rank",
    "partner.revision_requested",
    "partner.signed_compact",
    "partner.stage_completed",
    "partner.validated",
    "session.abandoned",
    "session.joined",
    "session.paused",
    "session.resolved",
    "session.resumed",
    "session.updated",
    "strategies.overlap_ready",
];

impl Event {
    /// None for what concerns its author alone.
    pub fn announcement(&self, session: &SessionId) -> Option<Announcement> {
        let (name, fields) = self.told()?;
        let mut payload = match fields {
            Value::Object(payload) => payload,
            _ => Map::new(),
        };
        let by = self.by.as_ref().map_or(Value::Null, |user| user.as_str().into());
        payload.insert("sessionId".into(), session.as_str().into());
        payload.insert("seq".into(), self.seq.into());
        payload.insert("timestamp".into(), self.at.as_millis().into());
        payload.insert("excludeUserId".into(), by.clone());
        payload.insert("triggeredByUserId".into(), by);
        let audience = if self.by.is_some() { Audience::Partner } else { Audience::Both };
        Some(Announcement { name, payload, audience, pushes: true })
    }

    pub fn is_announced(&self) -> bool {
        self.name().is_some()
    }

    /// The name on the channel.
    pub fn name(&self) -> Option<&'static str> {
        Some(match &self.body {
            EventBody::Joined { .. } => "session.joined",
            EventBody::InvitationDeclined {} => "invitation.declined",
            EventBody::CompactSigned {} => "partner.signed_compact",
            EventBody::StageCompleted { .. } => "partner.stage_completed",
            EventBody::Advanced { .. } => "partner.advanced",
            EventBody::EmpathyShared { .. } => "partner.empathy_shared",
            EventBody::EmpathyJudged { validated: true, .. } => "partner.validated",
            EventBody::EmpathyJudged { validated: false, .. } => "partner.revision_requested",
            EventBody::NeedsConfirmed { first: true, .. } => "partner.needs_confirmed",
            EventBody::NeedsShared { .. } => "partner.needs_shared",
            EventBody::ConsentRevoked { .. } => "partner.consent_revoked",
            EventBody::ReadyToRank {} => "partner.ready_to_rank",
            EventBody::RankingSubmitted { replaces: false, .. } => "partner.ranking_submitted",
            EventBody::OverlapRevealed { .. } => "strategies.overlap_ready",
            EventBody::AgreementProposed { .. } => "agreement.proposed",
            EventBody::AgreementConfirmed { .. } => "agreement.confirmed",
            EventBody::AgreementDeclined { .. } => "agreement.declined",
            EventBody::FollowUpDue { .. } => "agreement.follow_up",
            EventBody::Paused { .. } => "session.paused",
            EventBody::Resumed {} => "session.resumed",
            EventBody::Resolved {} => "session.resolved",
            EventBody::Abandoned { .. } => "session.abandoned",
            EventBody::Nudged {} => "partner.nudged",
            EventBody::Created { .. }
            | EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::FeelHeardConfirmed { .. }
            | EventBody::EmpathyDraftSaved { .. }
            | EventBody::NeedAdded { .. }
            | EventBody::NeedsConfirmed { first: false, .. }
            | EventBody::CommonGroundConfirmed { .. }
            | EventBody::StrategyProposed { .. }
            | EventBody::RankingSubmitted { replaces: true, .. }
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::AccountErased {}
            | EventBody::Renamed { .. }
            | EventBody::Viewed { .. }
            | EventBody::NudgeRefused {} => return None,
        })
    }

    fn told(&self) -> Option<(&'static str, Value)> {
        let fields = match &self.body {
            EventBody::CompactSigned {} => json!({ "signedAt": self.at }),
            EventBody::StageCompleted { stage } => json!({ "stage": stage, "completedAt": self.at }),
            EventBody::Advanced { to } => json!({ "toStage": to }),
            EventBody::ConsentRevoked { kind } => json!({ "kind": kind }),
            EventBody::AgreementProposed { id, .. }
            | EventBody::AgreementConfirmed { id }
            | EventBody::AgreementDeclined { id, .. } => json!({ "agreementId": id }),
            EventBody::FollowUpDue { agreements } => json!({ "agreementIds": agreements }),
            EventBody::Paused { reason } => json!({ "by": self.by, "reason": reason }),
            _ => Value::Null,
        };
        self.name().map(|name| (name, fields))
    }
}
