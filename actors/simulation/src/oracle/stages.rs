//! The rules of the five stages: what a member may do in each, and what completes it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::model::{
    Agreement, Member, Model, Need,
    Status::{Active, Created, Invited},
    rule, text, texts,
};

impl Model {
    pub(super) fn in_a_stage(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
        if name == "compact_signed" {
            rule(matches!(self.status, Created | Invited | Active), "only a session that goes on is signed")?;
            rule(!std::mem::replace(&mut self.members[side].signed, true), "each signs once")?;
            return Ok(());
        }
        rule(self.status == Active, "stages go on in active sessions only")?;
        let stage = match name {
            "feel_heard_confirmed" => 1,
            "empathy_draft_saved" | "empathy_shared" | "empathy_judged" => 2,
            "need_added" | "needs_confirmed" | "needs_shared" | "needs_validated" => 3,
            "stage_completed" => return self.completed(side, fields["stage"].as_u64().unwrap_or_default()),
            "advanced" => return self.advanced(side, fields["to"].as_u64().unwrap_or_default()),
            _ => 4,
        };
        let here = self.members[side].stage == stage;
        let again = matches!(name, "empathy_shared" | "needs_shared") && self.members[side].stage > stage;
        rule(here || again, "each step belongs to its stage")?;
        match stage {
            1 => {
                rule(!std::mem::replace(&mut self.members[side].heard, true), "each is heard once")?;
                Ok(())
            }
            2 => self.empathy(side, name, fields),
            3 => self.needs(side, name, fields),
            _ => self.repair(side, name, fields),
        }
    }

    pub(super) fn empathy(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
        let me = &mut self.members[side];
        let editable = me.attempt.is_none() || me.verdict == Some(false);
        match name {
            "empathy_draft_saved" => {
                rule(editable, "a shared attempt stays as it is")?;
                me.draft = Some((text(fields, "content"), fields["ready"] == true));
            }
            "empathy_shared" => {
                rule(editable, "an attempt is shared once")?;
                rule(me.draft.as_ref().is_some_and(|(_, ready)| *ready), "only a ready draft is shared")?;
                me.attempt = Some(text(fields, "content"));
                me.verdict = None;
            }
            _ => {
                rule(me.attempt.is_some(), "who judges has shared")?;
                let other = self.members.get_mut(1 - side).ok_or("nobody to judge")?;
                rule(other.attempt.is_some(), "only what is shared is judged")?;
                rule(other.verdict != Some(true), "what was validated stays so")?;
                other.verdict = Some(fields["validated"] == true);
            }
        }
        Ok(())
    }

    pub(super) fn needs(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
        let me = &mut self.members[side];
        match name {
            "need_added" => {
                let need = Need { text: text(fields, "need"), ..Need::default() };
                rule(me.needs.insert(text(fields, "id"), need).is_none(), "a need has an id of its own")?;
            }
            "needs_confirmed" => {
                for change in fields["needs"].as_array().into_iter().flatten() {
                    let need = me.needs.get_mut(&text(change, "need")).ok_or("a need of somebody else is confirmed")?;
                    need.confirmed = change["confirmed"] == true;
                }
            }
            "needs_shared" => {
                rule(!me.shares_needs, "needs are shared once")?;
                let chosen = texts(&fields["needs"]);
                for (id, need) in &mut me.needs {
                    need.shared = chosen.contains(id);
                    rule(!need.shared || need.confirmed, "only confirmed needs are shared")?;
                }
                me.shares_needs = true;
            }
            _ => {
                me.validated = fields["validated"] == true;
                let both = self.members.len() == 2 && self.members.iter().all(|member| member.shares_needs);
                rule(both || self.partner_is_beyond(side, 3), "needs are compared when both have shared")?;
            }
        }
        Ok(())
    }

    pub(super) fn repair(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
        let all = |members: &[Member], is: fn(&Member) -> bool| members.len() == 2 && members.iter().all(is);
        let agreed = self.agreements.values().any(|agreement| agreement.agreed);
        let live = self.agreements.values().filter(|agreement| !agreement.declined);
        match name {
            "strategy_proposed" => {
                rule(!all(&self.members, |member| member.ready), "the pool is closed when both are ready")?;
                self.strategies.push(text(fields, "id"));
            }
            "ready_to_rank" => {
                rule(!self.strategies.is_empty() && !agreed, "there is something to rank")?;
                rule(!std::mem::replace(&mut self.members[side].ready, true), "each is ready once a round")?;
            }
            "ranking_submitted" => {
                rule(all(&self.members, |member| member.ready), "nobody ranks before both are ready")?;
                rule(!all(&self.members, |member| member.ranked), "no ranking changes when both are in")?;
                let known = |id: &String| self.strategies.contains(id);
                rule(texts(&fields["ranking"]).iter().all(known), "only strategies of this session are ranked")?;
                self.members[side].ranked = true;
            }
            "overlap_revealed" => {
                rule(all(&self.members, |member| member.ranked), "nothing is revealed before both have ranked")?;
                self.revealed = true;
                self.candidates = texts(&fields["candidates"]);
                if texts(&fields["overlap"]).is_empty() {
                    self.members.iter_mut().for_each(|member| (member.ready, member.ranked) = (false, false));
                }
            }
            "agreement_proposed" => {
                rule(self.revealed, "agreements follow the ranking")?;
                rule(live.count() < 2, "two agreements at most")?;
                let follow_up_at = fields["follow_up_at"].as_i64();
                let (agreed, declined, reminded) = (false, false, false);
                let agreement = Agreement { proposer: side, agreed, declined, follow_up_at, reminded };
                self.agreements.insert(text(fields, "id"), agreement);
            }
            "agreement_confirmed" | "agreement_declined" => {
                let agreement = self.agreements.get_mut(&text(fields, "id")).ok_or("there is no such agreement")?;
                rule(!agreement.agreed && !agreement.declined, "an agreement is answered once")?;
                if name == "agreement_confirmed" {
                    rule(agreement.proposer != side, "nobody confirms their own proposal")?;
                    agreement.agreed = true;
                } else {
                    agreement.declined = true;
                }
            }
            _ => return Err("unknown event".into()),
        }
        Ok(())
    }

    pub(super) fn partner_is_beyond(&self, side: usize, stage: u64) -> bool {
        self.members.get(1 - side).is_some_and(|partner| partner.stage > stage)
    }

    /// What a member has to do in a stage.
    pub(super) fn satisfied(&self, side: usize, stage: u64) -> bool {
        let Some(me) = self.members.get(side) else { return false };
        me.stage > stage
            || match stage {
                0 => me.signed,
                1 => me.heard,
                // Each partner validates the other one's attempt.
                2 => {
                    me.attempt.is_some() && self.members.get(1 - side).is_some_and(|other| other.verdict == Some(true))
                }
                3 => {
                    let confirmed = me.needs.values().any(|need| need.confirmed);
                    let both = self.members.iter().all(|member| member.shares_needs);
                    confirmed && me.shares_needs && me.validated && (both || self.partner_is_beyond(side, 3))
                }
                _ => false,
            }
    }

    pub(super) fn completed(&mut self, side: usize, stage: u64) -> Result<(), String> {
        rule(self.members[side].completed.insert(stage), "a stage is completed once")?;
        rule(stage == 4 || self.satisfied(side, stage), "a stage is completed when its gates are satisfied")
    }

    pub(super) fn advanced(&mut self, side: usize, to: u64) -> Result<(), String> {
        let stage = self.members[side].stage;
        rule(to == stage + 1 && to <= 4, "stages come one after the other")?;
        rule(self.satisfied(side, stage), "nobody advances with open gates")?;
        rule(stage == 1 || self.satisfied(1 - side, stage), "nobody advances without the partner")?;
        self.members[side].stage = to;
        Ok(())
    }

    pub(super) fn revoked(&mut self, side: usize, kind: &str) -> Result<(), String> {
        let me = &mut self.members[side];
        if kind == "empathy" {
            rule(me.attempt.is_some(), "only what is shared is revoked")?;
            me.attempt = None;
        } else {
            rule(me.shares_needs, "only what is shared is revoked")?;
            me.shares_needs = false;
            me.needs.values_mut().for_each(|need| need.shared = false);
        }
        Ok(())
    }

    /// The private texts of the partner that this side may read.
    pub(super) fn shown_to(&self, side: usize) -> BTreeSet<String> {
        let (Some(me), Some(other)) = (self.members.get(side), self.members.get(1 - side)) else {
            return BTreeSet::new();
        };
        let mut shown = BTreeSet::new();
        if me.attempt.is_some() {
            shown.extend(other.attempt.clone());
        }
        if me.shares_needs && other.shares_needs {
            shown.extend(other.needs.values().filter(|need| need.shared).map(|need| need.text.clone()));
        }
        shown
    }
}
