//! What a session may do, told once more and in few words: a second opinion on each stored event. It shares no code
//! with the domain. It knows events by their stored names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A stored event.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Event {
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    pub by: Option<String>,
    pub body: Value,
}

impl Event {
    /// The event's name and its fields.
    pub fn parts(&self) -> (&str, &Value) {
        let body = self.body.as_object().and_then(|body| body.iter().next());
        body.map_or(("", &Value::Null), |(name, fields)| (name.as_str(), fields))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Created,
    Invited,
    Active,
    Paused,
    Resolved,
    Abandoned,
    Archived,
}

use Status::{Abandoned, Active, Archived, Created, Invited, Paused, Resolved};

impl Status {
    pub fn is_live(self) -> bool {
        matches!(self, Created | Invited | Active | Paused)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Need {
    pub text: String,
    pub confirmed: bool,
    pub shared: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Member {
    pub user: String,
    pub left: bool,
    pub stage: u64,
    pub completed: BTreeSet<u64>,
    pub signed: bool,
    pub heard: bool,
    pub draft: Option<(String, bool)>,
    /// The attempt that is shared at present.
    pub attempt: Option<String>,
    /// The partner's verdict on it.
    pub verdict: Option<bool>,
    pub needs: BTreeMap<String, Need>,
    pub shares_needs: bool,
    /// The partner has compared both lists.
    pub validated: bool,
    pub ready: bool,
    pub ranked: bool,
    pub last_seen: u64,
    pub nudged_at: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Agreement {
    pub proposer: usize,
    pub agreed: bool,
    pub declined: bool,
    pub follow_up_at: Option<i64>,
    pub reminded: bool,
}

/// The limits that the simulated node runs with, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub abandon_after: i64,
    pub nudge_interval: i64,
}

/// What each side may read of the other's private texts, from a `seq` on.
pub type Shown = (u64, [BTreeSet<String>; 2]);

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub seq: u64,
    pub status: Status,
    pub members: Vec<Member>,
    pub invitation: String,
    pub expires_at: i64,
    pub expired: bool,
    pub strategies: Vec<String>,
    /// Both have ranked, and what both want is known.
    pub revealed: bool,
    pub candidates: Vec<String>,
    pub agreements: BTreeMap<String, Agreement>,
    pub last_at: i64,
    pub shown: Vec<Shown>,
}

fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Refuses with a reason unless the rule holds.
fn rule(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("broken rule: {rule}")) }
}

impl Model {
    pub fn side(&self, user: &str) -> Option<usize> {
        self.members.iter().position(|member| member.user == user)
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// If it should not have happened.
    pub fn take(&mut self, event: &Event, limits: Limits) -> Result<(), String> {
        let (name, fields) = event.parts();
        rule(event.seq == self.seq + 1, "each event has the next seq")?;
        let told = |error: String| format!("{error}: event {} {name} by {:?}", event.seq, event.by);
        match &event.by {
            None => self.by_itself(name, fields, event.at, limits),
            Some(user) => match self.side(user) {
                Some(side) => self.by_member(side, name, fields, event.at, limits),
                None => self.by_stranger(user, name, fields),
            },
        }
        .map_err(told)?;
        self.seq = event.seq;
        self.last_at = event.at;
        let shown = [self.shown_to(0), self.shown_to(1)];
        if self.shown.last().is_none_or(|(_, last)| *last != shown) {
            self.shown.push((self.seq, shown));
        }
        Ok(())
    }

    /// Timers.
    fn by_itself(&mut self, name: &str, fields: &Value, at: i64, limits: Limits) -> Result<(), String> {
        match name {
            "invitation_expired" => {
                rule(self.status == Invited && !self.expired, "an invitation expires once, while it waits")?;
                rule(at >= self.expires_at, "an invitation does not expire early")?;
                self.expired = true;
            }
            "abandoned" => {
                rule(self.status.is_live(), "only a live session is abandoned")?;
                rule(at - self.last_at >= limits.abandon_after, "an idle session is not abandoned early")?;
                self.status = Abandoned;
            }
            "follow_up_due" => {
                for id in texts(&fields["agreements"]) {
                    let agreement = self.agreements.get_mut(&id).ok_or("a follow-up of no agreement")?;
                    rule(agreement.follow_up_at.is_some_and(|due| at >= due), "no follow-up comes early")?;
                    rule(!std::mem::replace(&mut agreement.reminded, true), "a follow-up comes once")?;
                }
            }
            "tending" => rule(matches!(self.status, Resolved | Archived), "check-ins follow a resolved session")?,
            _ => return Err("nobody did it".into()),
        }
        Ok(())
    }

    fn by_stranger(&mut self, user: &str, name: &str, fields: &Value) -> Result<(), String> {
        let newcomer = Member { user: user.to_owned(), ..Member::default() };
        match name {
            "created" => {
                rule(self.seq == 0, "a session begins once")?;
                self.expires_at = fields["expires_at"].as_i64().unwrap_or_default();
                self.invitation = text(fields, "invitation");
                self.members.push(newcomer);
            }
            "joined" => {
                rule(self.status == Invited && !self.expired && self.members.len() == 1, "one partner joins, in time")?;
                self.members.push(newcomer);
                self.status = Active;
            }
            "invitation_declined" => {
                rule(self.status == Invited && self.members.len() == 1, "only an open invitation is declined")?;
                self.status = Abandoned;
            }
            _ => return Err("a stranger did it".into()),
        }
        Ok(())
    }

    fn by_member(&mut self, side: usize, name: &str, fields: &Value, at: i64, limits: Limits) -> Result<(), String> {
        rule(!self.members[side].left || name == "account_erased", "who has left does nothing more")?;
        match name {
            "invitation_confirmed" => {
                rule(side == 0 && self.status == Created, "the creator confirms once")?;
                self.status = Invited;
                self.expires_at = fields["expires_at"].as_i64().unwrap_or_default();
            }
            "invitation_resent" => {
                rule(side == 0 && self.status == Invited, "the creator sends an open invitation again")?;
                self.expired = false;
                self.expires_at = fields["expires_at"].as_i64().unwrap_or_default();
            }
            "paused" => {
                rule(self.status == Active, "only an active session is paused")?;
                self.status = Paused;
            }
            "resumed" => {
                rule(self.status == Paused, "only a paused session is resumed")?;
                self.status = Active;
            }
            "resolved" => {
                rule(self.status == Active, "only an active session is resolved")?;
                rule(self.agreements.values().any(|agreement| agreement.agreed), "no resolution without agreement")?;
                self.status = Resolved;
            }
            "abandoned" => {
                rule(self.status.is_live(), "only a live session is abandoned")?;
                self.status = Abandoned;
            }
            "archived" => {
                rule(matches!(self.status, Resolved | Abandoned), "only what is over is archived")?;
                self.status = Archived;
            }
            "left" | "account_erased" => {
                rule(!self.status.is_live(), "nobody leaves a live session open")?;
                self.members[side].left = true;
            }
            "viewed" => {
                let seen = fields["last_seen"].as_u64().unwrap_or_default();
                rule(seen <= self.seq, "nobody has seen what has not happened")?;
                self.members[side].last_seen = seen;
            }
            "nudged" => {
                rule(self.status == Active, "only in an active session")?;
                let last = self.members[side].nudged_at.replace(at);
                let early = last.is_some_and(|last| (0..limits.nudge_interval).contains(&(at - last)));
                rule(!early, "nudges are seldom")?;
            }
            // Also when the session is over: what was shown can be hidden.
            "consent_revoked" => self.revoked(side, &text(fields, "kind"))?,
            "nudge_refused" | "renamed" | "activity_shown" | "tending" | "path_chosen" => {}
            _ => self.in_a_stage(side, name, fields)?,
        }
        Ok(())
    }

    fn in_a_stage(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
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

    fn empathy(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
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

    fn needs(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
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

    fn repair(&mut self, side: usize, name: &str, fields: &Value) -> Result<(), String> {
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

    fn partner_is_beyond(&self, side: usize, stage: u64) -> bool {
        self.members.get(1 - side).is_some_and(|partner| partner.stage > stage)
    }

    /// What a member has to do in a stage.
    fn satisfied(&self, side: usize, stage: u64) -> bool {
        let Some(me) = self.members.get(side) else { return false };
        me.stage > stage
            || match stage {
                0 => me.signed,
                1 => me.heard,
                // Each validates what the other one has written.
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

    fn completed(&mut self, side: usize, stage: u64) -> Result<(), String> {
        rule(self.members[side].completed.insert(stage), "a stage is completed once")?;
        rule(stage == 4 || self.satisfied(side, stage), "a stage is completed when its gates are satisfied")
    }

    fn advanced(&mut self, side: usize, to: u64) -> Result<(), String> {
        let stage = self.members[side].stage;
        rule(to == stage + 1 && to <= 4, "stages come one after the other")?;
        rule(self.satisfied(side, stage), "nobody advances with open gates")?;
        rule(stage == 1 || self.satisfied(1 - side, stage), "nobody advances without the partner")?;
        self.members[side].stage = to;
        Ok(())
    }

    fn revoked(&mut self, side: usize, kind: &str) -> Result<(), String> {
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

    /// The private texts of the other one that this side may read.
    fn shown_to(&self, side: usize) -> BTreeSet<String> {
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
