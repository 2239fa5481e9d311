//! A second, short implementation of the session's rules, which checks each stored event. It shares no code with the
//! domain, and knows events by their stored names.

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
    /// The attempt that is shared now.
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
    /// Both have ranked, and the overlap is revealed.
    pub revealed: bool,
    pub candidates: Vec<String>,
    pub agreements: BTreeMap<String, Agreement>,
    pub last_at: i64,
    pub shown: Vec<Shown>,
}

pub(super) fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or_default().to_owned()
}

pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Refuses with a reason unless the rule holds.
pub(super) fn rule(holds: bool, rule: &str) -> Result<(), String> {
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
            // A consent can be revoked after the session, too.
            "consent_revoked" => self.revoked(side, &text(fields, "kind"))?,
            "nudge_refused" | "renamed" | "activity_shown" | "tending" | "path_chosen" => {}
            _ => self.in_a_stage(side, name, fields)?,
        }
        Ok(())
    }
}
