//! What was answered stays, whatever happens to the process, on both engines.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;

use crate::harness::{Conversation, DEADLINE, Member, Server, Setup, in_time, items, server, text};

/// A need that was answered with 201: its text and the session's `seq`.
type Answered = Arc<Mutex<Vec<(String, u64)>>>;

/// Adds needs as fast as they are answered, until the server is gone.
async fn keep_adding(member: Member, lane: usize, answered: Answered, total: Arc<AtomicUsize>) {
    for number in 0..12 {
        let need = format!("need {number} of lane {lane} of {}", member.id);
        let body = json!({ "need": need, "category": "SAFETY" });
        let request = member.request(reqwest::Method::POST, &member.path("/needs")).json(&body);
        match request.attempt().await {
            Ok(answer) if answer.status == 201 => {
                let seq = answer.done()["seq"].as_u64().expect("checked");
                answered.lock().expect("nobody panics with it").push((need, seq));
                total.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.body),
            Err(_) => return,
        }
    }
}

/// Kills a server in the middle of concurrent commands and looks for everything that it had answered.
pub async fn survives(engine: &str, setup: Setup) {
    let mut server = setup.start().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Conversation::at_stage(&server, 3).await);
    }
    for round in 0..2 {
        let total = Arc::new(AtomicUsize::new(0));
        let (mut lanes, mut promised) = (Vec::new(), Vec::new());
        for member in all.iter().flat_map(Conversation::members) {
            let answered = Answered::default();
            promised.push((member.clone(), answered.clone()));
            for lane in 0..2 {
                lanes.push(tokio::spawn(keep_adding(
                    member.clone(),
                    lane + round * 2,
                    answered.clone(),
                    total.clone(),
                )));
            }
        }
        let enough = async {
            while total.load(Ordering::Relaxed) < 25 {
                tokio::task::yield_now().await;
            }
        };
        in_time("25 answers", enough).await;
        server = server.kill_and_start().await;
        for lane in lanes {
            in_time("a lane notices", lane).await.expect("a lane does not panic");
        }
        for (member, answered) in promised {
            let member = member.back_at(&server);
            let there: Vec<_> =
                items(&member.read("/needs").await.ok()["needs"]).iter().map(|need| text(&need["need"])).collect();
            let head = member.seq().await;
            for (need, seq) in answered.lock().expect("nobody panics with it").iter() {
                assert!(there.contains(need), "{engine}: {need} was answered and is gone");
                assert!(head >= *seq, "{engine}: seq {seq} was answered, the session is at {head}");
            }
            let mut once = there.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), there.len(), "{engine}: nothing twice");
        }
        all = all.iter().map(|both| both.back_at(&server)).collect();
    }
    // And it goes on.
    all[0].anna.need("one more", "MEANING").await.created();
}

#[tokio::test]
async fn sled_keeps_everything_answered_through_kills() {
    survives("sled", server().set("store.engine", "sled")).await;
}

#[tokio::test]
async fn redb_keeps_everything_answered_through_kills() {
    survives("redb", server().set("store.engine", "redb")).await;
}

pub async fn a_whole_conversation_goes_on_over_kills(setup: Setup) {
    let mut server = setup.start().await;
    let mut both = Conversation::invited(&server).await;
    both.ben.accept(&both.invitation).await.ok();
    for stage in 0..4 {
        both.satisfy(stage).await;
        let before = both.anna.seq().await;
        server = server.kill_and_start().await;
        both = both.back_at(&server);
        assert_eq!(both.anna.seq().await, before, "a restart is no event");
        for member in both.members() {
            assert_eq!(member.advance().await.done()["newStage"], stage + 1);
        }
    }
    let idea = text(&both.anna.strategy("to begin again").await.created()["strategy"]["id"]);
    both.anna.press("/strategies/ready").await.done();
    server = server.kill_and_start().await;
    both = both.back_at(&server);
    both.ben.press("/strategies/ready").await.done();
    both.anna.rank(std::slice::from_ref(&idea)).await.done();
    server = server.kill_and_start().await;
    both = both.back_at(&server);
    both.ben.rank(std::slice::from_ref(&idea)).await.done();
    let agreement = text(&both.ben.propose(&idea).await.created()["agreement"]["id"]);
    server = server.kill_and_start().await;
    both = both.back_at(&server);
    both.anna.confirm(&agreement).await.done();
    both.anna.press("/resolve").await.done();
    server = server.kill_and_start().await;
    both = both.back_at(&server);
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "RESOLVED");
    drop(server);
}

#[tokio::test]
async fn a_conversation_goes_on_over_kills_on_sled() {
    a_whole_conversation_goes_on_over_kills(server().set("store.engine", "sled")).await;
}

#[tokio::test]
async fn a_conversation_goes_on_over_kills_on_redb() {
    a_whole_conversation_goes_on_over_kills(server().set("store.engine", "redb")).await;
}

/// Reads one head of an HTTP answer and the body after it.
fn answer(reader: &mut BufReader<TcpStream>) -> (String, String) {
    let (mut status, mut length) = (String::new(), 0);
    reader.read_line(&mut status).expect("a status line");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Sends the head of a request and waits until the server has taken it up.
fn begin(server: &Server, member: &Member, path: &str, length: usize) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.host()).expect("the server listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let head = format!(
        "POST /api/v1{} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\n\r\n",
        member.path(path),
        server.host(),
        member.token
    );
    stream.write_all(head.as_bytes()).expect("the head is sent");
    let mut reader = BufReader::new(stream);
    let (status, _) = answer(&mut reader);
    assert!(status.contains("100"), "{status}");
    reader
}

#[tokio::test]
async fn a_graceful_stop_answers_and_keeps_requests_under_way() {
    let mut server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let body = json!({ "need": "to be let finish", "category": "SAFETY" }).to_string();
    let mut under_way = begin(&server, &both.anna, "/needs", body.len());
    server.terminate();
    under_way.get_mut().write_all(body.as_bytes()).expect("the body is sent");
    let (status, said) = answer(&mut under_way);
    assert!(status.contains("201"), "{status} {said}");
    drop(under_way);
    let ended = server.ended().await;
    assert!(ended.success(), "{ended}\n{}", server.logs());
    let server = server.setup().start().await;
    assert!(both.anna.back_at(&server).read("/needs").await.body.contains("to be let finish"));
}

#[tokio::test]
async fn a_graceful_stop_with_connections_open_is_quick_and_loses_nothing() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 2).await;
    let mut ear = crate::harness::Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    both.anna.draft("kept over a stop").await.done();
    let before = both.anna.seq().await;
    let server = server.stop().await.start().await;
    let anna = both.anna.back_at(&server);
    assert_eq!(anna.seq().await, before);
    assert!(anna.read("/empathy/draft").await.body.contains("kept over a stop"));
    // The connected partner was told to come back, by the code of a restart.
    let farewell = ear.frame("DISCONNECTED", |frame| frame["action"] == 6).await;
    assert_eq!(farewell["error"]["code"], 80003, "{farewell}");
}
