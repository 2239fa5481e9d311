//! Expo's push service. It fails, is slow, accepts messages without an answer, and sends unreadable answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tandem::push::{Cause, PushRequest, PushService, Transport};
use tandem_actors::ports::BoxFuture;
use tokio::time::sleep;

use crate::{
    plan::{Chance, Fault, Plan},
    world::World,
};

/// How often one message may be sent: once, and once more after an unknown outcome.
const MOST_SENDS: u32 = 2;

struct State {
    chance: Chance,
    tickets: u64,
    /// How often a message was accepted, by session, event and device.
    accepted: BTreeMap<(String, u64, String), u32>,
}

pub struct Expo {
    state: Mutex<State>,
    fails: bool,
}

impl Expo {
    pub fn new(plan: &Plan) -> Self {
        let state = State { chance: plan.chance("expo", 0), tickets: 0, accepted: BTreeMap::new() };
        Self { state: Mutex::new(state), fails: plan.has(Fault::Expo) }
    }
}

/// The push token of a user's phone.
pub fn token(user: &str) -> String {
    format!("ExponentPushToken[{user}]")
}

/// The service as the node sees it.
pub struct ExpoPort(pub Arc<World>);

enum Behaviour {
    Good,
    Unreachable,
    /// The connection breaks before the messages are accepted.
    Breaks,
    /// The messages are accepted, and no answer comes.
    Silent,
    /// The messages are accepted, and the answer is an error.
    FailsAfterwards,
    TooMany,
    Refuses,
    Garbage,
}

impl ExpoPort {
    fn behaviour(&self) -> (Behaviour, Duration) {
        let mut state = self.0.expo.state.lock();
        let chance = &mut state.chance;
        if !self.0.expo.fails || self.0.is_free_of_faults() {
            return (Behaviour::Good, Duration::from_millis(20));
        }
        let late = chance.pause(60, 15_000);
        let behaviour = match chance.below(100) {
            0..=2 => Behaviour::Unreachable,
            3..=5 => Behaviour::Breaks,
            6..=8 => Behaviour::Silent,
            9..=11 => Behaviour::FailsAfterwards,
            12..=13 => Behaviour::TooMany,
            14..=15 => Behaviour::Refuses,
            16..=17 => Behaviour::Garbage,
            _ => Behaviour::Good,
        };
        (behaviour, late)
    }

    /// Accepts messages and returns tickets.
    fn accept(&self, body: &[u8], refuses: bool) -> Value {
        let messages: Vec<Value> = serde_json::from_slice(body).unwrap_or_default();
        let tickets: Vec<Value> = messages.iter().map(|message| self.accept_one(message, refuses)).collect();
        json!({ "data": tickets })
    }

    fn accept_one(&self, message: &Value, refuses: bool) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (session, to) = (text(&message["data"]["sessionId"]), text(&message["to"]));
        let seq = message["data"]["seq"].as_u64().unwrap_or_default();
        let mut state = self.0.expo.state.lock();
        if refuses && state.chance.mille(500) {
            let code = if state.chance.mille(500) { "MessageRateExceeded" } else { "SomethingNew" };
            return json!({ "status": "error", "message": "told to", "details": { "error": code } });
        }
        state.tickets += 1;
        let ticket = format!("ticket{}", state.tickets);
        let times = state.accepted.entry((session.clone(), seq, to.clone())).or_default();
        *times += 1;
        let times = *times;
        drop(state);
        self.0.note(|| format!("pushed {session}:{seq} to {to}, the {times}. time"), &[]);
        let user = to.trim_start_matches("ExponentPushToken[").trim_end_matches(']');
        let checked = self.0.oracle.lock().pushed(&session, user, seq, &message.to_string());
        self.0.check(checked);
        if times > MOST_SENDS {
            self.0.fail(format!("{session}: {user} is told of event {seq} {times} times"));
        }
        json!({ "status": "ok", "id": ticket })
    }

    fn receipts(body: &[u8]) -> Value {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let ids = asked["ids"].as_array().cloned().unwrap_or_default();
        let told = ids.iter().filter_map(|id| Some((id.as_str()?.to_owned(), json!({ "status": "ok" }))));
        json!({ "data": told.collect::<serde_json::Map<_, _>>() })
    }
}

fn answered(status: u16, retry_after: Option<Duration>, body: &Value) -> Transport {
    Transport::Answered { status, retry_after, body: body.to_string().into_bytes() }
}

impl PushService for ExpoPort {
    fn post(&self, request: PushRequest, body: Vec<u8>) -> BoxFuture<Transport> {
        let (behaviour, late) = self.behaviour();
        let port = Self(self.0.clone());
        Box::pin(async move {
            sleep(late).await;
            let answer = |refuses| match request {
                PushRequest::Send => port.accept(&body, refuses),
                PushRequest::Receipts => Self::receipts(&body),
            };
            match behaviour {
                Behaviour::Good => answered(200, None, &answer(false)),
                Behaviour::Unreachable => Transport::NotSent(Cause::NoConnection),
                Behaviour::Breaks => Transport::Broken(Cause::Reset),
                Behaviour::Silent => {
                    answer(false);
                    sleep(Duration::from_secs(30)).await;
                    Transport::Broken(Cause::Timeout)
                }
                Behaviour::FailsAfterwards => {
                    answer(false);
                    answered(503, None, &json!({}))
                }
                Behaviour::TooMany => answered(429, Some(Duration::from_secs(2)), &json!({})),
                Behaviour::Refuses => answered(200, None, &answer(true)),
                Behaviour::Garbage => answered(200, None, &json!({ "data": [] })),
            }
        })
    }
}
