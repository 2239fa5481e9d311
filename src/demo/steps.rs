//! The steps of the script: a partner acts, hears an event, sees the other enter or leave, or gets a push. Each step is
//! awaited, checked and printed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    Error,
    client::{ApiAnswer, Partner},
    narrate::{Narrator, Totals},
    node::DemoNode,
    realtime::Connection,
};
use crate::push::fake_expo::{FakeExpo, Notification};

/// How long each step may take.
const WITHIN: Duration = Duration::from_secs(5);
/// How often the phone is checked.
const GLANCE: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Alex,
    Sam,
}

impl Who {
    pub fn partner(self) -> Self {
        match self {
            Who::Alex => Who::Sam,
            Who::Sam => Who::Alex,
        }
    }
}

/// The push token of a partner's phone.
pub fn push_token(who: Who) -> String {
    let owner = match who {
        Who::Alex => "alex",
        Who::Sam => "sam",
    };
    format!("ExponentPushToken[demo-phone-of-{owner}]")
}

pub struct Steps {
    pub narrator: Narrator,
    pub node: DemoNode,
    pub alex: Partner,
    pub sam: Partner,
    /// Empty until the invitation is sent.
    pub session: String,
    /// The highest `seq` that an answer has named.
    pub seq: u64,
    expo: FakeExpo,
    lines: [Option<Connection>; 2],
    last_sent_at: Instant,
    counted: Totals,
}

impl Steps {
    pub fn new(node: DemoNode, expo: FakeExpo, narrator: Narrator) -> Result<Self, Error> {
        let partner = |name, user| Partner::new(name, user, node.token(user, name)?, node.url());
        let (alex, sam) = (partner("Alex", "demo-alex")?, partner("Sam", "demo-sam")?);
        Ok(Self {
            narrator,
            node,
            alex,
            sam,
            session: String::new(),
            seq: 0,
            expo,
            lines: [None, None],
            last_sent_at: Instant::now(),
            counted: Totals::default(),
        })
    }

    pub fn partner(&self, who: Who) -> &Partner {
        match who {
            Who::Alex => &self.alex,
            Who::Sam => &self.sam,
        }
    }

    pub fn counted(&self) -> Totals {
        self.counted
    }

    pub fn chapter(&self, title: &str) {
        self.narrator.chapter(title);
    }

    /// A command on the session; `path` is what follows its id.
    pub async fn does(&mut self, who: Who, what: &str, path: &str, body: Value) -> Result<ApiAnswer, Error> {
        self.posts(who, what, &format!("/sessions/{}/{path}", self.session), body).await
    }

    pub async fn posts(&mut self, who: Who, what: &str, path: &str, body: Value) -> Result<ApiAnswer, Error> {
        let answer = self.partner(who).post(path, body).await?;
        self.counted.commands += 1;
        self.last_sent_at = answer.sent_at;
        self.seq = self.seq.max(answer.seq().unwrap_or_default());
        self.narrator.did(self.partner(who).name, what, &short(&answer.request), answer.status, answer.took);
        Ok(answer)
    }

    pub async fn reads(&mut self, who: Who, what: &str, path: &str) -> Result<ApiAnswer, Error> {
        let answer = self.partner(who).get(&format!("/sessions/{}{path}", self.session)).await?;
        self.narrator.did(self.partner(who).name, what, &short(&answer.request), answer.status, answer.took);
        Ok(answer)
    }

    /// Advances to the next stage, and the partner hears of it.
    pub async fn advances(&mut self, who: Who, to: u64) -> Result<(), Error> {
        let answer = self.does(who, &format!("goes on to stage {to}"), "stages/advance", Value::Null).await?;
        expect("the answer's newStage", &json!(to), &answer.data["newStage"])?;
        let heard = self.hears(who.partner(), "partner.advanced").await?;
        expect("toStage in partner.advanced", &json!(to), &heard["toStage"])
    }

    /// Connects, attaches the session's channel and enters its presence.
    pub async fn comes(&mut self, who: Who, how: &str) -> Result<(), Error> {
        let partner = self.partner(who);
        let begun = Instant::now();
        let mut line = Connection::open(partner, self.node.url()).await?;
        let channel = format!("meetwithoutfear:session:{}", self.session);
        let presence = format!("{channel}:presence");
        line.attach(&channel).await?;
        line.attach(&presence).await?;
        line.enter(&presence, json!({ "userId": partner.user, "stage": 0, "status": "IN_PROGRESS" })).await?;
        self.narrator.did(partner.name, how, "WebSocket, attach, presence enter", 101, begun.elapsed());
        self.lines[who as usize] = Some(line);
        Ok(())
    }

    /// Reports what was seen, and closes the app.
    pub async fn leaves(&mut self, who: Who, how: &str) -> Result<(), Error> {
        let seen = json!({ "lastSeenSeq": self.seq });
        self.partner(who).post(&format!("/sessions/{}/viewed", self.session), seen).await?;
        if let Some(line) = self.lines[who as usize].take() {
            line.close().await?;
        }
        self.narrator.aside(self.partner(who).name, how);
        Ok(())
    }

    /// Waits until the partner enters the presence channel.
    pub async fn sees_partner_enter(&mut self, who: Who) -> Result<(), Error> {
        self.sees_partner(who, true).await
    }

    /// Waits until the partner leaves the presence channel.
    pub async fn sees_partner_leave(&mut self, who: Who) -> Result<(), Error> {
        self.sees_partner(who, false).await
    }

    async fn sees_partner(&mut self, who: Who, here: bool) -> Result<(), Error> {
        let (name, other) = (self.partner(who).name, self.partner(who.partner()));
        let (other_name, other_user) = (other.name, other.user);
        let verb = if here { "enter" } else { "leave" };
        if !self.line(who)?.sees(other_user, here, WITHIN).await? {
            return Err(Error::NotHeard { who: name, what: format!("{other_name} {verb}"), within: WITHIN });
        }
        self.narrator.heard(name, &format!("presence: {other_name} {verb}s"), "", None);
        Ok(())
    }

    /// Waits for an event on the session's channel; returns its payload.
    pub async fn hears(&mut self, who: Who, event: &str) -> Result<Value, Error> {
        let name = self.partner(who).name;
        let deadline = Instant::now() + WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(heard) = self.line(who)?.next_event(left).await? else {
                return Err(Error::NotHeard { who: name, what: event.to_owned(), within: WITHIN });
            };
            self.counted.heard += 1;
            let delay = heard.at.saturating_duration_since(self.last_sent_at);
            self.narrator.heard(name, &heard.name, &told(&heard.data), Some(delay));
            if heard.name == event {
                expect("the event's session", &json!(self.session), &heard.data["sessionId"])?;
                return Ok(heard.data);
            }
        }
    }

    /// Waits until the absent partner's phone shows the push about `event`.
    pub async fn is_pushed(&mut self, who: Who, event: &str, title: &str) -> Result<(), Error> {
        let name = self.partner(who).name;
        let deadline = Instant::now() + WITHIN;
        let push = loop {
            if let Some(push) = self.on_the_phone(who, event) {
                break push;
            }
            if Instant::now() >= deadline {
                return Err(Error::NotPushed { who: name, what: event.to_owned(), within: WITHIN });
            }
            tokio::time::sleep(GLANCE).await;
        };
        self.counted.pushes += 1;
        self.narrator.pushed(name, &push, self.last_sent_at.elapsed());
        expect("the push's title", &json!(title), &json!(push.title))?;
        expect("the push's session", &json!(self.session), &push.data["sessionId"])
    }

    fn on_the_phone(&self, who: Who, event: &str) -> Option<Notification> {
        let shown = self.expo.device(&push_token(who))?.notifications;
        shown.into_iter().find(|notification| notification.data["event"] == event)
    }

    /// Kills the server and starts it on the same data. All connections are lost.
    pub async fn server_dies_and_returns(&mut self) -> Result<(), Error> {
        self.node.kill()?;
        self.lines = [None, None];
        self.narrator.aside("The server", "is killed (SIGKILL), without a word of warning");
        let took = self.node.start_again()?;
        self.narrator.did("The server", "is started again on the same data", "serve", 0, took);
        // The HTTP connections are lost too.
        let again = |partner: &Partner, url| Partner::new(partner.name, partner.user, partner.token.clone(), url);
        (self.alex, self.sam) = (again(&self.alex, self.node.url())?, again(&self.sam, self.node.url())?);
        Ok(())
    }

    fn line(&mut self, who: Who) -> Result<&mut Connection, Error> {
        let name = self.partner(who).name;
        self.lines[who as usize].as_mut().ok_or(Error::Realtime { who: name, reason: "not connected".into() })
    }
}

/// A request line without the common prefix, and with `ID` for ids.
fn short(request: &str) -> String {
    let part = |part: &str| if is_id(part) { "ID".to_owned() } else { part.to_owned() };
    request.replace("/api/v1", "").split('/').map(part).collect::<Vec<_>>().join("/")
}

fn is_id(part: &str) -> bool {
    part.len() == 25 && part.starts_with('c') && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The fields of a payload, without those that every payload has. The `seq` stays.
fn told(data: &Value) -> String {
    const EVERYWHERE: [&str; 4] = ["sessionId", "timestamp", "excludeUserId", "triggeredByUserId"];
    let fields = data.as_object().into_iter().flatten();
    let own = fields.filter(|(name, _)| !EVERYWHERE.contains(&name.as_str()));
    own.map(|(name, value)| format!("{name} {}", super::client::plain(value))).collect::<Vec<_>>().join(", ")
}

pub fn expect(what: &str, expected: &Value, found: &Value) -> Result<(), Error> {
    if expected == found {
        Ok(())
    } else {
        Err(Error::NotAsPromised { what: what.into(), expected: expected.to_string(), found: found.to_string() })
    }
}
