//! Checks the answers to clients: they show only durable events, a command is executed once for a key, a repeated
//! request gets the same answer, and nothing is shown that the other partner has not agreed to show.

use bytes::Bytes;
use serde_json::Value;

use super::{Oracle, PATIENCE, Status};

/// A command as its client remembers it.
#[derive(Clone, Debug)]
pub struct Operation {
    pub name: &'static str,
    pub session: Option<String>,
    pub user: String,
    pub has_key: bool,
    /// Whether a text of the request holds the operation's number, so that its events can be recognised.
    pub has_marker: bool,
    sent: u32,
    /// The number of its stored events.
    done: u32,
    first_seq: u64,
    /// The id in the first answer, and whether the answer said that something was created.
    answered: Option<(Option<String>, bool)>,
}

/// The time, and the session's last `seq`, when a request was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub at: i64,
    pub seq: u64,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    Done {
        data: Bytes,
        created: bool,
        replayed: bool,
    },
    Rejected(&'static str),
    /// 503, with the reason. The client tries again.
    Unavailable(String),
    Internal(String),
    /// No answer: the node ended, or the client broke off.
    Broken,
}

/// The number of the operation in a text: `~user.kind.number~`.
fn number_in(text: &str) -> Option<u64> {
    text.split('~').nth(1)?.rsplit('.').next()?.parse().ok()
}

/// The number of the operation that an event carries out.
pub(super) fn marker_of(name: &str, fields: &Value) -> Option<u64> {
    let field = match name {
        "created" => "context",
        "empathy_draft_saved" => "content",
        "need_added" => "need",
        "strategy_proposed" | "agreement_proposed" => "description",
        "paused" => "reason",
        _ => return None,
    };
    number_in(fields[field].as_str()?)
}

impl Oracle {
    pub fn begin(&mut self, number: u64, name: &'static str, user: &str, has_key: bool, has_marker: bool) {
        let operation = Operation {
            name,
            session: None,
            user: user.to_owned(),
            has_key,
            has_marker,
            sent: 0,
            done: 0,
            first_seq: 0,
            answered: None,
        };
        self.operations.insert(number, operation);
    }

    /// A request is about to be sent.
    pub fn send(&mut self, number: Option<u64>, session: Option<&str>, now: i64) -> Sent {
        let seq = session.and_then(|session| self.model(session)).map_or(0, |model| model.seq);
        if let Some(operation) = number.and_then(|number| self.operations.get_mut(&number)) {
            if operation.sent == 0 {
                operation.first_seq = seq;
                operation.session = session.map(str::to_owned);
            }
            operation.sent += 1;
        }
        Sent { at: now, seq }
    }

    pub(super) fn carried_out(&mut self, number: u64, session: &str, seq: u64) -> Result<(), String> {
        let Some(operation) = self.operations.get_mut(&number) else { return Ok(()) };
        operation.done += 1;
        operation.session = Some(session.to_owned());
        let most = if operation.has_key { 1 } else { operation.sent };
        if operation.done > most {
            return Err(format!("{number} {} was carried out {} times", operation.name, operation.done));
        }
        if seq <= operation.first_seq {
            return Err(format!("{number} {} is stored before it was sent", operation.name));
        }
        Ok(())
    }

    /// A request has ended.
    pub fn ended(
        &mut self,
        number: Option<u64>,
        session: Option<&str>,
        user: &str,
        sent: Sent,
        outcome: &Outcome,
        now: i64,
    ) -> Result<(), String> {
        if now - sent.at > PATIENCE {
            return Err(format!("{user} waited {} ms for an answer", now - sent.at));
        }
        match outcome {
            Outcome::Done { data, created, replayed } => {
                let data: Value = serde_json::from_slice(data).map_err(|error| format!("an answer: {error}"))?;
                let made = data["session"]["id"].as_str().map(str::to_owned);
                let session = session.map(str::to_owned).or(made);
                if let Some(session) = &session {
                    self.answered(session, user, sent, &data)?;
                }
                match number {
                    Some(number) => self.acknowledged(number, &data, *created, *replayed),
                    None => Ok(()),
                }
            }
            Outcome::Rejected(code) => self.rejected(number, session, user, code),
            Outcome::Unavailable(reason) | Outcome::Internal(reason) => {
                self.refused_for_now(session, sent, now).map_err(|error| format!("{error}: {reason}"))
            }
            Outcome::Broken => Ok(()),
        }
    }

    /// Checks an answer: it shows only durable events, is not older than an earlier answer, and holds nothing that is
    /// hidden from the viewer.
    fn answered(&self, id: &str, user: &str, sent: Sent, data: &Value) -> Result<(), String> {
        let Some(session) = self.sessions.get(id) else {
            if self.was_there_at(id, sent.at) {
                return Ok(());
            }
            return Err(format!("{user} has an answer of {id}, of which nothing is durable"));
        };
        let model = &session.model;
        if let Some(seq) = data["seq"].as_u64() {
            if seq > model.seq {
                return Err(format!("{id}: {user} has seen seq {seq}, durable is {}", model.seq));
            }
            if seq < sent.seq && data.get("events").is_none() {
                return Err(format!("{id}: {user} got seq {seq}, although {} was durable before", sent.seq));
            }
        }
        let text = data.to_string();
        let Some(side) = model.side(user) else { return Ok(()) };
        for marker in text.split('~').skip(1).step_by(2) {
            let mut parts = marker.split('.');
            let (author, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let is_private = matches!(kind, "draft" | "need" | "feedback" | "context");
            if author == user || !is_private {
                continue;
            }
            let text = format!("~{marker}~");
            let last = model.shown.partition_point(|(seq, _)| *seq <= sent.seq).saturating_sub(1);
            let allowed = model.shown.iter().skip(last).any(|(_, shown)| shown[side].contains(&text));
            if !allowed {
                return Err(format!("{id}: {user} sees {text} without consent"));
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, number: u64, data: &Value, created: bool, replayed: bool) -> Result<(), String> {
        let Some(operation) = self.operations.get_mut(&number) else { return Ok(()) };
        let told = format!("{number} {} of {}", operation.name, operation.user);
        if operation.has_marker && operation.done == 0 {
            let session = operation.session.as_ref().and_then(|id| self.sessions.get_mut(id));
            // It may be one of the events that were replaced in the commit that they came with.
            let unseen = session.filter(|session| replayed && operation.name == "draft" && session.unseen > 0);
            let Some(session) = unseen else {
                return Err(format!("{told} is acknowledged, and nothing of it is durable"));
            };
            session.unseen -= 1;
            operation.done = 1;
        }
        if replayed && (!operation.has_key || operation.sent < 2) {
            return Err(format!("{told} was answered from memory at the first time"));
        }
        let id = ["need", "strategy", "agreement", "session"].iter().find_map(|what| data[what]["id"].as_str());
        let answer = (id.map(str::to_owned), created);
        match &operation.answered {
            Some(first) if operation.has_key && operation.has_marker && *first != answer => {
                return Err(format!("{told} was answered by {first:?}, and then by {answer:?}"));
            }
            Some(_) => {}
            None => operation.answered = Some(answer),
        }
        let (name, user) = (operation.name, operation.user.clone());
        let session = operation.session.clone().or_else(|| data["session"]["id"].as_str().map(str::to_owned));
        let Some(session) = session.and_then(|session| self.sessions.get(&session)) else { return Ok(()) };
        let model = &session.model;
        let member = model.side(&user).map(|side| &model.members[side]);
        let holds = match name {
            "sign" => member.is_some_and(|member| member.signed),
            "accept" => member.is_some(),
            "resolve" => matches!(model.status, Status::Resolved | Status::Archived),
            "archive" => model.status == Status::Archived,
            "withdraw" | "erase" => member.is_some_and(|member| member.left),
            "advance" if data["advanced"] == true => {
                member.is_some_and(|member| Some(member.stage) >= data["newStage"].as_u64())
            }
            _ => true,
        };
        if holds { Ok(()) } else { Err(format!("{told} is acknowledged, and it is not so")) }
    }

    fn rejected(&self, number: Option<u64>, id: Option<&str>, user: &str, code: &str) -> Result<(), String> {
        let operation = number.and_then(|number| self.operations.get(&number));
        let id = id.or_else(|| operation?.session.as_deref());
        let session = id.and_then(|id| self.sessions.get(id));
        let member = session.and_then(|session| session.model.members.iter().find(|member| member.user == user));
        if code == "NOT_FOUND" && member.is_some_and(|member| !member.left) {
            let about = operation.map(|operation| operation.name);
            if about != Some("answer_agreement") && about != Some("consent") {
                return Err(format!("{id:?} is hidden from its member {user}"));
            }
        }
        let Some(operation) = operation else { return Ok(()) };
        let left = member.is_none_or(|member| member.left) && id.is_some();
        if operation.has_key && operation.has_marker && operation.done > 0 && !left {
            return Err(format!("{number:?} {} was carried out, and is now refused: {code}", operation.name));
        }
        Ok(())
    }

    /// Checks that a request is refused only if a fault has hit its own session, the disk or the node.
    fn refused_for_now(&self, id: Option<&str>, sent: Sent, now: i64) -> Result<(), String> {
        let harmed = match id {
            Some(id) => self.sessions.get(id).and_then(|session| session.harmed_at),
            // The session of a refused creation is unknown.
            None => self.sessions.values().filter_map(|session| session.harmed_at).max(),
        };
        let excused = self.disturbed_until >= sent.at || harmed.is_some_and(|at| now - at < PATIENCE);
        if excused { Ok(()) } else { Err(format!("{id:?} was refused without a reason")) }
    }

    /// Checks the answer to another request with the same key.
    pub fn misused_key(&self, number: u64, outcome: &Outcome) -> Result<(), String> {
        let done = self.operations.get(&number).is_some_and(|operation| operation.done > 0);
        match outcome {
            Outcome::Done { .. } if done => Err(format!("the key of {number} was taken for another request")),
            _ => Ok(()),
        }
    }
}
