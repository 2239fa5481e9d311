//! How partners move through the stages, and how the session ends.

use crate::{
    app::AppClient,
    member::Member,
    session::Session,
    side::Side,
    stage::{SessionStatus, Stage, StageRecord},
    time::Timestamp,
};

impl Session {
    pub(super) fn advance(&mut self, author: Option<Side>, to: Stage, at: Timestamp) {
        let Some(side) = author else { return };
        let from = self.stage_of(side);
        self.close_stage(side, from, at);
        if let Some(me) = self.member_mut(side).filter(|me| me.record(to).is_none()) {
            me.stages.push(StageRecord::open(to, at));
        }
    }

    pub(super) fn resolve(&mut self, at: Timestamp) {
        self.move_to(SessionStatus::Resolved);
        self.resolved_at = Some(at);
        for side in Side::BOTH {
            self.close_stage(side, Stage::StrategicRepair, at);
        }
    }

    pub(super) fn close_stage(&mut self, side: Side, stage: Stage, at: Timestamp) {
        let record = self.member_mut(side).and_then(|member| member.record_mut(stage));
        if let Some(record) = record.filter(|record| record.completed_at.is_none()) {
            record.completed_at = Some(at);
        }
    }
}

impl Member {
    pub(super) fn notice_app(&mut self, june: bool, at: Timestamp) {
        let since = self.client.map_or(at, |client| client.since);
        self.client = Some(AppClient { since, june: june || self.is_june() });
    }

    pub(super) fn satisfy(&mut self, stage: Stage, at: Timestamp) {
        if let Some(record) = self.record_mut(stage) {
            record.satisfied_at = Some(at);
        }
    }
}
