//! A session as the operator of the node sees it: who stands where, and what is still missing. No partner wrote any of
//! it.

use crate::{
    ids::{Seq, SessionId, UserId},
    rules::{Blocked, BlockedReason},
    session::Session,
    side::Side,
    stage::{SessionStatus, Stage, StageStatus},
    time::Timestamp,
};

/// The session as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oversight {
    /// The session.
    pub session: SessionId,
    /// The number of the session's last event.
    pub seq: Seq,
    /// The stored status.
    pub status: SessionStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// The last event that changed the session.
    pub changed_at: Timestamp,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// When it was resolved or abandoned.
    pub ended_at: Option<Timestamp>,
    /// Until when the invitation can be accepted. Absent after somebody has joined.
    pub invitation_expires_at: Option<Timestamp>,
    /// The creator, and the invited partner after they joined.
    pub partners: Vec<PartnerOversight>,
}

/// One partner's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerOversight {
    /// The partner.
    pub user: UserId,
    /// The partner created the session. Otherwise they were invited.
    pub is_creator: bool,
    /// When the partner joined.
    pub joined_at: Timestamp,
    /// When the partner withdrew.
    pub left_at: Option<Timestamp>,
    /// The stages opened so far, in order.
    pub stages: Vec<StageOversight>,
    /// Why the partner cannot advance. Absent if the partner can.
    pub blocked: Option<BlockedReason>,
    /// The last event that the partner has confirmed to have seen.
    pub last_seen: Seq,
    /// When the partner last looked at the session.
    pub viewed_at: Option<Timestamp>,
    /// The client is the product's app, so the coordinator advances the partner by itself.
    pub in_app_mode: bool,
}

/// One stage of one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageOversight {
    /// The stage.
    pub stage: Stage,
    /// How far the partner is in it.
    pub status: StageStatus,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When the partner advanced to the next stage.
    pub completed_at: Option<Timestamp>,
    /// The partner's own gates, each with whether it is satisfied.
    pub gates: Vec<(&'static str, bool)>,
}

impl Session {
    /// What the operator may see.
    pub fn oversight(&self) -> Oversight {
        Oversight {
            session: self.id.clone(),
            seq: self.seq,
            status: self.status,
            created_at: self.created_at,
            changed_at: self.updated_at,
            paused_at: self.pause.as_ref().map(|pause| pause.at),
            ended_at: self.resolved_at.or(self.abandoned_at),
            invitation_expires_at: self.invitee.is_none().then_some(self.invitation.expires_at),
            partners: Side::BOTH.into_iter().filter_map(|side| self.partner_oversight(side)).collect(),
        }
    }

    fn partner_oversight(&self, side: Side) -> Option<PartnerOversight> {
        let member = self.member(side)?;
        let stages = member.stages.iter().map(|record| StageOversight {
            stage: record.stage,
            status: self.stage_status(side, record.stage),
            started_at: record.started_at,
            completed_at: record.completed_at,
            gates: self.gates(side, record.stage).each().into_iter().map(|(gate, yes)| (gate.as_str(), yes)).collect(),
        });
        Some(PartnerOversight {
            user: member.id.clone(),
            is_creator: side == Side::Creator,
            joined_at: member.joined_at,
            left_at: member.left_at,
            stages: stages.collect(),
            blocked: self.next_stage(side).err().map(|Blocked { reason, .. }| reason),
            last_seen: member.last_seen,
            viewed_at: member.viewed_at,
            in_app_mode: member.in_app_mode(),
        })
    }
}
