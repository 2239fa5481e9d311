//! Sessions whose actors panic again and again, beside others: nothing that was answered is lost, nothing happens
//! twice. It prints how long the others waited, with panics and without. `TANDEM_CONTAINMENT_SESSIONS` makes it longer.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::{
    harness::{Conversation, Member, Server, eventually, items, server, text},
    supervision::arm,
};

/// Each partner's commands in each session.
const COMMANDS: usize = 24;
/// One session of so many has a panic in one partner's commands, so that one command of about a hundred panics.
const SHAKEN: usize = 4;
const POINTS: [&str; 5] = ["before_decide", "after_apply", "after_append", "after_flush", "before_publish"];
/// Where an actor is only if the partner is told of the command.
const TOLD: [&str; 2] = ["after_flush", "before_publish"];
const EVENTS: [&str; 2] = ["session.paused", "session.resumed"];
/// Clients that work at once.
const AT_ONCE: usize = 8;

/// Pauses, resumes and adds a need, which nobody else is told of, in turns. Each command has its key until it is
/// answered. Returns how long each took.
async fn command(server: &Server, member: &Member, panic_at: Option<&str>) -> Vec<Duration> {
    let before = toggled(member).await;
    let panics_at = panic_at.map(|point| if TOLD.contains(&point) { COMMANDS / 2 } else { COMMANDS / 2 + 2 });
    let mut took = Vec::new();
    for number in 0..COMMANDS {
        if let Some(point) = panic_at.filter(|_| panics_at == Some(number)) {
            arm(server, member, point, json!("panic"), 1).await;
        }
        let (path, body) = match number % 3 {
            0 => ("/pause", json!({})),
            1 => ("/resume", json!({})),
            _ => ("/needs", json!({ "need": format!("need {number}"), "category": "SAFETY" })),
        };
        let (path, key) = (member.path(path), format!("{}-{number}", member.id));
        let until_answered = async || {
            let answer = eventually("an answer", || async {
                let request = member.request(reqwest::Method::POST, &path).header("idempotency-key", &key);
                let answer = request.json(&body).send().await;
                (answer.status != 503).then_some(answer)
            });
            let answer = answer.await;
            assert!((200..300).contains(&answer.status), "{}: {}", answer.to, answer.body);
        };
        let begun = Instant::now();
        until_answered().await;
        took.push(begun.elapsed());
        if panics_at == Some(number) {
            // The answer may have been lost on its way.
            until_answered().await;
        }
    }
    let needs = items(&member.read("/needs").await.ok()["needs"]);
    let needs: Vec<_> = needs.iter().map(|need| text(&need["need"])).collect();
    let expected: Vec<_> = (2..COMMANDS).step_by(3).map(|number| format!("need {number}")).collect();
    assert_eq!(needs, expected, "each once and in order, with a panic {panic_at:?}");
    let after = toggled(member).await;
    assert_eq!(after.len(), before.len() + COMMANDS / 3 * 2, "each once, with a panic {panic_at:?}");
    assert!(after.iter().enumerate().all(|(number, name)| *name == EVENTS[number % 2]), "in order: {after:?}");
    took
}

/// The events of pauses and their ends.
async fn toggled(member: &Member) -> Vec<String> {
    let names = member.events().await.into_iter().map(|event| text(&event["event"]));
    names.filter(|name| EVENTS.contains(&name.as_str())).collect()
}

/// All sessions work, some of them with a panic. Returns the times of the others, the shortest first.
async fn work(server: &Server, members: &[&Member], panic_at: impl Fn(usize) -> Option<&'static str>) -> Vec<Duration> {
    let working = members.iter().enumerate().map(async |(number, member)| {
        let took = command(server, member, panic_at(number / SHAKEN).filter(|_| is_shaken(number))).await;
        if is_shaken(number) { Vec::new() } else { took }
    });
    let mut times = stream::iter(working).buffer_unordered(AT_ONCE).concat().await;
    times.sort_unstable();
    times
}

const fn is_shaken(number: usize) -> bool {
    number.is_multiple_of(SHAKEN)
}

#[tokio::test]
async fn panics_in_one_command_of_a_hundred_lose_and_repeat_nothing() {
    let wanted = std::env::var("TANDEM_CONTAINMENT_SESSIONS").ok().and_then(|number| number.parse().ok());
    let sessions: usize = wanted.unwrap_or(5 * SHAKEN);
    let server = server().start().await;
    let made = stream::iter(0..sessions).map(|_| Conversation::at_stage(&server, 3)).buffer_unordered(AT_ONCE);
    let made: Vec<Conversation> = made.collect().await;
    let (anna, ben): (Vec<_>, Vec<_>) = made.iter().map(|both| (&both.anna, &both.ben)).unzip();
    let calm = work(&server, &anna, |_| None).await;
    let beside = work(&server, &ben, |number| Some(POINTS[number % POINTS.len()])).await;
    let metrics = server.get("/metrics").send().await.body;
    let exits = metrics.lines().find_map(|line| line.strip_prefix("tandem_session_exits_total{status=\"panicked\"} "));
    let panicked: usize = exits.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(panicked * 2 > sessions / SHAKEN, "{panicked} panics of {sessions} sessions");
    for (what, times) in [("without panics", &calm), ("beside panics", &beside)] {
        let [p50, p99] = [50, 99].map(|percent| times[(times.len() - 1) * percent / 100]);
        println!("{what}: {} commands of others, p50 {p50:?}, p99 {p99:?}", times.len());
    }
}
