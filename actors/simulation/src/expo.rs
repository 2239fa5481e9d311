//! Expo's push service: it fails, is slow, takes messages and says nothing, and answers what nobody understands.

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

/// Of one message, after an outcome that nobody knows: the first one, and one that replaces it.
const MOST: u32 = 2;

struct State {
    chance: Chance,
    tickets: u64,
    /// How often a message was taken, by session, event and device.
    taken: BTreeMap<(String, u64, String), u32>,
}

pub struct Expo {
    state: Mutex<State>,
    fails: bool,
}

impl Expo {
    pub fn new(plan: &Plan) -> Self {
        let state = State { chance: plan.chance("expo", 0), tickets: 0, taken: BTreeMap::new() };
        Self { state: Mutex::new(state), fails: plan.has(Fault::Expo) }
    }
}

/// The push token of a user's phone.
pub fn token(user: &str) -> String {
    format!("ExponentPushToken[{user}]")
}

/// The service as the node sees it.
pub struct ExpoPort(pub Arc<World>);

enum Mood {
    Good,
    Unreachable,
    /// The connection breaks before anything is taken.
    Breaks,
    /// The messages are taken, and nobody hears of it.
    Silent,
    /// The messages are taken, and the answer is an error.
    Lies,
    TooMany,
    Refuses,
    Garbage,
}

impl ExpoPort {
    fn mood(&self) -> (Mood, Duration) {
        let mut state = self.0.expo.state.lock();
        let chance = &mut state.chance;
        if !self.0.expo.fails || self.0.is_calm() {
            return (Mood::Good, Duration::from_millis(20));
        }
        let late = chance.pause(60, 15_000);
        let mood = match chance.below(100) {
            0..=2 => Mood::Unreachable,
            3..=5 => Mood::Breaks,
            6..=8 => Mood::Silent,
            9..=11 => Mood::Lies,
            12..=13 => Mood::TooMany,
            14..=15 => Mood::Refuses,
            16..=17 => Mood::Garbage,
            _ => Mood::Good,
        };
        (mood, late)
    }

    /// Takes messages and gives tickets.
    fn take(&self, body: &[u8], refuses: bool) -> Value {
        let messages: Vec<Value> = serde_json::from_slice(body).unwrap_or_default();
        let tickets: Vec<Value> = messages.iter().map(|message| self.take_one(message, refuses)).collect();
        json!({ "data": tickets })
    }

    fn take_one(&self, message: &Value, refuses: bool) -> Value {
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
        let times = state.taken.entry((session.clone(), seq, to.clone())).or_default();
        *times += 1;
        let times = *times;
        drop(state);
        self.0.note(|| format!("pushed {session}:{seq} to {to}, the {times}. time"), &[]);
        let user = to.trim_start_matches("ExponentPushToken[").trim_end_matches(']');
        let checked = self.0.oracle.lock().pushed(&session, user, seq, &message.to_string());
        self.0.check(checked);
        if times > MOST {
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
        let (mood, late) = self.mood();
        let port = Self(self.0.clone());
        Box::pin(async move {
            sleep(late).await;
            let answer = |refuses| match request {
                PushRequest::Send => port.take(&body, refuses),
                PushRequest::Receipts => Self::receipts(&body),
            };
            match mood {
                Mood::Good => answered(200, None, &answer(false)),
                Mood::Unreachable => Transport::NotSent(Cause::NoConnection),
                Mood::Breaks => Transport::Broken(Cause::Reset),
                Mood::Silent => {
                    answer(false);
                    sleep(Duration::from_secs(30)).await;
                    Transport::Broken(Cause::Timeout)
                }
                Mood::Lies => {
                    answer(false);
                    answered(503, None, &json!({}))
                }
                Mood::TooMany => answered(429, Some(Duration::from_secs(2)), &json!({})),
                Mood::Refuses => answered(200, None, &answer(true)),
                Mood::Garbage => answered(200, None, &json!({ "data": [] })),
            }
        })
    }
}
